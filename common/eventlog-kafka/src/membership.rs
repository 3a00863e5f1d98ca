//! A session's place in its group. A thread polls for it, so that partitions change hands whatever
//! the session's own thread is at.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventlog::{Membership, Waker};
use krafka::consumer::ConsumerGroupMetadata;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, TopicPartitionList};
use streams::{Offset, Partition, TopicPartition};

use crate::error::{Error, unreachable};
use crate::log;
use crate::native;
use crate::ownership::{Ownership, whole_partitions};
use crate::records::{answered, list, partition};
use crate::requests::Broker;

/// How long one poll waits. Who the session is in its group is known as of the last poll, and it
/// may change without its partitions; a commit that does not know yet is aborted and tried again.
const POLL: Duration = Duration::from_millis(100);
/// How long partitions are kept for the session to hear that they will go: whoever knows loses
/// nothing of its other work. One that is busy for longer finds its next commit refused.
const HANDOVER_MAX: Duration = Duration::from_secs(1);

/// How long to wait for a sign of life from a broker.
const PROBE: Duration = Duration::from_millis(500);

/// A member of a group.
pub(crate) struct Member {
    /// Taken when the member leaves.
    client: Option<Arc<Client>>,
    shared: Arc<Shared>,
    left: Receiver<()>,
    close_timeout: Duration,
}

type Client = BaseConsumer<Callbacks>;

