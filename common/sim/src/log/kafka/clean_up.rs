//! What brokers do by the clock: take the silent for dead, end what is open too long, compact,
//! purge, forget.

use eventlog::Retention;
use streams::{Offset, Partition, TopicPartition};

use super::KafkaLog;
use super::transactions::{Marker, TransactionId};
use crate::log::SessionId;
use crate::random::Random;

impl KafkaLog {
    /// Sees to what dead processes have left behind, one thing at a time. At first that takes a
    /// while, as it does; once everything is to come to an end, none.
    pub(super) fn bury(&mut self, random: &mut Random) -> bool {
        if !self.healed && random.below(16) != 0 {
            return false;
        }
        if let Some((service, member)) = self.dead.pop() {
            self.services[service].group.remove(member);
            self.news += 1;
            return true;
        }
        let orphan = self.transactions.open().into_iter().find(|of| !self.is_under_way(*of));
        if let Some(orphan) = orphan {
            self.transactions.time_out(orphan);
        }
        orphan.is_some()
    }

    fn is_under_way(&self, transaction: TransactionId) -> bool {
        self.commits.values().any(|commit| commit.is_of(transaction))
    }

    /// A member is taken for dead, whether or not it is.
    pub(super) fn session_timeout(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        if let Some(member) = session.member {
            self.services[session.place.service].group.remove(member);
            self.news += 1;
        }
    }

    /// Of a group without living members all committed offsets expire, or some of them.
    pub(super) fn expire_offsets(&mut self, service: usize, random: &mut Random) {
        if self.sessions.values().any(|session| session.place.service == service) {
            return;
        }
        let carriers: Vec<TransactionId> = self
            .transactions
            .open()
            .into_iter()
            .chain(self.transactions.unmarked())
            .filter(|of| self.transactions.markers(*of).contains(&Marker::Offsets(service)))
            .collect();
        for transaction in carriers {
            self.transactions.time_out(transaction);
            self.write_markers(transaction);
        }
        let all = random.below(2) == 0;
        self.services[service].group.expire_offsets(|_| all || random.below(2) == 0);
    }

    /// Compacts what is compacted, and purges what every consumer has committed past.
    pub(super) fn clean_up(&mut self) {
        let mut members = self.sessions.values_mut().filter(|session| session.member.is_some());
        if !members.all(|session| session.caught_up) {
            return;
        }
        self.sessions.values_mut().for_each(|session| session.caught_up = false);
        for topic in self.topics.clone() {
            for number in 0..self.options.partitions {
                let of = TopicPartition::new(topic.name, Partition(number));
                match topic.retention {
                    Retention::Forever => {}
                    Retention::Compacted => self.compact(of),
                    Retention::UntilConsumed { by } => {
                        let before = self.consumed_by(by, of);
                        if let Some(partition) = self.partitions.get_mut(&of) {
                            partition.purge(before);
                        }
                    }
                }
            }
        }
        let changelogs: Vec<_> = self.services.iter().map(|service| service.changelog).collect();
        for changelog in changelogs {
            for number in 0..self.options.partitions {
                self.compact(TopicPartition::new(changelog, Partition(number)));
            }
        }
    }

    fn compact(&mut self, of: TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(&of) {
            partition.compact(&self.transactions);
        }
    }

    /// Up to where all these groups have committed.
    fn consumed_by(&self, groups: &[&'static str], of: TopicPartition) -> Offset {
        let committed = self
            .services
            .iter()
            .filter(|service| groups.contains(&service.topology.name()))
            .map(|service| service.group.offset(of).unwrap_or_default());
        committed.min().unwrap_or_default()
    }
}
