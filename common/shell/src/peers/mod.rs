//! The other instances of a service, and the reads that are passed on to them.
//!
//! ```text
//!  a read of a key --> its partition is owned here: a worker answers
//!                  '-> it is owned elsewhere: POST /internal/reads of that instance,
//!                      which answers, or says 421 where it does not own the partition either
//! ```
//!
//! - `endpoints`: which instance says that it owns which partition
//! - `call`: a read as one instance tells it another
//! - `route`: reads that others have passed on
//!
//! A read is passed on once. Whoever was told 421, or reached nobody, looks again who the owner
//! is; what an instance answers is certain, whoever believes what of it.

mod call;
mod endpoints;
mod route;
#[cfg(test)]
mod tests;

use std::time::Duration;

use streams::{Partition, TopicName, Topology};
use tokio::time::Instant;

use crate::read::{Awaited, Read, ReadOutcome};
use crate::service::{ServiceError, ServiceHandle};
use call::{Answer, Caller};
use endpoints::Endpoints;

/// How the instances of a service reach each other.
#[derive(Clone, Debug)]
pub struct Peering {
    /// Where the others reach this instance, as `http://host:port`.
    pub advertised_url: String,
    /// Where each owner of a partition says so: see [`endpoints_topic`].
    pub endpoints: TopicName,
    /// What reads may wait for, by name.
    pub awaited: fn(&str) -> Option<Awaited>,
}

/// The topic in which the owner of each of a service's partitions says where it is reached. A
/// record's key is the partition, the last record holds; all are in the first partition, so that
/// whoever follows them reads one.
pub fn endpoints_topic(topology: &Topology) -> TopicName {
    TopicName::derived(format!("{}-endpoints", topology.name()))
}

/// The other instances as the reads of this one see them.
#[derive(Debug)]
pub(crate) struct Peers {
    endpoints: Endpoints,
    caller: Caller,
}

impl Peers {
    /// Reads from whoever else owns the partition. `None` where nobody could be asked, or whoever
    /// was is no longer the owner.
    pub(crate) async fn read(
        &self,
        partition: Partition,
        read: &Read,
        ends_at: Instant,
    ) -> Option<Result<ReadOutcome, ServiceError>> {
        let Some(url) = self.endpoints.owner(partition) else {
            self.endpoints.look();
            return None;
        };
        let answer = tokio::select! {
            answer = self.caller.call(&url, read, ends_at) => answer,
            // It may be gone without a word: somebody else has said that the partition is its own.
            () = self.endpoints.other_owner(partition, &url) => return None,
        };
        match answer {
            Answer::Read(outcome) => Some(outcome),
            Answer::NotOwner => {
                self.endpoints.look();
                None
            }
        }
    }

    /// Waits until another instance has said what it owns, or this long.
    pub(crate) async fn changed(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.endpoints.changed()).await;
    }
}

impl ServiceHandle {
    /// The service with its other instances: reads of what they own are passed on to them, and
    /// what is owned here is told to them for as long as a handle is left. Called within a runtime.
    pub fn with_peers(self, topology: &Topology, peering: Peering) -> Self {
        let endpoints = Endpoints::follow(&self, peering.endpoints, peering.advertised_url);
        let routes = route::routes(self.clone(), topology, peering.awaited);
        let peers = Peers { endpoints, caller: Caller::default() };
        self.joined(peers, routes)
    }
}
