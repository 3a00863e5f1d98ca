//! Places on the topic: where to read on in each partition, and the ids of events made of them.

use std::fmt::Write as _;

use events::topics::ORDERS;
use streams::{Offset, Partition, TopicPartition};

/// The id before every event. A browser that got an empty one would begin anew.
const BEGIN: &str = "-";

/// Where to read on in each partition of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Positions(Vec<Offset>);

/// A text that is no place on the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id is written like 3:17, or 0:4,3:17 of several partitions")]
pub struct NoEventId;

impl Positions {
    /// The begin of each partition.
    pub(crate) fn begin(partitions: u32) -> Self {
        Positions(vec![Offset(0); partitions as usize])
    }

    /// These positions, in order of partition.
    pub(crate) fn new(offsets: Vec<Offset>) -> Self {
        Positions(offsets)
    }

    pub(crate) fn get(&self, partition: Partition) -> Offset {
        self.0.get(partition.0 as usize).copied().unwrap_or_default()
    }

    /// Moves on in one partition; never back.
    pub(crate) fn raise(&mut self, partition: Partition, to: Offset) {
        if let Some(position) = self.0.get_mut(partition.0 as usize) {
            *position = to.max(*position);
        }
    }

    /// Whether no partition is behind the other's position.
    pub(crate) fn reach(&self, other: &Positions) -> bool {
        other.iter().all(|(partition, position)| self.get(partition) >= position)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Partition, Offset)> {
        (0..).map(Partition).zip(self.0.iter().copied())
    }

    /// The same as the log is asked for them.
    pub(crate) fn on_the_log(&self) -> Vec<(TopicPartition, Offset)> {
        self.iter().map(|(partition, position)| (of(partition), position)).collect()
    }

    /// How many offsets there are from here to `ends`.
    pub(crate) fn distance_to(&self, ends: &Positions) -> u64 {
        let left = |(partition, position): (Partition, Offset)| {
            ends.get(partition).0.saturating_sub(position.0)
        };
        self.iter().map(left).sum()
    }

    /// The id of the last event before these positions, by which a reader goes on from them:
    /// `0:4,3:17`. A partition without one is left out; `-` is the begin of all.
    pub(crate) fn event_id(&self) -> String {
        let mut id = String::new();
        for (partition, position) in self.iter().filter(|(_, position)| position.0 > 0) {
            let comma = if id.is_empty() { "" } else { "," };
            // Writing to a string never fails.
            let _ = write!(id, "{comma}{partition}:{}", position.0 - 1);
        }
        if id.is_empty() { BEGIN.to_owned() } else { id }
    }

    /// The positions after the events that an id names.
    ///
    /// # Errors
    /// [`NoEventId`] for another text, and for a partition that is not there or comes twice.
    pub(crate) fn after(id: &str, partitions: u32) -> Result<Self, NoEventId> {
        let mut positions = Positions::begin(partitions);
        if id == BEGIN {
            return Ok(positions);
        }
        for part in id.split(',') {
            let (partition, offset) = parse_event_id(part)?;
            if partition.0 >= partitions || positions.get(partition) > Offset(0) {
                return Err(NoEventId);
            }
            positions.raise(partition, offset.next());
        }
        Ok(positions)
    }
}

/// A partition of the topic.
pub(crate) fn of(partition: Partition) -> TopicPartition {
    TopicPartition::new(ORDERS.name(), partition)
}

/// Where the one event lies that an id names.
///
/// # Errors
/// [`NoEventId`].
pub fn parse_event_id(id: &str) -> Result<(Partition, Offset), NoEventId> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // The offset after it has to be one, too, also to a database that knows no larger ones.
        let number = text.parse().ok().filter(|number: &u64| *number < i64::MAX.unsigned_abs());
        number.filter(|_| is_number).ok_or(NoEventId)
    };
    let (partition, offset) = id.split_once(':').ok_or(NoEventId)?;
    let partition = u32::try_from(number(partition)?).map_err(|_| NoEventId)?;
    Ok((Partition(partition), Offset(number(offset)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(offsets: &[u64]) -> Positions {
        Positions::new(offsets.iter().copied().map(Offset).collect())
    }

    #[test]
    fn an_id_names_the_last_event_of_each_partition_that_has_one() {
        assert_eq!(positions(&[5, 0, 1]).event_id(), "0:4,2:0");
        assert_eq!(Positions::after("2:0,0:4", 3), Ok(positions(&[5, 0, 1])));
        assert_eq!(positions(&[0, 0]).event_id(), "-");
        assert_eq!(Positions::after("-", 2), Ok(positions(&[0, 0])));
    }

    #[test]
    fn a_text_that_names_no_events_is_refused() {
        let wrong =
            ["", "1", "1:", ":1", "a:1", "+1:1", "1:1,", "1:1,1:2", "3:1", "0:9223372036854775807"];
        for text in wrong {
            assert_eq!(Positions::after(text, 3), Err(NoEventId), "{text}");
        }
    }

    #[test]
    fn positions_reach_others_where_none_is_behind() {
        assert!(positions(&[5, 1]).reach(&positions(&[5, 0])));
        assert!(!positions(&[5, 1]).reach(&positions(&[4, 2])));
        assert_eq!(positions(&[5, 1]).distance_to(&positions(&[7, 0])), 2);
    }
}
