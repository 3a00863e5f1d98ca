//! What a run of the simulator is like.

use std::ops::Range;

use clap::ValueEnum;
use sim::{Mode, Mutation};

/// Runs the four services on a simulated log, under seeds that decide everything that happens, and
/// checks that the invariants hold. Exits with 0 where they do; with 3 where something panicked,
/// with 4 where something never came to an end, with 5 where something came to a wrong one.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "sim", version)]
pub struct Cli {
    /// The one seed to run
    #[arg(conflicts_with_all = ["seeds", "seconds"])]
    pub seed: Option<u64>,

    /// The seeds to run, the last one left out
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    pub seeds: Option<Range<u64>>,

    /// How long to go on with one seed after the other, from that of `--seeds` on, or from 0
    #[arg(long)]
    pub seconds: Option<u64>,

    /// The log
    #[arg(long, value_enum, default_value_t = ModeArgument::Both)]
    pub mode: ModeArgument,

    /// A guard to take out, to see that it is missed
    #[arg(long, value_parser = parse_mutation)]
    pub mutation: Option<Mutation>,
}

/// Which logs to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArgument {
    /// One process with power cuts
    Embedded,
    /// Processes with local stores beside brokers
    Kafka,
    /// One after the other
    Both,
}

impl ModeArgument {
    /// The logs.
    pub const fn modes(self) -> &'static [Mode] {
        match self {
            ModeArgument::Embedded => &[Mode::Embedded],
            ModeArgument::Kafka => &[Mode::Kafka],
            ModeArgument::Both => &[Mode::Embedded, Mode::Kafka],
        }
    }
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let parse = |number: &str| number.parse::<u64>().map_err(|error| error.to_string());
    let (from, to) = text.split_once("..").ok_or("a range is written FROM..TO")?;
    let range = parse(from)?..parse(to)?;
    if range.is_empty() { Err("the range is empty".to_owned()) } else { Ok(range) }
}

fn parse_mutation(name: &str) -> Result<Mutation, String> {
    Mutation::ALL.into_iter().find(|mutation| mutation.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Mutation::ALL.iter().map(|mutation| mutation.name()).collect();
        format!("the mutations are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parsed(arguments: &[&str]) -> Option<Cli> {
        Cli::try_parse_from([&["sim"], arguments].concat()).ok()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_seed_a_range_or_a_time_can_be_given() {
        assert_eq!(parsed(&["7"]).unwrap().seed, Some(7));
        let range = parsed(&["--seeds", "3..9", "--mode", "kafka"]).unwrap();
        assert_eq!((range.seeds, range.mode), (Some(3..9), ModeArgument::Kafka));
        assert_eq!(parsed(&["--seconds", "60"]).unwrap().seconds, Some(60));
        for wrong in [&["7", "--seconds", "1"][..], &["--seeds", "9..3"], &["--seeds", "9"]] {
            assert!(parsed(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn every_mutation_has_a_name_on_the_command_line() {
        for mutation in Mutation::ALL {
            let parsed = parsed(&["--mutation", mutation.name()]).unwrap();
            assert_eq!(parsed.mutation, Some(mutation));
        }
        assert!(parsed(&["--mutation", "none"]).is_none());
    }
}