/// What the session's thread and the polling thread share.
struct Shared {
    /// Held while a commit is under way: partitions are given up before it or after it, never in
    /// the middle.
    ownership: Mutex<Ownership>,
    told: Condvar,
    is_leaving: AtomicBool,
    broker: Arc<Broker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ownership> {
        self.ownership.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client calls from within a poll.
struct Callbacks {
    shared: Arc<Shared>,
    waker: Waker,
    group: &'static str,
    topics: usize,
    partitions: u32,
}

impl ClientContext for Callbacks {}

impl ConsumerContext for Callbacks {
    /// What is revoked is given up before the broker is told so: a commit that is under way ends
    /// first, and none begins afterwards.
    fn pre_rebalance(&self, client: &Client, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(revoked) = rebalance {
            let revoked = places(revoked);
            let mut remaining = assigned(client);
            remaining.retain(|place| !revoked.contains(place));
            let is_lost = client.assignment_lost();
            self.give_up(&remaining, is_lost);
        }
    }

    /// A member that reads nothing: its session reads what it wants by itself.
    fn post_rebalance(&self, client: &Client, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(gained) => {
                if let Err(error) = client.pause(gained) {
                    tracing::warn!(%error, "partitions are read twice: they cannot be paused");
                }
                let (owned, trouble) = self.whole(&assigned(client));
                let metadata = native::identity(client, self.group);
                let mut ownership = self.shared.lock();
                ownership.set_owned(&owned);
                ownership.set_metadata(metadata);
                ownership.set_trouble(trouble);
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
        (self.waker)();
    }
}

impl Callbacks {
    fn whole(
        &self,
        assigned: &BTreeSet<(String, Partition)>,
    ) -> (BTreeSet<Partition>, Option<String>) {
        let (owned, trouble) = whole_partitions(assigned, self.topics, self.partitions);
        if let Some(trouble) = &trouble {
            tracing::warn!(trouble, "partitions that do not go together");
        }
        (owned, trouble)
    }

    fn give_up(&self, remaining: &BTreeSet<(String, Partition)>, is_lost: bool) {
        let (owned, _) = whole_partitions(remaining, self.topics, self.partitions);
        let mut ownership = self.shared.lock();
        let is_leaving = self.shared.is_leaving.load(Ordering::Acquire);
        if ownership.begin_leaving(&owned) && !is_lost && !is_leaving {
            (self.waker)();
            let wait = self.shared.told.wait_timeout_while(ownership, HANDOVER_MAX, |ownership| {
                ownership.has_untold() && !self.shared.is_leaving.load(Ordering::Acquire)
            });
            ownership = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        ownership.set_owned(&owned);
    }
}

fn assigned(client: &Client) -> BTreeSet<(String, Partition)> {
    client.assignment().map(|list| places(&list)).unwrap_or_default()
}

fn places(list: &TopicPartitionList) -> BTreeSet<(String, Partition)> {
    let place = |(topic, raw): (String, i32)| partition(raw).map(|number| (topic, number));
    list.to_topic_map().into_keys().filter_map(place).collect()
}

impl Member {
    /// Joins a group. `waker` is called when what the member owns changes or is about to.
    pub(crate) fn join(
        log: &log::Shared,
        membership: &Membership,
        waker: Waker,
    ) -> Result<Self, Error> {
        let settings = &log.settings;
        let shared = Arc::new(Shared {
            ownership: Mutex::default(),
            told: Condvar::new(),
            is_leaving: AtomicBool::new(false),
            broker: Arc::clone(&log.broker),
        });
        let callbacks = Callbacks {
            shared: Arc::clone(&shared),
            waker,
            group: membership.group,
            topics: membership.sources.len(),
            partitions: settings.partitions,
        };
        let config = settings.member(membership.group);
        let client: Client = config.create_with_context(callbacks).map_err(Error::client)?;
        let topics: Vec<&str> = membership.sources.iter().map(|topic| topic.as_str()).collect();
        client.subscribe(&topics).map_err(Error::client)?;
        let client = Arc::new(client);
        let (ended, left) = channel::<()>();
        let group = membership.group;
        let (polled, polling) = (Arc::clone(&client), Arc::clone(&shared));
        std::thread::Builder::new()
            .name(format!("{group}-member"))
            .spawn(move || {
                poll(&polled, group, &polling);
                // Leaves the group. This is the last owner: see `Drop`.
                drop(polled);
                drop(ended);
            })
            .map_err(Error::client)?;
        Ok(Member { client: Some(client), shared, left, close_timeout: settings.close_timeout })
    }

    /// What the session owns. Locked until the guard is dropped: nothing is given up meanwhile.
    pub(crate) fn ownership(&self) -> MutexGuard<'_, Ownership> {
        self.shared.lock()
    }

    /// Tells those who wait to give partitions up that the session has heard of it.
    pub(crate) fn has_told(&self) {
        self.shared.told.notify_all();
    }

    /// Whether this is who the member is now.
    pub(crate) fn is(&self, known: &ConsumerGroupMetadata) -> bool {
        let client = self.client.as_ref();
        let now = client.and_then(|client| native::identity(client, known.group_id()));
        now.is_some_and(|now| now == *known)
    }

    /// The offsets that the group has committed. Stable: where a transaction with offsets is open,
    /// it is waited for.
    pub(crate) fn committed(
        &self,
        of: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<(TopicPartition, Offset)>, eventlog::Error> {
        let client = self.client.as_ref().ok_or_else(|| unreachable("the session has ended"))?;
        let offsets = committed(client, of, timeout)?;
        let known = |(of, offset): (&TopicPartition, Option<Offset>)| Some((*of, offset?));
        Ok(of.iter().zip(offsets).filter_map(known).collect())
    }
}

/// How far the group that a client is set up for has committed in each of these partitions; `None`
/// where it has not begun.
pub(crate) fn committed<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    of: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<Offset>>, eventlog::Error> {
    let asked = list(of.iter().map(|of| (*of, rdkafka::Offset::Invalid))).map_err(unreachable)?;
    let unknown =
        |error| unreachable(format!("what the group has committed is not known: {error}"));
    let found = client.committed_offsets(asked, timeout).map_err(unknown)?;
    of.iter().map(|of| answered(&found, *of)).collect()
}

/// Serves the group until the session ends.
fn poll(client: &Client, group: &str, shared: &Shared) {
    while !shared.is_leaving.load(Ordering::Acquire) {
        if let Some(Err(error)) = client.poll(POLL) {
            note(shared, &error);
        }
        // While a commit is under way the next poll is soon enough.
        if let Ok(mut ownership) = shared.ownership.try_lock() {
            ownership.set_metadata(native::identity(client, group));
        }
        // Somebody has to notice that a broker is back, also where nobody asks it for anything.
        if !shared.broker.is_there() && client.fetch_metadata(None, PROBE).is_ok() {
            shared.broker.has_answered();
        }
    }
}

/// The client goes on by itself after all errors but fatal ones.
fn note(shared: &Shared, error: &KafkaError) {
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        tracing::error!(%error, "membership of the group failed for good");
        shared.lock().set_trouble(Some(error.to_string()));
    } else {
        tracing::debug!(%error, "membership of the group goes on after an error");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.is_leaving.store(true, Ordering::Release);
        self.shared.told.notify_all();
        drop(self.client.take());
        // Leaving asks the broker, and may hang where it does not answer.
        if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) =
            self.left.recv_timeout(self.close_timeout)
        {
            tracing::warn!("the group was not left in time: its broker finds out by itself");
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Member").finish_non_exhaustive()
    }
}
