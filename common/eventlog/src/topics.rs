//! The topics of a log and their partitions.

use streams::{Offset, TopicName, TopicPartition};

use crate::error::Error;
use crate::log::TopicConfig;
use crate::tail::Tail;

/// A topic and the newest records of its partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) config: TopicConfig,
    pub(crate) tails: Vec<Tail>,
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    partitions: u32,
    /// A few, so that looking at the length of each name is the quickest way to one of them.
    all: Vec<Topic>,
}

impl Topics {
    pub(crate) fn new(configs: Vec<TopicConfig>, partitions: u32) -> Self {
        assert!(partitions > 0, "a topic has at least one partition");
        let tails = || (0..partitions).map(|_| Tail::default()).collect();
        let topic = |config| Topic { config, tails: tails() };
        Topics { partitions, all: configs.into_iter().map(topic).collect() }
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.all.iter_mut()
    }

    pub(crate) fn index_of(&self, topic: TopicName) -> Result<usize, Error> {
        let index = self.all.iter().position(|known| known.config.name == topic);
        index.ok_or(Error::UnknownTopic(topic))
    }

    /// A partition; one beyond the number of partitions is a topic that is not there.
    pub(crate) fn partition(&self, of: TopicPartition) -> Result<&Tail, Error> {
        let topic = &self.all[self.index_of(of.topic)?];
        topic.tails.get(of.partition.0 as usize).ok_or(Error::UnknownTopic(of.topic))
    }

    pub(crate) fn partition_mut(&mut self, of: TopicPartition) -> Result<&mut Tail, Error> {
        let index = self.index_of(of.topic)?;
        let tail = self.all[index].tails.get_mut(of.partition.0 as usize);
        tail.ok_or(Error::UnknownTopic(of.topic))
    }

    /// A partition, where `position` is one of its positions.
    pub(crate) fn readable(&self, of: TopicPartition, position: Offset) -> Result<&Tail, Error> {
        let tail = self.partition(of)?;
        if position < tail.begin() || position > tail.end() {
            return Err(Error::OutOfRange { of, position });
        }
        Ok(tail)
    }
}
