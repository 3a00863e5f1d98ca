//! Reads of a task's state from outside: certain, current, and waited for without a thread.
//!
//! A query goes through these stages:
//!
//! ```text
//!  Fresh --look-up of ends begins--> LookingUp --ends known--> LookedUp --certain--> answered
//!    ^ |                                                       ^  |
//!    | +-- nothing to answer before the next commit --+    commit |
//!    |                                                v        |  v
//!    +------ deadline, or the task starts again ------ Parked: waits for a record or a key
//! ```
//!
//! The look-up must have begun after the query arrived: what it shows beyond what the task has
//! committed could be another owner's work, and then the task's state must not be shown. A commit
//! of the task shows as much, so a query that has to wait for one anyway needs no look-up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use timestamp::Timestamp;

use crate::commit::{CommitPosition, StoreChange};
use crate::record::{Offset, Partition, TopicName};
use crate::state::{StateError, StateReader};
use crate::topic::StoreName;

/// Names a query to whoever asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// What entries must be like for a query to be answered before its deadline. Shared, so that a
/// query that reached a former owner can be asked again.
pub type Condition = Arc<dyn Fn(&[Option<Bytes>]) -> bool + Send + Sync>;

/// A read of entries of one partition's stores.
pub struct Query {
    /// Its name, unique in the worker.
    pub id: QueryId,
    /// The partition.
    pub partition: Partition,
    /// The entries to read. The first decides what counts as a miss.
    pub entries: Vec<(StoreName, Bytes)>,
    /// Answer only when this record has been taken.
    pub after: Option<(TopicName, Offset)>,
    /// Answer only when this holds; a certain miss is answered at once.
    pub until: Option<Condition>,
    /// When to give up.
    pub deadline: Timestamp,
}

impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Query")
            .field("id", &self.id)
            .field("partition", &self.partition)
            .field("entries", &self.entries)
            .field("after", &self.after)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What a query came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryOutcome {
    /// The entries, in the order asked for.
    Found(Vec<Option<Bytes>>),
    /// The entries as they were when the deadline passed without the condition holding.
    TimedOut(Vec<Option<Bytes>>),
    /// The partition is not this worker's: another one is to be asked.
    NotOwner,
    /// The deadline passed before anything certain could be said.
    Unavailable,
}

/// The answer to a query. It may be shown once what it shows is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The query.
    pub query: QueryId,
    /// What it came to.
    pub outcome: QueryOutcome,
    /// A place in the order of commits not before anything it shows.
    pub position: CommitPosition,
}

/// How long a look-up after a passed deadline may take, in milliseconds.
const LAST_LOOK_UP_MS: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    LookingUp,
    LookedUp,
    Parked,
}

#[derive(Debug)]
struct Waiting {
    query: Query,
    stage: Stage,
    /// The deadline has passed: answer with the entries as they are.
    expired: bool,
    ends: QueryEnds,
}

impl Waiting {
    /// Whether there is anything but a look-up that it may have to wait for.
    fn can_wait(&self) -> bool {
        !self.expired && (self.query.after.is_some() || self.query.until.is_some())
    }
}

/// The ends that a query's look-up showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryEnds {
    pub(crate) changelog: Option<Offset>,
    /// Of the sources that may hold what is missed.
    pub(crate) sources: Vec<(TopicName, Offset)>,
}

/// What a worker can say of a running task to judge its queries.
pub(crate) trait TaskView {
    /// Up to where the task knows its changelog.
    fn changelog(&self) -> Offset;
    /// The position after the last committed record of a source.
    fn committed(&self, topic: TopicName) -> Offset;
    /// The position of the task's last commit.
    fn position(&self) -> CommitPosition;
}

/// The queries of a worker that have no answer yet.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    waiting: BTreeMap<QueryId, Waiting>,
    fresh: BTreeSet<(Partition, QueryId)>,
    looking_up: BTreeSet<(Partition, QueryId)>,
    looked_up: BTreeSet<(Partition, QueryId)>,
    parked: BTreeMap<(Partition, StoreName, Bytes), BTreeSet<QueryId>>,
    /// Parked for a record that has not been taken.
    awaiting: BTreeSet<(Partition, QueryId)>,
    deadlines: BTreeSet<(Timestamp, QueryId)>,
    /// Partitions in which a looked-up query may have become answerable.
    changed: BTreeSet<Partition>,
    answers: Vec<Answer>,
}

