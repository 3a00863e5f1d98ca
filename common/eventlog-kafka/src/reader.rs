//! Reading committed records from positions of one's own choice, outside any group's sharing out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use eventlog::{Error as LogError, Waker};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, TopicPartitionList};
use streams::{ConsumedRecord, Fetched, Offset, TopicName, TopicPartition};

use crate::clock::Deadline;
use crate::ends::{Ends, ends_of};
use crate::error::{Error, unreachable};
use crate::native;
use crate::records::{consumed, known, list, partition, position, raw_partition};
use crate::remarks::{self, Remarks};
use crate::settings::Settings;
use crate::watch::Watch;

/// A partition that nobody asks for is read no further when this many of its records wait.
const WAITING_RECORDS_MAX: usize = 2_000;
/// How long one look for records takes. Progress over markers and aborted records wakes nobody, so
/// a reader that waits looks often.
const LOOK: Duration = Duration::from_millis(2);
/// How long a request takes at most whose answer nothing depends on.
const LOOK_UP_TIME_MAX: Duration = Duration::from_millis(500);

/// Reads committed records. Assigns partitions to itself one by one (an assignment as a whole
/// would start all of them again) and keeps what came for those that were not asked for.
pub(crate) struct Reader {
    config: ClientConfig,
    wake: Waker,
    client: Client,
    ends: Arc<Ends>,
    watch: Watch,
    places: BTreeMap<TopicPartition, Place>,
    topics: BTreeMap<&'static str, TopicName>,
    timeout: Duration,
}

