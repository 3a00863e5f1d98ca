//! How a service and the parts beside it are doing.

use streams::{Partition, WorkerHealth};

use crate::metrics::Sample;

/// How a service is doing, for `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What is missing for the service to be ready; empty when nothing is.
    pub missing: Vec<String>,
    /// What is wrong although the service works.
    pub degraded: Vec<String>,
    /// What an operator may want to know of what is neither missing nor wrong.
    pub information: Vec<String>,
}

/// A part beside the workers of a service, of which an operator hears as well. What it does not do
/// keeps no service from being ready: it is told as what is wrong.
pub trait Report: Send + Sync {
    /// How it is doing; well, where nothing can be wrong with it.
    fn health(&self) -> Health {
        Health::default()
    }

    /// What it counts, for `/metrics`.
    fn samples(&self) -> Vec<Sample>;
}

/// How many tasks of these workers run, and what the others wait for; `None` where all run.
pub(crate) fn tasks_missing(workers: &[WorkerHealth]) -> Option<String> {
    let count = |tasks: fn(&WorkerHealth) -> &Vec<Partition>| -> usize {
        workers.iter().map(|worker| tasks(worker).len()).sum()
    };
    let (running, assigned) = (count(|worker| &worker.running), count(|worker| &worker.assigned));
    if running >= assigned {
        return None;
    }
    let mut text = format!("{running} of {assigned} tasks run");
    for worker in workers {
        let waiting = worker.assigned.iter().filter(|task| !worker.running.contains(task));
        for partition in waiting {
            let left = worker.restoring.iter().find(|(restored, _)| restored == partition);
            text += &match left {
                Some((_, left)) => {
                    format!(
                        "; partition {partition} has {left} records of its changelog left to read"
                    )
                }
                None => format!("; partition {partition} does not know its positions yet"),
            };
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_does_not_run_is_told_with_what_it_waits_for() {
        let partitions = |of: &[u32]| of.iter().copied().map(Partition).collect::<Vec<_>>();
        let runs = WorkerHealth {
            assigned: partitions(&[0]),
            running: partitions(&[0]),
            ..WorkerHealth::default()
        };
        let restores = WorkerHealth {
            assigned: partitions(&[1, 2]),
            restoring: vec![(Partition(1), 70)],
            ..WorkerHealth::default()
        };

        assert_eq!(tasks_missing(std::slice::from_ref(&runs)), None);
        assert_eq!(
            tasks_missing(&[runs, restores]).unwrap(),
            "1 of 3 tasks run; partition 1 has 70 records of its changelog left to read; \
             partition 2 does not know its positions yet"
        );
    }
}
