//! What becomes of orders, and how long that takes, as numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use events::order::{OrderEvent, OrderState, Reason};
use events::topics::ORDERS;
use serde::{Deserialize, Serialize};
use shell::metrics::{Histogram, Sample, Value};
use shell::{Observer, Report, ServiceHandle};
use streams::{Event, ProducedRecord, Timestamp, cloud_event};

/// Bounds between orders that came to a state sooner and later, in seconds. The last one is how
/// long an order waits for its checks before it fails.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0,
    300.0,
];
/// States to which an order comes by itself, soon after it was placed.
const TIMED: [OrderState; 3] = [OrderState::Validated, OrderState::Paid, OrderState::Failed];

/// From now on this service's numbers tell what becomes of orders.
pub fn watch(service: &ServiceHandle) {
    service.observe(Arc::new(Outcomes::default()));
}

/// What became of the orders whose events this instance has committed.
struct Outcomes {
    settled: Mutex<BTreeMap<(OrderState, Option<Reason>), u64>>,
    seconds: [Histogram; TIMED.len()],
}

impl Default for Outcomes {
    fn default() -> Self {
        let seconds = TIMED.map(|_| Histogram::new(SECONDS));
        Outcomes { settled: Mutex::default(), seconds }
    }
}

/// As much of an order as is counted.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placed {
    failures: Vec<FailedFor>,
    #[serde(with = "events::rfc3339")]
    placed_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct FailedFor {
    reason: Reason,
}

impl Outcomes {
    fn count(&self, event: &OrderEvent<Placed>, at: Timestamp) {
        let (state, order) = (event.state(), event.order());
        if state.is_settled() {
            let reason = order.failures.first().map(|failure| failure.reason);
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            *settled.entry((state, reason)).or_default() += 1;
        }
        let timed = TIMED.iter().zip(&self.seconds).find(|(timed, _)| **timed == state);
        if let Some((_, seconds)) = timed {
            seconds.observe(at.millis_since(order.placed_at) as f64 / 1_000.0);
        }
    }
}

impl Observer for Outcomes {
    fn wants(&self, record: &ProducedRecord) -> bool {
        let created = OrderEvent::Created(()).event_type();
        record.destination.topic == ORDERS.name()
            && record.headers.get_str(cloud_event::TYPE) != Some(created)
    }

    fn committed(&self, records: Vec<ProducedRecord>, at: Timestamp) {
        for ProducedRecord { headers, value, .. } in records {
            let event_type = headers.get_str(cloud_event::TYPE).unwrap_or_default();
            match OrderEvent::from_json(event_type, &value.unwrap_or_default()) {
                Ok(event) => self.count(&event, at),
                Err(error) => tracing::debug!(%error, "outcome not counted"),
            }
        }
    }
}

impl Report for Outcomes {
    fn samples(&self) -> Vec<Sample> {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = settled.iter().map(|((state, reason), count)| {
            let help = "Orders that came to a state in which they wait for no service, by the \
                first reason why they failed. One that is paid and then shipped counts twice.";
            let reason = reason.map_or(Ok(String::new()), text);
            Sample::new("orders_settled_total", help, Value::Counter(*count))
                .with("state", state.as_str())
                .with("reason", reason.unwrap_or_default())
        });
        let times = TIMED.iter().zip(&self.seconds).map(|(state, seconds)| {
            let help = "Time from the request for an order to its coming to a state.";
            Sample::new("orders_time_to_state_seconds", help, Value::Histogram(seconds.clone()))
                .with("state", state.as_str())
        });
        settled.chain(times).collect()
    }
}

/// A reason as it is written.
fn text(reason: Reason) -> Result<String, serde_json::Error> {
    serde_json::to_value(reason).and_then(serde_json::from_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    use bytes::Bytes;
    use serde_json::json;
    use shell::metrics::render;
    use streams::{Headers, Partition, TopicPartition};

    const PLACED: &str = "2026-01-02T03:04:05.678Z";
    const PLACED_AT: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    fn record(event_type: &'static str, failures: &[&str]) -> ProducedRecord {
        let failures: Vec<_> = failures.iter().map(|reason| json!({"reason": reason})).collect();
        let order = json!({"id": "o-1", "failures": failures, "placedAt": PLACED, "lines": []});
        let mut headers = Headers::default();
        headers.add(cloud_event::TYPE, event_type);
        ProducedRecord {
            destination: TopicPartition::new(ORDERS.name(), Partition(0)),
            timestamp: PLACED_AT,
            key: Some(Bytes::from_static(b"o-1")),
            value: Some(Bytes::from(order.to_string())),
            headers,
        }
    }

    /// The lines of this metric.
    fn lines(outcomes: &Outcomes, metric: &str) -> Vec<String> {
        let text = render(outcomes.samples());
        let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn orders_that_settle_are_counted_by_state_and_first_reason() {
        let outcomes = Outcomes::default();
        let records = vec![
            record("OrderValidated", &[]),
            record("OrderPaid", &[]),
            record("OrderPaid", &[]),
            record("OrderFailed", &["INSUFFICIENT_STOCK", "SPENDING_LIMIT"]),
            record("OrderCancelled", &[]),
        ];

        outcomes.committed(records, PLACED_AT + 40);

        assert_eq!(
            lines(&outcomes, "orders_settled_total"),
            [
                "{state=\"PAID\",reason=\"\"} 2",
                "{state=\"FAILED\",reason=\"INSUFFICIENT_STOCK\"} 1",
                "{state=\"CANCELLED\",reason=\"\"} 1",
            ]
        );
    }

    #[test]
    fn the_time_of_an_order_to_a_state_runs_from_its_request_to_the_commit() {
        let outcomes = Outcomes::default();

        outcomes.committed(vec![record("OrderValidated", &[])], PLACED_AT + 125);
        outcomes.committed(vec![record("OrderValidated", &[])], PLACED_AT + 500);
        outcomes.committed(vec![record("OrderCancelled", &[])], PLACED_AT + 5_000);
        // The clock was set back meanwhile.
        outcomes.committed(vec![record("OrderPaid", &[])], PLACED_AT - 40);

        assert_eq!(
            lines(&outcomes, "orders_time_to_state_seconds_sum"),
            ["{state=\"VALIDATED\"} 0.625", "{state=\"PAID\"} 0.0", "{state=\"FAILED\"} 0.0"]
        );
        assert_eq!(
            lines(&outcomes, "orders_time_to_state_seconds_count"),
            ["{state=\"VALIDATED\"} 2", "{state=\"PAID\"} 1", "{state=\"FAILED\"} 0"]
        );
    }

    #[test]
    fn only_changes_of_orders_after_their_creation_are_wanted() {
        let outcomes = Outcomes::default();
        let mut elsewhere = record("OrderPaid", &[]);
        elsewhere.destination.topic = events::topics::ORDERS_BY_CUSTOMER.name();

        assert!(outcomes.wants(&record("OrderPaid", &[])));
        assert!(!outcomes.wants(&record("OrderCreated", &[])));
        assert!(!outcomes.wants(&elsewhere));
    }
}
