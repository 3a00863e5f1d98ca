//! Compiles what stands in for a faulty function of librdkafka.

use std::env;

const WRAPPER: &str = "librdkafka/leader_hints.c";
const FLAG: &str = "--wrap=rd_kafka_metadata_update_op";

fn main() {
    println!("cargo::rerun-if-changed={WRAPPER}");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.contains(FLAG) {
        println!("cargo::warning=without -Clink-arg=-Wl,{FLAG} a broker that restarts may crash");
        println!("cargo::warning=its clients: RUSTFLAGS replaces what .cargo/config.toml says");
    }
    // Whoever calls it comes later on the linker's command line.
    cc::Build::new().file(WRAPPER).link_lib_modifier("+whole-archive").compile("leader_hints");
}
