//! Reading committed records from positions of one's own choice, outside any group's sharing out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use eventlog::Error as LogError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use streams::{ConsumedRecord, Fetched, Offset, TopicName, TopicPartition};

use crate::clock::Deadline;
use crate::ends::Ends;
use crate::error::{Error, unreachable};
use crate::records::{consumed, known, list, partition, position, raw_partition};
use crate::settings::Settings;

/// A partition that nobody asks for is read no further when this many of its records wait.
const WAITING_RECORDS_MAX: usize = 2_000;
/// How long one look for records takes. Progress over markers and aborted records wakes nobody, so
/// a reader that waits looks often.
const LOOK: Duration = Duration::from_millis(2);

/// Reads committed records. Assigns partitions to itself one by one (an assignment as a whole
/// would start all of them again) and keeps what came for those that were not asked for.
pub(crate) struct Reader {
    client: BaseConsumer,
    ends: Arc<Ends>,
    places: BTreeMap<TopicPartition, Place>,
    topics: BTreeMap<&'static str, TopicName>,
    timeout: Duration,
}

/// How far a partition is read.
#[derive(Debug)]
struct Place {
    /// Up to where it was handed out: where the next fetch begins, unless it asks for another
    /// position.
    given: Offset,
    /// After the last record that the client gave.
    read: Offset,
    waiting: VecDeque<ConsumedRecord>,
    /// So much is waiting that the client is to read no further.
    is_paused: bool,
}

impl Reader {
    /// A reader that reads nothing yet. `wake` is called when something comes.
    pub(crate) fn new(
        settings: &Settings,
        group: &str,
        ends: Arc<Ends>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let config = settings.reader(group);
        let mut client: BaseConsumer = config.create().map_err(Error::client)?;
        client.set_nonempty_callback(wake);
        let (places, topics) = (BTreeMap::new(), BTreeMap::new());
        Ok(Reader { client, ends, places, topics, timeout: settings.request_timeout })
    }

