//! Which instance says that it owns which partition: read from a topic, and written to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eventlog::RequestLog;
use serde::{Deserialize, Serialize};
use streams::{
    ConsumedRecord, Headers, Offset, Partition, ProducedRecord, TopicName, TopicPartition,
};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::clock;
use crate::owners::Owners;
use crate::service::ServiceHandle;

/// How often to look for what others say, where nobody asks for it.
const LOOK: Duration = Duration::from_millis(250);
/// The least time between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How long to wait after a look that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long what another says of a partition that is owned here is left as it is: one of the two
/// is about to learn of its loss.
const CONTRADICTION: Duration = Duration::from_secs(2);
/// How many records one look brings at most.
const RECORDS_MAX: usize = 1_000;

type Known = BTreeMap<Partition, Arc<str>>;

/// The value of a record: where the owner of the partition in its key is reached.
#[derive(Serialize, Deserialize)]
struct Endpoint<'a> {
    url: &'a str,
}

/// Who says that it owns which partition. The topic is followed until this is dropped.
#[derive(Debug)]
pub(super) struct Endpoints {
    own_url: Arc<str>,
    known: watch::Receiver<Known>,
    asked: Arc<Notify>,
    following: AbortHandle,
}

impl Endpoints {
    pub(super) fn follow(service: &ServiceHandle, topic: TopicName, own_url: String) -> Self {
        let own_url: Arc<str> = own_url.into();
        let (told, known) = watch::channel(Known::new());
        let asked = Arc::<Notify>::default();
        let follower = Follower {
            log: service.log(),
            owners: service.owners(),
            place: TopicPartition::new(topic, Partition(0)),
            own_url: Arc::clone(&own_url),
            position: Offset(0),
            told,
            announced: BTreeMap::new(),
            asked: Arc::clone(&asked),
        };
        let following = tokio::spawn(follower.run()).abort_handle();
        Endpoints { own_url, known, asked, following }
    }

    /// Where another instance is reached that says that it owns a partition.
    pub(super) fn owner(&self, partition: Partition) -> Option<Arc<str>> {
        let known = self.known.borrow();
        known.get(&partition).filter(|url| **url != self.own_url).cloned()
    }

    /// What is known may be wrong: look soon.
    pub(super) fn look(&self) {
        self.asked.notify_one();
    }

    /// Waits until an instance other than this one is the owner of a partition.
    pub(super) async fn other_owner(&self, partition: Partition, than: &Arc<str>) {
        let mut known = self.known.clone();
        let is_other = |known: &Known| known.get(&partition) != Some(than);
        if known.wait_for(is_other).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until anything changes.
    pub(super) async fn changed(&self) {
        let mut known = self.known.clone();
        known.mark_unchanged();
        if known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Reads what is said, and says what is owned here.
struct Follower {
    log: Arc<dyn RequestLog>,
    owners: Arc<Owners>,
    place: TopicPartition,
    own_url: Arc<str>,
    position: Offset,
    told: watch::Sender<Known>,
    /// What this instance has said that it owns, and when.
    announced: BTreeMap<Partition, Instant>,
    asked: Arc<Notify>,
}

impl Follower {
    async fn run(mut self) {
        let mut is_failing = false;
        loop {
            let looked = self.look().await;
            if let Err(error) = &looked
                && !is_failing
            {
                tracing::warn!(topic = %self.place.topic, %error, "owners are not known");
            }
            is_failing = looked.is_err();
            tokio::time::sleep(if is_failing { RETRY } else { LOOK_PAUSE }).await;
            tokio::select! {
                () = self.owners.changed(LOOK) => {}
                () = self.asked.notified() => {}
            }
        }
    }

    /// Reads what is new, and says what is not as it should be.
    async fn look(&mut self) -> Result<(), eventlog::Error> {
        loop {
            let records = self.log.read(self.place, self.position, RECORDS_MAX).await?;
            let Some(last) = records.last() else { break };
            self.position = Offset(last.offset.0 + 1);
            let news: Vec<_> = records.iter().filter_map(endpoint).collect();
            self.told.send_if_modified(|known| {
                let before = known.clone();
                known.extend(news);
                *known != before
            });
        }
        self.announce().await
    }

    async fn announce(&mut self) -> Result<(), eventlog::Error> {
        let owned = self.owners.owned();
        self.announced.retain(|partition, _| owned.contains(partition));
        for partition in owned {
            let is_told = self.told.borrow().get(&partition) == Some(&self.own_url);
            let is_recent = self.announced.get(&partition).map(Instant::elapsed);
            if is_recent.is_some_and(|ago| is_told || ago < CONTRADICTION) {
                continue;
            }
            self.log.append(self.record(partition)).await?;
            self.announced.insert(partition, Instant::now());
        }
        Ok(())
    }

    fn record(&self, partition: Partition) -> ProducedRecord {
        ProducedRecord {
            destination: self.place,
            timestamp: clock::now(),
            key: Some(Bytes::from(partition.to_string())),
            value: Some(streams::json_bytes(&Endpoint { url: &self.own_url })),
            headers: Headers::default(),
        }
    }
}

/// What a record says. One that cannot be read says nothing.
fn endpoint(record: &ConsumedRecord) -> Option<(Partition, Arc<str>)> {
    let key = std::str::from_utf8(record.key.as_ref()?).ok()?;
    let Endpoint { url } = serde_json::from_slice(record.value.as_ref()?).ok()?;
    Some((Partition(key.parse().ok()?), url.into()))
}
