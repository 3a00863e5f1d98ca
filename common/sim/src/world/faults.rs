//! What goes wrong.

use super::World;
use super::instance::Troubles;
use crate::failure::Violation;
use crate::log::LogFault;
use crate::options::Mode;
use crate::workload::Workload;

/// How far a clock jumps at most.
const JUMP_MS_MAX: u64 = 2 * 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    CrashAll,
    Pause,
    Stall,
    CutOff,
    Leave,
    ClockJump,
    SessionTimeout,
    OffsetsExpire,
    OfLog(LogFault),
}

impl<W: Workload> World<W> {
    /// One fault, of whichever kind.
    pub(super) fn fault_step(&mut self) -> Result<(), Violation> {
        let Some(fault) = self.draw_fault() else { return Ok(()) };
        self.trace.note(|| format!("fault: {fault:?}"));
        let index = self.random.index(self.instances.len());
        match fault {
            Fault::Crash => self.crash(&[index])?,
            Fault::CrashAll => {
                let all: Vec<usize> = (0..self.instances.len()).collect();
                self.crash(&all)?;
            }
            Fault::Pause => {
                self.instances[index].troubles = Troubles { stalled: true, cut_off: true };
            }
            Fault::Stall => {
                self.instances[index].troubles.stalled = true;
                // Now and then all of its process stood still before, and for too long.
                if self.random.below(2) == 0 {
                    self.time_out(index);
                }
            }
            Fault::CutOff => self.instances[index].troubles.cut_off = true,
            Fault::Leave => self.leave(index),
            Fault::ClockJump => self.jump_clock(index),
            Fault::SessionTimeout => self.time_out(index),
            Fault::OffsetsExpire => {
                let service = self.instances[index].place.service;
                let of_service = |index: &usize| self.instances[*index].place.service == service;
                let all: Vec<usize> = (0..self.instances.len()).filter(of_service).collect();
                self.crash(&all)?;
                self.log.fault(LogFault::OffsetsExpire(service), &mut self.random);
            }
            Fault::OfLog(fault) => self.log.fault(fault, &mut self.random),
        }
        Ok(())
    }

    fn draw_fault(&mut self) -> Option<Fault> {
        let faults = &self.options.faults;
        let of_both = [
            (faults.crash, Fault::Crash),
            (faults.stall, Fault::Stall),
            (faults.leave, Fault::Leave),
            (faults.clock_jump, Fault::ClockJump),
        ];
        let of_kafka = [
            (faults.crash_all, Fault::CrashAll),
            (faults.pause, Fault::Pause),
            (faults.cut_off, Fault::CutOff),
            (faults.offsets_expire, Fault::OffsetsExpire),
            (faults.session_timeout, Fault::SessionTimeout),
            (faults.transaction_timeout, Fault::OfLog(LogFault::TransactionTimeout)),
            (faults.clean_up, Fault::OfLog(LogFault::CleanUp)),
        ];
        let of_mode: &[_] = if self.options.mode == Mode::Kafka { &of_kafka } else { &[] };
        let weights = || of_both.iter().chain(of_mode);
        let mut left = self.random.below(weights().map(|(weight, _)| u64::from(*weight)).sum());
        for (weight, fault) in weights() {
            if left < u64::from(*weight) {
                return Some(*fault);
            }
            left -= u64::from(*weight);
        }
        None
    }

    /// The processes of these instances die. On the embedded log there is only one.
    fn crash(&mut self, indices: &[usize]) -> Result<(), Violation> {
        let all: Vec<usize> = (0..self.instances.len()).collect();
        let is_embedded = self.options.mode == Mode::Embedded;
        let indices = if is_embedded { &all } else { indices };
        let mut sessions = Vec::new();
        for index in indices {
            let instance = &mut self.instances[*index];
            sessions.extend(instance.running.take().map(|running| running.session));
            instance.troubles = Troubles::default();
        }
        self.log.crash(&sessions, &mut self.random);
        if is_embedded {
            return self.lose_calls();
        }
        for index in indices {
            let place = self.instances[*index].place;
            self.abandon_calls(place);
            if self.random.chance(self.options.faults.disk_lost) {
                self.log.lose_disk(place);
            } else if self.random.chance(self.options.faults.disk_foreign) {
                self.log.swap_disk(place, &mut self.random);
            }
        }
        Ok(())
    }

    /// An instance ends in order; what it was asked is passed on.
    fn leave(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        if instance.troubles.stalled {
            return;
        }
        if let Some(running) = instance.running.take() {
            self.log.leave(running.session);
            let place = instance.place;
            self.abandon_calls(place);
        }
    }

    /// An instance is taken for dead, and does not know it yet.
    fn time_out(&mut self, index: usize) {
        if let Some(running) = &self.instances[index].running {
            self.log.fault(LogFault::SessionTimeout(running.session), &mut self.random);
        }
    }

    fn jump_clock(&mut self, index: usize) {
        let by = self.random.below(2 * JUMP_MS_MAX) as i64 - JUMP_MS_MAX as i64;
        let all = self.random.below(2) == 0;
        for (number, instance) in self.instances.iter_mut().enumerate() {
            if all || number == index {
                instance.skew_ms += by;
            }
        }
    }

    /// One trouble less.
    pub(super) fn recovery_step(&mut self) {
        let is_troubled = |index: &usize| {
            let instance = &self.instances[*index];
            instance.running.is_none() || instance.troubles != Troubles::default()
        };
        let troubled: Vec<usize> = (0..self.instances.len()).filter(is_troubled).collect();
        if let Some(index) = self.random.pick(&troubled) {
            self.recover(*index);
        }
    }

    pub(super) fn recover(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        instance.troubles = Troubles::default();
        if instance.running.is_none() {
            let topology = &self.services[instance.place.service];
            instance.start(topology, self.options.partitions, self.log.as_mut());
            let place = instance.place;
            self.trace.note(|| format!("{place} starts"));
        }
    }
}
