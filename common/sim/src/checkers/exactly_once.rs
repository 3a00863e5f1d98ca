//! Each committed record of a source is taken once by each group, in its order.

use std::collections::BTreeMap;

use streams::{BatchInputs, Offset, TaskCommit, TopicPartition};

use crate::failure::{EXACTLY_ONCE, Violation};
use crate::log::{Attempt, SimulatedLog};

/// How far each group has come, as its commits tell.
#[derive(Debug, Default)]
pub(crate) struct ExactlyOnce {
    taken: BTreeMap<(usize, TopicPartition), Offset>,
}

impl ExactlyOnce {
    /// A commit holds: what it took must follow on what was taken before.
    pub(crate) fn committed(
        &mut self,
        attempt: &Attempt,
        log: &dyn SimulatedLog,
    ) -> Result<(), Violation> {
        for task in &attempt.batch.tasks {
            let inputs = attempt.inputs.iter().find(|(partition, _)| *partition == task.partition);
            let Some((_, inputs)) = inputs else { continue };
            self.task_committed(attempt.place.service, task, inputs, log)?;
        }
        Ok(())
    }

    fn task_committed(
        &mut self,
        service: usize,
        task: &TaskCommit,
        inputs: &BatchInputs,
        log: &dyn SimulatedLog,
    ) -> Result<(), Violation> {
        for (topic, until) in &task.offsets {
            let of = TopicPartition::new(*topic, task.partition);
            let next = self.taken.entry((service, of)).or_default();
            let taken: Vec<Offset> = inputs
                .records
                .iter()
                .filter(|record| record.source == of)
                .map(|record| record.offset)
                .collect();
            let there = log.committed_between(of, *next, *until);
            if *until < *next || there.as_ref() != Some(&taken) {
                let detail = format!(
                    "service {service} went from {next} to {until} in {of} and took {taken:?} \
                     where {there:?} are committed"
                );
                return Err(Violation::new(EXACTLY_ONCE, detail));
            }
            *next = *until;
        }
        Ok(())
    }

    /// What a group has left untaken of a source.
    pub(crate) fn left(
        &self,
        service: usize,
        of: TopicPartition,
        log: &dyn SimulatedLog,
    ) -> Vec<Offset> {
        let next = self.taken.get(&(service, of)).copied().unwrap_or_default();
        log.committed_between(of, next, log.end(of)).unwrap_or_default()
    }
}
