//! The way in for requests from outside: a producer of its own, since one that writes transactions
//! writes nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventlog::{Appended, Error as LogError};
use futures_channel::oneshot::{Receiver, Sender, channel};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{ProducerContext, ThreadedProducer};
use streams::{CommitPosition, ProducedRecord};

use crate::error::{Error, unreachable};
use crate::records::{offset, partition, produced};
use crate::settings::Settings;

type Answer = Result<Appended, LogError>;

/// Appends requests, acknowledged by all replicas that must have them.
pub(crate) struct Requests {
    client: ThreadedProducer<Answers>,
}

impl Requests {
    pub(crate) fn new(settings: &Settings, broker: Arc<Broker>) -> Result<Self, Error> {
        let answers = Answers { broker };
        let client = settings.requests().create_with_context(answers).map_err(Error::client)?;
        Ok(Requests { client })
    }

    /// Hands a record over. The answer comes when the broker has it.
    pub(crate) fn append(&self, record: &ProducedRecord) -> Result<Receiver<Answer>, LogError> {
        let (answer, answered) = channel();
        match self.client.send(produced(record, Box::new(answer))) {
            Ok(()) => Ok(answered),
            Err((error, _)) => Err(match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => LogError::Overloaded,
                _ => unreachable(error),
            }),
        }
    }
}

/// Whether the brokers can be reached, as far as anybody has noticed.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    /// How often all brokers were found to be gone, and how often one answered after that.
    lost: AtomicU64,
    found: AtomicU64,
}

impl Broker {
    /// All brokers are gone.
    pub(crate) fn is_lost(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
    }

    /// One has answered.
    pub(crate) fn has_answered(&self) {
        self.found.store(self.lost.load(Ordering::Acquire), Ordering::Release);
    }

    pub(crate) fn is_there(&self) -> bool {
        self.found.load(Ordering::Acquire) >= self.lost.load(Ordering::Acquire)
    }
}

struct Answers {
    broker: Arc<Broker>,
}

impl ClientContext for Answers {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.broker.is_lost();
        }
        tracing::warn!(%error, reason, "trouble on the way to Kafka");
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Sender<Answer>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => {
                self.broker.has_answered();
                let place = partition(message.partition()).zip(offset(message.offset()));
                // What was acknowledged is durable, so all positions may be the same.
                let position = CommitPosition::default();
                place
                    .map(|(partition, offset)| Appended { partition, offset, position })
                    .ok_or_else(|| unreachable("acknowledged without an offset"))
            }
            Err((error, _)) => Err(unreachable(error)),
        };
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_there_until_lost_and_again_when_one_answers() {
        let broker = Broker::default();
        assert!(broker.is_there());
        broker.is_lost();
        broker.is_lost();
        assert!(!broker.is_there());
        broker.has_answered();
        assert!(broker.is_there());
    }
}
