//! Notices what does not get on.

use std::collections::BTreeMap;
use std::time::Duration;

use streams::{Offset, TopicPartition};

use crate::clock::Deadline;

/// Looks now and then how far partitions are read, and tells one that was not read any further
/// although there was more.
pub(crate) struct Watch {
    interval: Duration,
    next_look: Deadline,
    /// At the last look: up to where each was read, and where it ended.
    seen: BTreeMap<TopicPartition, (Offset, Offset)>,
}

impl Watch {
    pub(crate) fn of_interval(interval: Duration) -> Self {
        Watch { interval, next_look: Deadline::after(interval), seen: BTreeMap::new() }
    }

    /// Whether it is time for a look, once in an interval. One that comes late tells nothing of
    /// the time before it: who reads was held up, or stood still.
    pub(crate) fn is_due(&mut self) -> bool {
        if !self.next_look.has_passed() {
            return false;
        }
        if self.next_look.passed_since() > self.interval / 2 {
            self.forget();
        }
        self.next_look = Deadline::after(self.interval);
        true
    }

    /// Takes a look: up to where each is read, and where it ends. Tells one that was at the same
    /// place at the last look, although there was more.
    pub(crate) fn look(
        &mut self,
        read: BTreeMap<TopicPartition, (Offset, Offset)>,
    ) -> Option<(TopicPartition, Offset)> {
        let before = std::mem::replace(&mut self.seen, read);
        let is_still = |(of, (position, _)): &(&TopicPartition, &(Offset, Offset))| {
            before.get(of).is_some_and(|(known, end)| known == position && known < end)
        };
        self.seen.iter().find(is_still).map(|(of, (position, _))| (*of, *position))
    }

    /// What was seen is no more.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use streams::{Partition, TopicName};

    use super::*;

    const OF: TopicPartition = TopicPartition::new(TopicName::new("orders"), Partition(1));

    fn look(watch: &mut Watch, position: u64, end: u64) -> Option<Offset> {
        let read = BTreeMap::from([(OF, (Offset(position), Offset(end)))]);
        watch.look(read).map(|(of, position)| {
            assert_eq!(of, OF);
            position
        })
    }

    #[test]
    fn who_stays_where_he_was_although_there_was_more_is_told() {
        let mut watch = Watch::of_interval(Duration::from_secs(10));
        for (position, end) in [(3, 3), (3, 4), (4, 9), (5, 9)] {
            assert_eq!(look(&mut watch, position, end), None);
        }

        assert_eq!(look(&mut watch, 5, 9), Some(Offset(5)));
    }

    #[test]
    fn who_looks_late_tells_nothing() {
        let mut watch = Watch::of_interval(Duration::from_secs(10));
        assert!(!watch.is_due());
        assert_eq!(look(&mut watch, 5, 9), None);

        watch.next_look = Deadline::since(Duration::from_secs(6));
        assert!(watch.is_due());
        assert!(!watch.is_due(), "once in an interval");
        assert_eq!(look(&mut watch, 5, 9), None);

        watch.next_look = Deadline::since(Duration::from_secs(1));
        assert!(watch.is_due());
        assert_eq!(look(&mut watch, 5, 9), Some(Offset(5)));
    }

    #[test]
    fn what_was_seen_before_a_break_does_not_count() {
        let mut watch = Watch::of_interval(Duration::from_secs(10));
        assert_eq!(look(&mut watch, 5, 9), None);
        watch.forget();

        assert_eq!(look(&mut watch, 5, 9), None);
    }
}
