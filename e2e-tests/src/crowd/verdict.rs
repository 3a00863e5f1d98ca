//! What is left on the log at the end, read without the servers, and what it tells.

use std::collections::BTreeMap;

use eventlog::{Error, RequestLog};
use events::{
    order::{OrderState, Reason},
    topics::DEAD_LETTERS,
};
use streams::{ConsumedRecord, Offset, Partition, TopicName, TopicPartition};

use invariants::{Invariants, TOPICS, answers::Answers, orders::Orders};

const RECORDS_A_READ: usize = 5_000;

/// What lies on the log.
#[derive(Debug)]
pub(super) struct Verdict {
    /// How many orders came to rest in each state.
    pub(super) orders: Vec<(OrderState, usize)>,
    /// How many orders failed for each reason.
    pub(super) reasons: BTreeMap<Reason, usize>,
    /// What does not hold.
    pub(super) findings: Vec<String>,
}

/// Reads the log, which nothing changes any more, and checks it against all that clients were
/// answered.
pub(super) async fn of_log(log: &impl RequestLog, answers: &Answers) -> Result<Verdict, Error> {
    let mut invariants = Invariants::default();
    let mut findings = Vec::new();
    for topic in TOPICS {
        each_record(log, topic, |record| {
            let taken = invariants.take(record);
            findings.extend(taken.err().map(|violation| violation.to_string()));
        })
        .await?;
    }
    each_record(log, DEAD_LETTERS, |record| {
        findings.push(format!("dead letter in {} at {}", record.source, record.offset));
    })
    .await?;
    let at_rest = invariants.at_rest();
    let lost = answers.not_on(&invariants);
    let stock = invariants.stock().unaccounted(invariants.orders());
    let deposits = invariants.accounts().unaccounted();
    let violations = at_rest.into_iter().chain(lost).chain(stock).chain(deposits);
    findings.extend(violations.map(|violation| violation.to_string()));
    let count = |state| {
        let orders = invariants.orders().iter();
        orders.filter(|history| history.order.state == state).count()
    };
    let orders = OrderState::ALL.into_iter().map(|state| (state, count(state))).collect();
    let reasons = reasons(invariants.orders());
    Ok(Verdict { orders, reasons, findings })
}

/// The first reason of each order that failed.
fn reasons(orders: &Orders) -> BTreeMap<Reason, usize> {
    let mut reasons = BTreeMap::new();
    for failure in orders.iter().filter_map(|history| history.order.failures.first()) {
        *reasons.entry(failure.reason).or_default() += 1;
    }
    reasons
}

async fn each_record(
    log: &impl RequestLog,
    topic: TopicName,
    mut take: impl FnMut(&ConsumedRecord),
) -> Result<(), Error> {
    for partition in (0..log.partitions()).map(Partition) {
        let mut from = Offset(0);
        loop {
            let of = TopicPartition::new(topic, partition);
            let records = log.read(of, from, RECORDS_A_READ).await?;
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            records.iter().for_each(&mut take);
        }
    }
    Ok(())
}