    /// Committed records from these positions on, about `records_max`. Where there are none yet it
    /// waits for this long.
    pub(crate) fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
        wait: Duration,
    ) -> Result<Fetched, LogError> {
        self.move_to(from)?;
        let deadline = Deadline::after(wait);
        loop {
            let is_drained = self.poll(from, records_max, wait)?;
            self.hold_back(from)?;
            let fetched = self.hand_out(from, records_max)?;
            // Nobody is woken for what the client has still to give.
            if fetched.positions != from || (is_drained && deadline.has_passed()) {
                return Ok(fetched);
            }
        }
    }

    /// Makes the client read from these positions on.
    fn move_to(&mut self, from: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let mut new = Vec::new();
        let mut moved = Vec::new();
        for (of, position) in from {
            match self.places.get(of) {
                None => new.push((*of, *position)),
                Some(place) if place.given != *position => moved.push((*of, *position)),
                Some(_) => {}
            }
        }
        if !new.is_empty() || !moved.is_empty() {
            self.ends.check_range(&[new.as_slice(), moved.as_slice()].concat())?;
        }
        if !new.is_empty() {
            let list = positions(&new)?;
            self.client.incremental_assign(&list).map_err(unreachable)?;
            self.read_from(&new);
        }
        if !moved.is_empty() {
            self.seek(&moved)?;
        }
        let is_wanted = |(of, place): &(&TopicPartition, &Place)| {
            place.is_paused && place.waiting.is_empty() && is_among(of, from)
        };
        let wanted: Vec<_> = self.places.iter().filter(is_wanted).map(|(of, _)| *of).collect();
        self.pause(&wanted, false)?;
        self.wake_for(&wanted)
    }

    /// Where all of a broker's partitions were paused, the client's thread for that broker sleeps
    /// for up to a second before it sees that one is read on. A request wakes it.
    fn wake_for(&self, of: &[TopicPartition]) -> Result<(), LogError> {
        if of.is_empty() {
            return Ok(());
        }
        let asked = list(of.iter().map(|of| (*of, rdkafka::Offset::End))).map_err(unreachable)?;
        self.client.offsets_for_times(asked, self.timeout).map_err(unreachable)?;
        Ok(())
    }

    fn read_from(&mut self, of: &[(TopicPartition, Offset)]) {
        for (of, position) in of {
            self.topics.insert(of.topic.as_str(), of.topic);
            let is_paused = self.places.get(of).is_some_and(|place| place.is_paused);
            let waiting = VecDeque::new();
            let place = Place { given: *position, read: *position, waiting, is_paused };
            self.places.insert(*of, place);
        }
    }

    /// Unlike a new assignment, a seek has taken effect when it returns: nothing from before comes
    /// any more, and no position from before is seen.
    fn seek(&mut self, to: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let deadline = Deadline::after(self.timeout);
        let mut left = to.to_vec();
        loop {
            let done = self
                .client
                .seek_partitions(positions(&left)?, deadline.left())
                .map_err(unreachable)?;
            let is_done = |(of, _): &(TopicPartition, Offset)| {
                let partition = raw_partition(of.partition);
                let element = done.find_partition(of.topic.as_str(), partition);
                element.is_some_and(|element| element.error().is_ok())
            };
            let (moved, waiting): (Vec<_>, Vec<_>) = left.into_iter().partition(is_done);
            self.read_from(&moved);
            left = waiting;
            let Some((of, _)) = left.first() else { return Ok(()) };
            if deadline.has_passed() {
                return Err(unreachable(format!("{of} could not be read from another position")));
            }
            // One that was assigned a moment ago has not begun yet.
            self.poll(to, 1, LOOK)?;
        }
    }

    fn pause(&mut self, of: &[TopicPartition], is_paused: bool) -> Result<(), LogError> {
        if of.is_empty() {
            return Ok(());
        }
        let list =
            list(of.iter().map(|of| (*of, rdkafka::Offset::Invalid))).map_err(unreachable)?;
        let done = if is_paused { self.client.pause(&list) } else { self.client.resume(&list) };
        done.map_err(unreachable)?;
        for of in of {
            if let Some(place) = self.places.get_mut(of) {
                place.is_paused = is_paused;
            }
        }
        Ok(())
    }

    /// Takes what the client has, and waits a little where it has nothing. Says whether that was
    /// all.
    fn poll(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
        wait: Duration,
    ) -> Result<bool, LogError> {
        let mut timeout = wait.min(LOOK);
        let mut is_empty = false;
        let mut polled = 0;
        while polled < records_max {
            let message = match self.client.poll(timeout) {
                // The first time it may be an event that the client has dealt with itself.
                None if is_empty => return Ok(true),
                None => {
                    is_empty = true;
                    timeout = Duration::ZERO;
                    continue;
                }
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.judge(&error, from)?;
                    continue;
                }
            };
            (timeout, is_empty) = (Duration::ZERO, false);
            polled += 1;
            let topic = self.topics.get(message.topic()).copied();
            let record = topic.and_then(|topic| consumed(topic, &message));
            let Some(record) = record else { continue };
            if let Some(place) = self.places.get_mut(&record.source)
                && record.offset >= place.read
            {
                place.read = record.offset.next();
                place.waiting.push_back(record);
            }
        }
        Ok(false)
    }

    /// The client goes on by itself after all errors but this one, which does not say where it
    /// was: the range of all that is read tells.
    fn judge(
        &mut self,
        error: &KafkaError,
        from: &[(TopicPartition, Offset)],
    ) -> Result<(), LogError> {
        let code = error.rdkafka_error_code();
        if !matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        ) {
            tracing::debug!(%error, "the reader goes on after an error");
            return Ok(());
        }
        let all: Vec<_> = self.places.iter().map(|(of, place)| (*of, place.read)).collect();
        let out = self.ends.out_of_range(&all)?;
        if let Some((of, position)) = out.iter().copied().find(|(of, _)| is_among(of, from)) {
            return Err(LogError::OutOfRange { of, position });
        }
        // What nobody asks for may be another's by now, who has purged it.
        self.forget(&out)?;
        // The rest was in range after all: the client reads no further by itself.
        let rest: Vec<_> = all.into_iter().filter(|(of, _)| !is_among(of, &out)).collect();
        self.client.seek_partitions(positions(&rest)?, self.timeout).map_err(unreachable)?;
        Ok(())
    }

    /// Reads these no more.
    fn forget(&mut self, of: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        if !of.is_empty() {
            self.client.incremental_unassign(&positions(of)?).map_err(unreachable)?;
        }
        self.places.retain(|place, _| !is_among(place, of));
        Ok(())
    }

    /// Hands out what waits for these partitions, to each its share.
    fn hand_out(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, LogError> {
        let passed = self.client.position().map_err(unreachable)?;
        for element in passed.elements() {
            let Some(topic) = self.topics.get(element.topic()) else { continue };
            let Some(partition) = partition(element.partition()) else { continue };
            let of = TopicPartition::new(*topic, partition);
            if let (Some(position), Some(place)) =
                (known(element.offset()), self.places.get_mut(&of))
            {
                place.read = place.read.max(position);
            }
        }
        let mut fetched = Fetched::default();
        let mut sharing = from.len();
        for (of, asked) in from {
            let share = records_max.saturating_sub(fetched.records.len()).div_ceil(sharing.max(1));
            sharing = sharing.saturating_sub(1);
            let Some(place) = self.places.get_mut(of) else {
                fetched.positions.push((*of, *asked));
                continue;
            };
            let taken = share.min(place.waiting.len());
            fetched.records.extend(place.waiting.drain(..taken));
            place.given = match (place.waiting.front(), fetched.records.last()) {
                (None, _) => place.read,
                (Some(_), Some(last)) if taken > 0 => last.offset.next(),
                _ => place.given,
            };
            fetched.positions.push((*of, place.given));
        }
        Ok(fetched)
    }

    /// Stops reading until the next fetch.
    pub(crate) fn rest(&mut self) -> Result<(), LogError> {
        let is_read = |(_, place): &(&TopicPartition, &Place)| !place.is_paused;
        let read: Vec<_> = self.places.iter().filter(is_read).map(|(of, _)| *of).collect();
        self.pause(&read, true)
    }

    /// What is not asked for is not read without end.
    fn hold_back(&mut self, from: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let is_full = |(of, place): &(&TopicPartition, &Place)| {
            place.waiting.len() > WAITING_RECORDS_MAX && !place.is_paused && !is_among(of, from)
        };
        let full: Vec<_> = self.places.iter().filter(is_full).map(|(of, _)| *of).collect();
        self.pause(&full, true)
    }
}

fn is_among(of: &TopicPartition, positions: &[(TopicPartition, Offset)]) -> bool {
    positions.iter().any(|(known, _)| known == of)
}

fn positions(of: &[(TopicPartition, Offset)]) -> Result<TopicPartitionList, LogError> {
    list(of.iter().map(|(of, offset)| (*of, position(*offset)))).map_err(unreachable)
}
