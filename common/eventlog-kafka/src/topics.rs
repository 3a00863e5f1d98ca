//! Creating the topics that are missing, and refusing those that are there in another way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use eventlog::{Retention, TopicConfig};
use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use crate::changelog::Service;
use crate::clock::Deadline;
use crate::error::Error;
use crate::settings::Settings;

/// For how long a changelog keeps the word that a key was deleted: a store that was not written
/// for longer could keep the key for ever.
pub(crate) const DELETIONS_KEPT: Duration = Duration::from_hours(7 * 24);
/// Records are not compacted away before this, so whoever has looked up an end finds all that lay
/// before it. No member of a group is silent for so long.
const COMPACTION_LAG: Duration = Duration::from_mins(10);
/// Only whole segments are compacted: small ones keep a restore short.
const COMPACTED_SEGMENT_BYTES: &str = "67108864";
/// How long to wait for one answer while looking for a broker.
const ATTEMPT: Duration = Duration::from_secs(2);

type Client = AdminClient<DefaultClientContext>;

/// A topic as it is to be.
struct Wanted {
    name: &'static str,
    /// What an existing topic must have, too.
    needed: Vec<(&'static str, String)>,
    /// What only new topics get: others may have changed it.
    suggested: Vec<(&'static str, String)>,
}

impl Wanted {
    fn topic(config: &TopicConfig) -> Self {
        let name = config.name.as_str();
        match config.retention {
            // What was consumed may be purged, but never by age.
            Retention::Forever | Retention::UntilConsumed { .. } => Wanted {
                name,
                needed: vec![
                    ("cleanup.policy", "delete".to_owned()),
                    ("retention.ms", "-1".to_owned()),
                    ("retention.bytes", "-1".to_owned()),
                    ("message.timestamp.type", "CreateTime".to_owned()),
                ],
                suggested: Vec::new(),
            },
            Retention::Compacted => Wanted::compacted(name),
        }
    }

    fn compacted(name: &'static str) -> Self {
        Wanted {
            name,
            needed: vec![
                ("cleanup.policy", "compact".to_owned()),
                ("message.timestamp.type", "CreateTime".to_owned()),
                ("min.compaction.lag.ms", COMPACTION_LAG.as_millis().to_string()),
            ],
            suggested: vec![("segment.bytes", COMPACTED_SEGMENT_BYTES.to_owned())],
        }
    }

    fn changelog(service: &Service) -> Self {
        let mut wanted = Wanted::compacted(service.changelog.as_str());
        wanted.needed.push(("delete.retention.ms", DELETIONS_KEPT.as_millis().to_string()));
        wanted
    }

    fn new_topic(&self, settings: &Settings) -> NewTopic<'_> {
        let partitions = i32::try_from(settings.partitions).unwrap_or(i32::MAX);
        let replication = TopicReplication::Fixed(settings.replication);
        let topic = NewTopic::new(self.name, partitions, replication);
        let configs = self.needed.iter().chain(&self.suggested);
        configs.fold(topic, |topic, (name, value)| topic.set(name, value))
    }
}

/// Waits for a broker, creates what is missing and checks what is there. Gives the cluster's id.
pub(crate) fn prepare(
    settings: &Settings,
    topics: &[TopicConfig],
    services: &[Service],
) -> Result<String, Error> {
    let client: Client = settings.client().create().map_err(Error::client)?;
    let deadline = Deadline::after(settings.connect_timeout);
    let found = partitions_of(&wait_for_broker(&client, settings, deadline)?);
    let wanted: Vec<Wanted> =
        topics.iter().map(Wanted::topic).chain(services.iter().map(Wanted::changelog)).collect();
    let (there, missing): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|wanted| found.contains_key(wanted.name));
    let mut there = there;
    let theirs = create(&client, settings, &missing)?;
    there.extend(missing.iter().filter(|wanted| theirs.contains(wanted.name)));
    let found = wait_for_topics(&client, settings, &wanted, deadline)?;
    check_partitions(settings, &wanted, &found)?;
    check_configs(&client, settings, &there)?;
    let cluster = client.inner().fetch_cluster_id(settings.request_timeout);
    cluster.ok_or_else(|| no_answer(settings, "the brokers do not say of which cluster they are"))
}

/// Partitions by topic, of those topics that can be used.
fn partitions_of(metadata: &Metadata) -> BTreeMap<String, usize> {
    let is_ready = |topic: &&rdkafka::metadata::MetadataTopic| {
        topic.error().is_none()
            && !topic.partitions().is_empty()
            && topic.partitions().iter().all(|partition| partition.leader() >= 0)
    };
    let ready = metadata.topics().iter().filter(is_ready);
    ready.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect()
}

