//! The services of the suite's groups: nothing runs them, but the simulated log knows groups by
//! their services.

use bytes::Bytes;
use eventlog::{Retention, TopicConfig};
use streams::{DecodeError, Key, Store, Topic, TopicName, Topology, TopologyBuilder};

/// A group that no topic is kept for, under whatever name it joins.
pub(super) const ANOTHER_GROUP: &str = "another-group";
/// The group of those who read from outside. Nobody joins it.
pub(super) const READERS: &str = "readers";

const DEAD_LETTERS: TopicName = TopicName::new("dead-letters");
const STOCK: Store<Name, ()> = Store::new("stock");
const RESERVED: Store<Name, ()> = Store::new("reserved");

struct Name(Bytes);

impl Key for Name {
    fn encode(&self) -> Bytes {
        self.0.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Name(Bytes::copy_from_slice(bytes)))
    }
}

/// The service of a group.
pub(super) fn of(group: &'static str, topics: &[TopicConfig]) -> Topology {
    let sources = topics.iter().filter(|topic| topic.retention != Retention::Compacted);
    let builder = sources.fold(TopologyBuilder::new(group, DEAD_LETTERS), |builder, topic| {
        let topic: Topic<Name, ()> = Topic::new(topic.name.as_str());
        builder
            .stream(&topic, topic.name().as_str(), |_, _| Ok(()))
            .with_store(&STOCK)
            .with_store(&RESERVED)
    });
    builder.build().expect("it has a source")
}
