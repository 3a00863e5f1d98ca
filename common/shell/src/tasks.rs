//! How far a service's tasks are, as numbers.

use std::collections::BTreeMap;

use streams::{Offset, Partition, TopicPartition, WorkerHealth};
use tokio::time::Instant;

use crate::metrics::{Sample, Value};
use crate::service::ServiceHandle;

impl ServiceHandle {
    /// How far the tasks of this instance are. What cannot be said before `until` is left out.
    /// Nothing is kept for it while nobody asks.
    pub(crate) async fn measure(&self, until: Instant) -> Vec<Sample> {
        let workers = self.ask_workers(until).await;
        let workers: Vec<WorkerHealth> = workers.into_iter().flatten().flatten().collect();
        let positions: Vec<_> = workers.iter().flat_map(|worker| &worker.positions).collect();
        let of: Vec<TopicPartition> = positions.iter().map(|(source, _)| *source).collect();
        let log = self.log();
        let ends = match tokio::time::timeout_at(until, log.ends(&of)).await {
            Ok(Ok(ends)) => ends,
            Ok(Err(error)) => {
                tracing::debug!(%error, "ends not known");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let positions = positions.into_iter().map(|(source, position)| (*source, *position));
        let lag = lag(positions.zip(ends));
        self.of_tasks(&workers, lag)
    }

    fn of_tasks(&self, workers: &[WorkerHealth], lag: BTreeMap<Partition, u64>) -> Vec<Sample> {
        let service = self.name();
        let sample = |name, help, number| {
            Sample::new(name, help, Value::gauge(number)).with("service", service)
        };
        let assigned = workers.iter().map(|worker| worker.assigned.len() as u64).sum();
        let running = workers.iter().map(|worker| worker.running.len() as u64).sum();
        let mut samples = vec![
            sample("streams_tasks_assigned", "Tasks that are this instance's.", assigned),
            sample("streams_tasks_running", "Tasks of this instance that take records.", running),
        ];
        for (partition, records) in lag {
            let help = "Records between what a task has taken and the ends of its sources.";
            let sample = sample("streams_task_lag_records", help, records);
            samples.push(sample.with("partition", partition.to_string()));
        }
        let done = |worker: &WorkerHealth| {
            let running = worker.running.clone().into_iter();
            running.map(|partition| (partition, 0)).collect::<Vec<_>>()
        };
        let left = workers.iter().flat_map(|worker| [worker.restoring.clone(), done(worker)]);
        for (partition, records) in left.flatten() {
            let help = "Records of its changelog that a task has to read before it runs.";
            let sample = sample("streams_task_restore_left_records", help, records);
            samples.push(sample.with("partition", partition.to_string()));
        }
        samples
    }
}

/// How many records lie between positions and ends, by partition. The ends are not older.
fn lag(
    sources: impl Iterator<Item = ((TopicPartition, Offset), Offset)>,
) -> BTreeMap<Partition, u64> {
    let mut lag = BTreeMap::new();
    for ((source, position), end) in sources {
        *lag.entry(source.partition).or_default() += end.0.saturating_sub(position.0);
    }
    lag
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use streams::TopicName;

    use super::*;
    use crate::driver::fixtures::{FaultyLog, TITLES, VISITS, counter};
    use crate::driver::{Command, WorkerAddress};
    use crate::metrics::render;

    fn place(topic: TopicName, partition: u32) -> TopicPartition {
        TopicPartition::new(topic, Partition(partition))
    }

    fn worker(service: &ServiceHandle) -> Receiver<Command> {
        let (address, commands) = WorkerAddress::new(&Arc::new(OnceLock::new()));
        service.owners().add(&address);
        commands
    }

    /// The lines of a service with one worker that says this, without heads.
    async fn lines(log: &FaultyLog, health: WorkerHealth) -> Vec<String> {
        let service = ServiceHandle::new(counter(), Arc::new(log.clone()));
        let commands = worker(&service);
        std::thread::spawn(move || {
            let Ok(Command::Health { respond }) = commands.recv() else { panic!("no question") };
            respond.send(Some(health)).unwrap();
        });
        let text = render(service.measure(Instant::now() + Duration::from_secs(10)).await);
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_task_lags_by_the_records_of_all_its_sources_that_it_has_not_taken() {
        let log = FaultyLog::new(2);
        for _ in 0..5 {
            log.write(VISITS.name(), "ada", "1");
            log.write(TITLES.name(), "ada", "\"countess\"");
        }
        let health = WorkerHealth {
            assigned: vec![Partition(0), Partition(1)],
            running: vec![Partition(0), Partition(1)],
            positions: vec![
                (place(VISITS.name(), 0), Offset(2)),
                (place(TITLES.name(), 0), Offset(4)),
                (place(VISITS.name(), 1), Offset(0)),
            ],
            ..WorkerHealth::default()
        };

        let lines = lines(&log, health).await;

        assert_eq!(
            lines,
            [
                "streams_task_lag_records{service=\"counter\",partition=\"0\"} 4",
                "streams_task_lag_records{service=\"counter\",partition=\"1\"} 0",
                "streams_task_restore_left_records{service=\"counter\",partition=\"0\"} 0",
                "streams_task_restore_left_records{service=\"counter\",partition=\"1\"} 0",
                "streams_tasks_assigned{service=\"counter\"} 2",
                "streams_tasks_running{service=\"counter\"} 2",
            ]
        );
    }

    #[tokio::test]
    async fn a_task_that_is_restored_says_how_much_is_left() {
        let health = WorkerHealth {
            assigned: vec![Partition(1)],
            restoring: vec![(Partition(1), 70)],
            ..WorkerHealth::default()
        };

        let lines = lines(&FaultyLog::new(2), health).await;

        assert_eq!(
            lines,
            [
                "streams_task_restore_left_records{service=\"counter\",partition=\"1\"} 70",
                "streams_tasks_assigned{service=\"counter\"} 1",
                "streams_tasks_running{service=\"counter\"} 0",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_answer_holds_numbers_up_no_longer_than_asked() {
        let service = ServiceHandle::new(counter(), Arc::new(FaultyLog::new(2)));
        let _commands = worker(&service);
        let until = Instant::now() + Duration::from_secs(3);

        let samples = service.measure(until).await;

        assert_eq!(samples.len(), 2);
        assert_eq!(Instant::now(), until);
    }
}