impl Queries {
    pub(crate) fn add(&mut self, query: Query) {
        let (id, partition) = (query.id, query.partition);
        self.deadlines.insert((query.deadline, id));
        let ends = QueryEnds::default();
        self.waiting.insert(id, Waiting { query, stage: Stage::Fresh, expired: false, ends });
        self.fresh.insert((partition, id));
    }

    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Whether a query waits for a change in this partition.
    pub(crate) fn has_parked(&self, partition: Partition) -> bool {
        let from = (partition, StoreName::new(""), Bytes::new());
        self.parked.range(from..).next().is_some_and(|((found, ..), _)| *found == partition)
    }

    /// The partitions with queries that need a look-up.
    pub(crate) fn fresh_partitions(&self) -> BTreeSet<Partition> {
        self.fresh.iter().map(|(partition, _)| *partition).collect()
    }

    /// Parks the fresh queries of this partition that cannot be answered before the next commit.
    /// Says whether there are others.
    pub(crate) fn park_fresh(
        &mut self,
        partition: Partition,
        task: &impl TaskView,
        state: &dyn StateReader,
    ) -> Result<bool, StateError> {
        let mut others = false;
        for id in of_partition(&self.fresh, partition) {
            let Some(waiting) = self.waiting.get(&id) else { continue };
            let verdict = waiting.can_wait().then(|| verdict(waiting, task, state)).transpose()?;
            match verdict {
                Some(Verdict::NotYet) => self.await_record(id),
                Some(Verdict::Park) => self.park(id),
                _ => others = true,
            }
        }
        Ok(others)
    }

    /// A look-up begins: the fresh queries of this partition take part in it.
    pub(crate) fn look_up_begins(&mut self, partition: Partition) {
        for id in take_of_partition(&mut self.fresh, partition) {
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.stage = Stage::LookingUp;
                self.looking_up.insert((partition, id));
            }
        }
    }

    /// A look-up ended for this partition; `None` where it failed and is to be done again.
    pub(crate) fn look_up_ended(&mut self, partition: Partition, ends: Option<&QueryEnds>) {
        for id in take_of_partition(&mut self.looking_up, partition) {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            match ends {
                Some(ends) => {
                    waiting.stage = Stage::LookedUp;
                    waiting.ends = ends.clone();
                    self.looked_up.insert((partition, id));
                }
                None => {
                    waiting.stage = Stage::Fresh;
                    self.fresh.insert((partition, id));
                }
            }
        }
        self.changed.insert(partition);
    }

    /// Something moved in this partition that a looked-up query may have waited for.
    pub(crate) fn touch(&mut self, partition: Partition) {
        self.changed.insert(partition);
    }

    /// A commit of this partition holds: whoever waits for one of its keys looks again. The commit
    /// itself shows that the task was the owner after the query had arrived.
    pub(crate) fn committed(&mut self, partition: Partition, changes: &[StoreChange]) {
        self.changed.insert(partition);
        let mut ids = take_of_partition(&mut self.awaiting, partition);
        for change in changes {
            let place = (partition, change.store, change.key.clone());
            ids.extend(self.parked.get(&place).into_iter().flatten());
        }
        for id in ids {
            self.unpark(id);
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.stage = Stage::LookedUp;
                self.looked_up.insert((partition, id));
            }
        }
    }

    /// The task of this partition starts again: what was looked up for it holds no longer.
    pub(crate) fn task_restarts(&mut self, partition: Partition) {
        let ids: Vec<QueryId> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.query.partition == partition)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.make_fresh(id);
        }
    }

    /// The partition is no longer this worker's.
    pub(crate) fn not_owner(&mut self, partition: Partition) {
        self.task_restarts(partition);
        for id in take_of_partition(&mut self.fresh, partition) {
            self.answer(id, QueryOutcome::NotOwner, CommitPosition::default());
        }
    }

    fn make_fresh(&mut self, id: QueryId) {
        self.unpark(id);
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        let partition = waiting.query.partition;
        waiting.stage = Stage::Fresh;
        waiting.ends = QueryEnds::default();
        self.looking_up.remove(&(partition, id));
        self.looked_up.remove(&(partition, id));
        self.fresh.insert((partition, id));
    }

    /// Takes a parked query away from the record or all the entries that it waits for.
    fn unpark(&mut self, id: QueryId) {
        let Some(Waiting { query, stage: Stage::Parked, .. }) = self.waiting.get(&id) else {
            return;
        };
        self.awaiting.remove(&(query.partition, id));
        for (store, key) in &query.entries {
            let place = (query.partition, *store, key.clone());
            if let Some(ids) = self.parked.get_mut(&place) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.parked.remove(&place);
                }
            }
        }
    }

    /// Sees to the queries whose deadline has passed. Each is looked up once more and answered with
    /// what there is; one whose time for that is over too cannot be answered.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            if waiting.expired {
                self.answer(id, QueryOutcome::Unavailable, CommitPosition::default());
                continue;
            }
            waiting.expired = true;
            waiting.query.deadline = now + LAST_LOOK_UP_MS;
            self.deadlines.insert((waiting.query.deadline, id));
            self.changed.insert(waiting.query.partition);
            // One whose look-up is under way or over needs no other.
            if waiting.stage == Stage::Parked {
                self.make_fresh(id);
            }
        }
    }

    /// Partitions in which looked-up queries are to be judged again.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.changed)
    }

    /// Answers the looked-up queries of a partition that can be answered. Says whether one of them
    /// needs the changelog to be read on.
    pub(crate) fn judge(
        &mut self,
        partition: Partition,
        task: &impl TaskView,
        state: &dyn StateReader,
    ) -> Result<bool, StateError> {
        let mut gap = false;
        for id in of_partition(&self.looked_up, partition) {
            let Some(waiting) = self.waiting.get(&id) else { continue };
            match verdict(waiting, task, state)? {
                Verdict::BehindChangelog => gap = true,
                Verdict::NotYet if waiting.expired => {
                    self.answer(id, QueryOutcome::Unavailable, CommitPosition::default());
                }
                Verdict::NotYet => {}
                Verdict::Answer(outcome) => self.answer(id, outcome, task.position()),
                Verdict::Park => self.park(id),
            }
        }
        Ok(gap)
    }

    fn park(&mut self, id: QueryId) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        let partition = waiting.query.partition;
        waiting.stage = Stage::Parked;
        self.fresh.remove(&(partition, id));
        self.looked_up.remove(&(partition, id));
        for (store, key) in &waiting.query.entries {
            self.parked.entry((partition, *store, key.clone())).or_default().insert(id);
        }
    }

    /// Parks a query for the record that it wants taken.
    fn await_record(&mut self, id: QueryId) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        waiting.stage = Stage::Parked;
        self.fresh.remove(&(waiting.query.partition, id));
        self.awaiting.insert((waiting.query.partition, id));
    }

    fn answer(&mut self, id: QueryId, outcome: QueryOutcome, position: CommitPosition) {
        if self.forget(id) {
            self.answers.push(Answer { query: id, outcome, position });
        }
    }

    /// Drops a query, wherever it is. Whether it was there.
    pub(crate) fn forget(&mut self, id: QueryId) -> bool {
        self.make_fresh(id);
        let Some(waiting) = self.waiting.remove(&id) else { return false };
        self.fresh.remove(&(waiting.query.partition, id));
        self.deadlines.remove(&(waiting.query.deadline, id));
        true
    }
}