type Client = BaseConsumer<Remarks>;

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
    /// A reader that reads nothing yet, with a client of this kind. `wake` is called when something
    /// comes.
    pub(crate) fn new(
        settings: &Settings,
        config: ClientConfig,
        ends: Arc<Ends>,
        wake: Waker,
    ) -> Result<Self, Error> {
        Ok(Reader {
            client: client(&config, &wake).map_err(Error::client)?,
            config,
            wake,
            ends,
            // An open transaction that hides what is there is ended by its time-out before that.
            watch: Watch::of_interval(2 * settings.transaction_timeout),
            places: BTreeMap::new(),
            topics: BTreeMap::new(),
            timeout: settings.request_timeout,
        })
    }

    /// Committed records from these positions on, about `records_max`. Where there are none yet it
    /// waits for this long.
    pub(crate) fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
        wait: Duration,
    ) -> Result<Fetched, LogError> {
        self.see_to_progress(from)?;
        let deadline = Deadline::after(wait);
        loop {
            self.move_to(from)?;
            let is_drained = self.poll(records_max, wait)?;
            self.hold_back(from)?;
            let fetched = self.hand_out(from, records_max)?;
            // Nobody is woken for what the client has still to give.
            let is_in_hand = fetched.positions != from;
            if is_in_hand && !is_drained {
                (self.wake)();
            }
            if is_in_hand || (is_drained && deadline.has_passed()) {
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
        if !moved.is_empty()
            && let Err(error) = self.seek(&moved)
        {
            // It may still get there, behind the back of this reader.
            self.start_over()?;
            return Err(error);
        }
        let is_wanted = |(of, place): &(&TopicPartition, &Place)| {
            place.is_paused && place.waiting.is_empty() && is_among(of, from)
        };
        let wanted: Vec<_> = self.places.iter().filter(is_wanted).map(|(of, _)| *of).collect();
        self.pause(&wanted, false)?;
        self.wake_for(&wanted);
        Ok(())
    }

    /// Where all of a broker's partitions were paused, the client's thread for that broker sleeps
    /// for up to a second before it sees that one is read on. A request wakes it, whatever the
    /// answer.
    fn wake_for(&self, of: &[TopicPartition]) {
        if let Err(error) = ends_of(&self.client, of, rdkafka::Offset::End, LOOK_UP_TIME_MAX) {
            tracing::debug!(%error, "the reader is not woken");
        }
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
            self.poll(1, LOOK)?;
            if self.places.is_empty() {
                // With a new client: whoever fetches moves it.
                return Ok(());
            }
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
    /// all: only a queue that was empty wakes anybody when something comes.
    fn poll(&mut self, records_max: usize, wait: Duration) -> Result<bool, LogError> {
        let mut timeout = wait.min(LOOK);
        let mut polled = 0;
        while polled < records_max {
            let next = remarks::poll(&self.client, timeout);
            timeout = Duration::ZERO;
            let message = match next {
                None => return Ok(true),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.judge(&error)?;
                    continue;
                }
            };
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
    /// was. What nobody asks for may be another's by now, who has purged it; for the rest the next
    /// move tells.
    fn judge(&mut self, error: &KafkaError) -> Result<(), LogError> {
        let code = error.rdkafka_error_code();
        if !matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        ) {
            tracing::debug!(%error, "the reader goes on after an error");
            return Ok(());
        }
        tracing::debug!(%error, "the reader starts over");
        self.start_over()
    }

    /// Goes on with a new client that reads nothing yet. One that has given a partition up cannot
    /// be brought to read it again: it refuses to seek there, and assigned anew it still shows the
    /// position from before.
    fn start_over(&mut self) -> Result<(), LogError> {
        let new = client(&self.config, &self.wake).map_err(unreachable)?;
        let old = std::mem::replace(&mut self.client, new);
        self.places.clear();
        self.watch.forget();
        // Closing may wait for the broker.
        std::thread::spawn(move || drop(old));
        // A client that reads nothing wakes nobody.
        (self.wake)();
        Ok(())
    }

    /// Starts over where the client does not read what there is. After a broker was away it has
    /// been seen to leave a partition out, without a word.
    fn see_to_progress(&mut self, from: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        if !self.watch.is_due() {
            return Ok(());
        }
        let is_read =
            |(of, place): &(&TopicPartition, &Place)| !place.is_paused && is_among(of, from);
        let read = self.places.iter().filter(is_read).map(|(of, place)| (*of, place.read));
        let (of, positions): (Vec<_>, Vec<_>) = read.unzip();
        // Up to an open transaction: what comes behind it is read by nobody.
        let Ok(ends) = self.ends.readable(&of, LOOK_UP_TIME_MAX) else { return Ok(()) };
        let read = of.into_iter().zip(positions.into_iter().zip(ends)).collect();
        if let Some((of, position)) = self.watch.look(read) {
            tracing::warn!(%of, %position, "the reader starts over: it does not get on");
            self.start_over()?;
        }
        Ok(())
    }

    /// Hands out what waits for these partitions, to each its share.
    fn hand_out(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, LogError> {
        let places = self.places.keys().map(|of| (*of, rdkafka::Offset::Invalid));
        let passed = native::positions(&self.client, list(places).map_err(unreachable)?);
        let passed = passed.map_err(unreachable)?;
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
        self.watch.forget();
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

fn client(config: &ClientConfig, wake: &Waker) -> Result<Client, KafkaError> {
    let mut client: Client = config.create_with_context(Remarks::default())?;
    let wake = Arc::clone(wake);
    client.set_nonempty_callback(move || wake());
    Ok(client)
}

fn is_among(of: &TopicPartition, positions: &[(TopicPartition, Offset)]) -> bool {
    positions.iter().any(|(known, _)| known == of)
}

fn positions(of: &[(TopicPartition, Offset)]) -> Result<TopicPartitionList, LogError> {
    list(of.iter().map(|(of, offset)| (*of, position(*offset)))).map_err(unreachable)
}

#[cfg(test)]
mod tests {
    use eventlog::RequestLog as _;
    use futures_executor::block_on;
    use rdkafka::config::RDKafkaLogLevel;
    use streams::{Headers, Partition, ProducedRecord, Timestamp};

    use super::*;
    use crate::tests::setup::{Setup, WITHIN};

    #[test]
    fn a_client_that_says_a_lot_is_heard_to_the_end() {
        let Some(setup) = Setup::find() else { return };
        let log = setup.connect();
        let of = TopicPartition::new(setup.requests, Partition(0));
        let settings = setup.settings();
        let mut config = settings.reader("reading");
        config.set("debug", "broker").set_log_level(RDKafkaLogLevel::Debug);
        let ends = Arc::clone(&log.shared.ends);
        let mut reader = Reader::new(&settings, config, ends, Arc::new(|| ())).unwrap();
        // Whatever the answer, by then it has said a lot.
        let _ = ends_of(&reader.client, &[of], rdkafka::Offset::End, WITHIN);

        assert!(reader.poll(1, Duration::ZERO).unwrap());

        let said = reader.client.context().count();
        assert!(said > 2, "{said}");
    }

    #[test]
    fn a_partition_that_the_client_does_not_read_is_noticed_and_read_again() {
        let Some(setup) = Setup::find() else { return };
        let log = setup.connect();
        let of = TopicPartition::new(setup.requests, Partition(0));
        let settings =
            Settings { transaction_timeout: Duration::from_millis(100), ..setup.settings() };
        let ends = Arc::clone(&log.shared.ends);
        let config = settings.reader("reading");
        let mut reader = Reader::new(&settings, config, ends, Arc::new(|| ())).unwrap();
        let deadline = Deadline::after(WITHIN);
        // The broker has just made the topic, and may not know yet that it leads it.
        while let Err(error) = reader.fetch(&[(of, Offset(0))], 1, LOOK) {
            assert!(!deadline.has_passed(), "{error}");
        }

        let paused = list([(of, rdkafka::Offset::Invalid)]).unwrap();
        reader.client.pause(&paused).unwrap();
        let record = ProducedRecord {
            destination: of,
            timestamp: Timestamp::EPOCH,
            key: None,
            value: None,
            headers: Headers::default(),
        };
        block_on(log.append(record)).unwrap();

        while reader.fetch(&[(of, Offset(0))], 1, LOOK).unwrap().records.is_empty() {
            assert!(!deadline.has_passed(), "{:?}", reader.places);
        }
    }
}