fn wait_for_broker(
    client: &Client,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Metadata, Error> {
    let mut is_said = false;
    loop {
        match client.inner().fetch_metadata(None, ATTEMPT.min(deadline.left())) {
            Ok(metadata) => return Ok(metadata),
            Err(error) if deadline.has_passed() => {
                return Err(Error::Unreachable {
                    bootstrap_servers: settings.bootstrap_servers.clone(),
                    waited: settings.connect_timeout,
                    reason: error.to_string(),
                });
            }
            Err(error) if !is_said => {
                let brokers = &settings.bootstrap_servers;
                tracing::warn!(brokers, %error, "waiting for Kafka");
                is_said = true;
            }
            Err(_) => {}
        }
    }
}

/// Creates these topics. Gives the names of those that somebody else has created meanwhile.
fn create(
    client: &Client,
    settings: &Settings,
    missing: &[&Wanted],
) -> Result<BTreeSet<String>, Error> {
    let mut theirs = BTreeSet::new();
    if missing.is_empty() {
        return Ok(theirs);
    }
    let new: Vec<NewTopic<'_>> = missing.iter().map(|wanted| wanted.new_topic(settings)).collect();
    let options = options(settings).operation_timeout(Some(settings.request_timeout));
    let results = block_on(client.create_topics(&new, &options));
    let results = results.map_err(|error| failed(settings, error))?;
    for result in results {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => {
                theirs.insert(topic);
            }
            Err((_, code)) if is_passing(code) => return Err(no_answer(settings, code)),
            Err((topic, code)) => {
                return Err(Error::NotCreated { topic, reason: code.to_string() });
            }
        }
    }
    Ok(theirs)
}

/// Waits until every broker's client can see them.
fn wait_for_topics(
    client: &Client,
    settings: &Settings,
    wanted: &[Wanted],
    deadline: Deadline,
) -> Result<BTreeMap<String, usize>, Error> {
    loop {
        let found = partitions_of(&wait_for_broker(client, settings, deadline)?);
        let Some(missing) = wanted.iter().find(|wanted| !found.contains_key(wanted.name)) else {
            return Ok(found);
        };
        if deadline.has_passed() {
            let reason = "it did not appear in time".to_owned();
            return Err(Error::NotCreated { topic: missing.name.to_owned(), reason });
        }
    }
}

fn check_partitions(
    settings: &Settings,
    wanted: &[Wanted],
    found: &BTreeMap<String, usize>,
) -> Result<(), Error> {
    for Wanted { name, .. } in wanted {
        let partitions = found.get(*name).copied().unwrap_or_default();
        if partitions != settings.partitions as usize {
            return Err(wrong(name, "partitions", partitions, settings.partitions));
        }
    }
    Ok(())
}

fn check_configs(client: &Client, settings: &Settings, there: &[&Wanted]) -> Result<(), Error> {
    if there.is_empty() {
        return Ok(());
    }
    let asked: Vec<ResourceSpecifier<'_>> =
        there.iter().map(|wanted| ResourceSpecifier::Topic(wanted.name)).collect();
    let found = block_on(client.describe_configs(&asked, &options(settings)));
    for config in found.map_err(|error| failed(settings, error))? {
        let config = config.map_err(|code| failed(settings, KafkaError::AdminOp(code)))?;
        let OwnedResourceSpecifier::Topic(name) = &config.specifier else { continue };
        if let Some(wanted) = there.iter().find(|wanted| wanted.name == name) {
            check_config(wanted, &config)?;
        }
    }
    Ok(())
}

fn check_config(wanted: &Wanted, found: &ConfigResource) -> Result<(), Error> {
    for (setting, value) in &wanted.needed {
        let found = found.get(setting).and_then(|entry| entry.value.as_deref()).unwrap_or("unset");
        let is_enough = match (found.parse::<i64>(), value.parse::<i64>()) {
            // Times may be longer, but what is kept for ever is not kept for a while.
            (Ok(found), Ok(wanted)) => found == wanted || (wanted > 0 && found > wanted),
            _ => found == value,
        };
        if !is_enough {
            return Err(wrong(wanted.name, setting, found, value));
        }
    }
    Ok(())
}

fn wrong(topic: &str, setting: &str, found: impl fmt::Display, wanted: impl fmt::Display) -> Error {
    Error::Topic {
        topic: topic.to_owned(),
        setting: setting.to_owned(),
        found: found.to_string(),
        wanted: wanted.to_string(),
    }
}

/// What a call that failed means.
fn failed(settings: &Settings, error: KafkaError) -> Error {
    match error {
        KafkaError::AdminOp(code) if is_passing(code) => no_answer(settings, code),
        error => Error::client(error),
    }
}

fn no_answer(settings: &Settings, reason: impl fmt::Display) -> Error {
    Error::Unreachable {
        bootstrap_servers: settings.bootstrap_servers.clone(),
        waited: settings.request_timeout,
        reason: reason.to_string(),
    }
}

/// Whether a broker says so while it goes down or comes up. One that has just started does not
/// know all topics yet.
const fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerNotAvailable
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::NetworkException
            | RDKafkaErrorCode::NotController
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

pub(crate) fn options(settings: &Settings) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(settings.request_timeout))
}
