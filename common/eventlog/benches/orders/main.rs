//! What the embedded log takes of a load like that of the order system.
//!
//! `cargo bench -p eventlog -- speed DIRECTORY` measures a sync of the disk, one order alone, and
//! batches of orders (without arguments: in a directory that goes with it). `fill DIRECTORY ORDERS`
//! writes that many orders and kills itself; `open DIRECTORY` then says how long opening takes.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod workload;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use eventlog::EmbeddedLog;

use workload::{PARTITIONS, Services, topics};

/// The allocator of the binaries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Orders that are measured for each size of batch.
const ORDERS: usize = 20_000;
const ALONE: usize = 2_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => speed(tempfile::tempdir()?.path()),
        ["speed", directory] => speed(Path::new(directory)),
        ["fill", directory, orders] => fill(Path::new(directory), orders.parse()?),
        ["open", directory] => open(Path::new(directory)),
        _ => bail!("usage: speed DIRECTORY | fill DIRECTORY ORDERS | open DIRECTORY"),
    }
}

fn speed(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    sync_alone(directory)?;
    let log = open_log(&directory.join("speed"))?;
    let mut services = Services::join(&log)?;
    let mut times = Vec::with_capacity(ALONE);
    for _ in 0..ALONE {
        let started = Instant::now();
        services.place(1)?;
        times.push(started.elapsed());
    }
    print_times("one order alone, to durable", times);
    for batch in [1, 16, 64] {
        let started = Instant::now();
        for _ in 0..ORDERS / batch {
            services.place(batch)?;
        }
        print_rate(&format!("batches of {batch}, each durable"), started.elapsed());
    }
    let started = Instant::now();
    for _ in 0..ORDERS / 64 {
        services.place_without_waiting(64)?;
    }
    services.wait()?;
    print_rate("batches of 64, durable at the end", started.elapsed());
    Ok(())
}

/// What the disk itself takes for one sync, of a page that was written before.
fn sync_alone(directory: &Path) -> Result<()> {
    let file = File::create(directory.join("sync"))?;
    let mut times = Vec::with_capacity(ALONE);
    for round in 0..2 {
        for page in 0..ALONE as u64 {
            let started = Instant::now();
            file.write_all_at(&[round; 4_096], page * 4_096)?;
            file.sync_data()?;
            times.push(started.elapsed());
        }
    }
    print_times("4 KiB and fdatasync, overwritten", times.split_off(ALONE));
    print_times("4 KiB and fdatasync, appended", times);
    Ok(())
}

fn fill(directory: &Path, orders: usize) -> Result<()> {
    const BATCH: usize = 64;
    let log = open_log(directory)?;
    let mut services = Services::join(&log)?;
    let started = Instant::now();
    for batch in 1..=orders / BATCH {
        services.place(BATCH)?;
        if batch.is_multiple_of(orders / BATCH / 10) {
            let rate = (batch * BATCH) as f64 / started.elapsed().as_secs_f64();
            println!("{} orders, {rate:.0}/s, {}", batch * BATCH, memory()?);
        }
    }
    for (thread, busy) in busy_times()? {
        println!("{thread}: {:?} an order", busy / orders as u32);
    }
    let bytes = disk_bytes(directory)?;
    println!("{bytes} bytes on disk, {} an order", bytes / orders as u64);
    process::Command::new("kill").args(["-9", &process::id().to_string()]).status()?;
    Ok(())
}

fn open(directory: &Path) -> Result<()> {
    let started = Instant::now();
    let log = open_log(directory)?;
    println!("opened in {:?}, {}", started.elapsed(), memory()?);
    let mut services = Services::join(&log)?;
    let started = Instant::now();
    services.place(1)?;
    println!("first order in {:?}, {}", started.elapsed(), memory()?);
    Ok(())
}

fn open_log(directory: &Path) -> Result<EmbeddedLog> {
    Ok(EmbeddedLog::open(directory, topics(), PARTITIONS)?)
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1_000];
    println!("{what}: p50 {:?}, p99 {:?}, most {:?}", at(500), at(990), at(1_000));
}

fn print_rate(what: &str, elapsed: Duration) {
    println!("{what}: {:.0} orders/s", ORDERS as f64 / elapsed.as_secs_f64());
}

/// The memory in use, as the system counts it.
fn memory() -> Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = |name| status.lines().find(|line: &&str| line.starts_with(name));
    let lines = [line("VmRSS:"), line("VmHWM:")];
    let lines: Option<Vec<&str>> = lines.into_iter().collect();
    let text = lines.context("the system says how much memory a process uses")?.join(", ");
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The processor time that each thread has used.
fn busy_times() -> Result<Vec<(String, Duration)>> {
    let of_thread = |thread: std::io::Result<fs::DirEntry>| {
        let thread = thread?.path();
        let name = fs::read_to_string(thread.join("comm"))?.trim().to_owned();
        let times = fs::read_to_string(thread.join("schedstat"))?;
        let busy_ns = times.split(' ').next().unwrap_or_default().parse()?;
        Ok((name, Duration::from_nanos(busy_ns)))
    };
    fs::read_dir("/proc/self/task")?.map(of_thread).collect()
}

fn disk_bytes(directory: &Path) -> Result<u64> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