enum Verdict {
    BehindChangelog,
    NotYet,
    Park,
    Answer(QueryOutcome),
}

fn verdict(
    waiting: &Waiting,
    task: &impl TaskView,
    state: &dyn StateReader,
) -> Result<Verdict, StateError> {
    let Waiting { query, ends, expired, .. } = waiting;
    if ends.changelog.is_some_and(|end| end > task.changelog()) {
        return Ok(Verdict::BehindChangelog);
    }
    if query.after.is_some_and(|(topic, offset)| task.committed(topic) <= offset) {
        return Ok(Verdict::NotYet);
    }
    let entries = query
        .entries
        .iter()
        .map(|(store, key)| state.get(query.partition, *store, key))
        .collect::<Result<Vec<_>, _>>()?;
    if entries.first().is_none_or(Option::is_none) {
        let certain = ends.sources.iter().all(|(topic, end)| task.committed(*topic) >= *end);
        return Ok(if certain {
            Verdict::Answer(QueryOutcome::Found(entries))
        } else {
            Verdict::NotYet
        });
    }
    Ok(match &query.until {
        Some(condition) if !condition(&entries) => {
            if *expired {
                Verdict::Answer(QueryOutcome::TimedOut(entries))
            } else {
                Verdict::Park
            }
        }
        _ => Verdict::Answer(QueryOutcome::Found(entries)),
    })
}

fn of_partition(set: &BTreeSet<(Partition, QueryId)>, partition: Partition) -> Vec<QueryId> {
    let range = (partition, QueryId(0))..=(partition, QueryId(u64::MAX));
    set.range(range).map(|(_, id)| *id).collect()
}

fn take_of_partition(
    set: &mut BTreeSet<(Partition, QueryId)>,
    partition: Partition,
) -> Vec<QueryId> {
    let ids = of_partition(set, partition);
    for id in &ids {
        set.remove(&(partition, *id));
    }
    ids
}
