//! Deleting what every group has consumed, from topics that are kept no longer than that.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use eventlog::{Retention, TopicConfig};
use futures_executor::block_on;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;
use streams::{Offset, Partition, TopicName, TopicPartition};

use crate::changelog::Service;
use crate::error::{Error, unreachable};
use crate::membership::committed;
use crate::records::{list, position};
use crate::settings::Settings;
use crate::topics::options;

/// A topic that is kept until these groups have consumed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purged {
    pub(crate) topic: TopicName,
    pub(crate) by: &'static [&'static str],
}

/// Purges now and then, until it is dropped.
pub(crate) struct Purger {
    _running: Sender<()>,
}

impl Purger {
    /// Begins to purge the topics of which one of these services is the first consumer: each topic
    /// has one such service, and several of its instances purge what is purged already.
    pub(crate) fn start(
        settings: &Settings,
        topics: &[TopicConfig],
        services: &[Service],
    ) -> Result<Self, Error> {
        let (running, stopped) = channel();
        let purged = purged(topics, services);
        if !purged.is_empty() {
            let settings = settings.clone();
            std::thread::Builder::new()
                .name("purger".to_owned())
                .spawn(move || purge_all(&settings, &purged, &stopped))
                .map_err(Error::client)?;
        }
        Ok(Purger { _running: running })
    }
}

fn purged(topics: &[TopicConfig], services: &[Service]) -> Vec<Purged> {
    let purged_here = |topic: &TopicConfig| match topic.retention {
        Retention::UntilConsumed { by } => {
            let is_first = services.iter().any(|service| by.first() == Some(&service.group));
            is_first.then_some(Purged { topic: topic.name, by })
        }
        Retention::Forever | Retention::Compacted => None,
    };
    topics.iter().filter_map(purged_here).collect()
}

fn purge_all(settings: &Settings, purged: &[Purged], stopped: &Receiver<()>) {
    while stopped.recv_timeout(settings.purge_pause) == Err(RecvTimeoutError::Timeout) {
        for of in purged {
            if let Err(error) = purge(settings, of) {
                // What is left is purged the next time.
                tracing::debug!(topic = %of.topic, %error, "not purged");
            }
        }
    }
}

/// Deletes from each partition of a topic what all groups have committed past.
pub(crate) fn purge(
    settings: &Settings,
    Purged { topic, by }: &Purged,
) -> Result<(), eventlog::Error> {
    let all = |partition| TopicPartition::new(*topic, Partition(partition));
    let places: Vec<TopicPartition> = (0..settings.partitions).map(all).collect();
    let mut until: Vec<Option<Offset>> = vec![Some(Offset(u64::MAX)); places.len()];
    for group in *by {
        let client: BaseConsumer = settings.reader(group).create().map_err(unreachable)?;
        let committed = committed(&client, &places, settings.request_timeout)?;
        for (until, committed) in until.iter_mut().zip(committed) {
            *until = (*until).min(committed);
        }
    }
    let consumed = places.iter().zip(until);
    let consumed = consumed.filter_map(|(of, until)| Some((*of, position(until?))));
    let offsets = list(consumed).map_err(unreachable)?;
    if offsets.count() == 0 {
        return Ok(());
    }
    let client: AdminClient<DefaultClientContext> =
        settings.client().create().map_err(unreachable)?;
    let deleted = block_on(client.delete_records(&offsets, &options(settings)));
    let deleted = deleted.map_err(unreachable)?;
    deleted.elements().iter().try_for_each(|element| element.error()).map_err(unreachable)
}
