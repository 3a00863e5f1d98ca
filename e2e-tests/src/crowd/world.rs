//! What the clients of a run share.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use events::{
    ids::OrderId,
    order::{OrderState, Version},
};
use invariants::{Violation, answers::Answers};
use serde::Deserialize;
use tokio::{sync::watch, time::sleep};

use super::shop::Call;
use crate::{
    http_client::{Answer, Client},
    routes::Routes,
};

/// Longer than a server takes for any answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);
/// The pause before a call is repeated is so much longer each time, up to the longest.
const PAUSE_BEFORE_RETRY: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// So often a call is repeated; each time the server is up and gives no clear answer.
const ATTEMPTS_MAX: u32 = 2_000;
/// More findings of one run tell nothing new.
const FINDINGS_MAX: usize = 20;

/// Something that must not be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Finding {
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error("{call} was answered {status}: {body}")]
    Answer { call: String, status: u16, body: String },
    #[error("{call} got no clear answer in {ATTEMPTS_MAX} attempts")]
    NoAnswer { call: String },
}

impl Finding {
    pub(super) fn answer(call: &Call, answer: &Answer) -> Self {
        let body = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
        Finding::Answer { call: named(call), status: answer.status, body }
    }
}

fn named(call: &Call) -> String {
    format!("{} {}", call.method, call.path)
}

/// An order that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) id: OrderId,
    pub(super) call: Call,
}

/// What the clients of a run share.
#[derive(Debug, Default)]
pub(super) struct World {
    answers: Mutex<Answers>,
    placed: Mutex<Vec<Placed>>,
    findings: Mutex<Vec<String>>,
    over: AtomicBool,
    pub(super) successes: AtomicU64,
    pub(super) unclear: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }

    pub(super) fn placed(&self) -> MutexGuard<'_, Vec<Placed>> {
        lock(&self.placed)
    }

    pub(super) fn found(&self, finding: impl fmt::Display) {
        let mut findings = lock(&self.findings);
        if findings.len() < FINDINGS_MAX {
            findings.push(finding.to_string());
        }
    }

    pub(super) fn findings(&self) -> Vec<String> {
        lock(&self.findings).clone()
    }

    /// Lets every client come to its end.
    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

/// Calls the servers wherever they are, and waits while all are down.
#[derive(Debug)]
pub(super) struct Caller {
    up: watch::Receiver<Option<Routes>>,
    patience: Duration,
    connections: Vec<(SocketAddr, Client)>,
}

impl Caller {
    pub(super) fn new(up: watch::Receiver<Option<Routes>>) -> Self {
        Self { up, patience: PATIENCE, connections: Vec::new() }
    }

    /// The same, waiting so long for an answer before it takes it for lost.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, connections: Vec::new(), ..self }
    }

    /// Calls once. Without a clear answer nobody knows what became of it.
    pub(super) async fn ask(&mut self, world: &World, call: &Call) -> Option<Answer> {
        let answer = self.send(call).await.filter(|answer| answer.status != 503);
        let count = match &answer {
            Some(answer) if (200..300).contains(&answer.status) => &world.successes,
            Some(_) => return answer,
            None => &world.unclear,
        };
        count.fetch_add(1, Relaxed);
        answer
    }

    async fn send(&mut self, call: &Call) -> Option<Answer> {
        let target = {
            let up = self.up.wait_for(Option::is_some).await.ok()?;
            up.as_ref()?.target(&call.path)?.clone()
        };
        let address = *target.addresses().first()?;
        let known = self.connections.iter().position(|(known, _)| *known == address);
        let mut client = match known {
            Some(at) => self.connections.swap_remove(at).1,
            None => Client::new(target, self.patience),
        };
        let path = Bytes::from(call.path.clone());
        let answer = client.send(call.method.clone(), path, call.body.clone()).await.ok()?;
        self.connections.push((address, client));
        Some(answer)
    }

    /// Calls until there is a clear answer.
    pub(super) async fn insist(&mut self, world: &World, call: &Call) -> Result<Answer, Finding> {
        for attempt in 1..=ATTEMPTS_MAX {
            if let Some(answer) = self.ask(world, call).await {
                return Ok(answer);
            }
            sleep(PAUSE_MAX.min(PAUSE_BEFORE_RETRY * attempt)).await;
        }
        Err(Finding::NoAnswer { call: named(call) })
    }
}

/// As much of a problem as is looked at.
#[derive(Deserialize)]
struct Problem {
    order: Shown,
}

/// As much of an order as is looked at.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) version: Version,
    pub(super) state: OrderState,
}

impl Shown {
    pub(super) fn read(call: &Call, answer: &Answer) -> Result<Self, Finding> {
        let read = match answer.status {
            504 => serde_json::from_slice(&answer.body).map(|Problem { order }| order),
            _ => serde_json::from_slice(&answer.body),
        };
        read.map_err(|_| Finding::answer(call, answer))
    }
}
