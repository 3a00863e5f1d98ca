//! Which order is next, and when it is due.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::clock;

/// After an open loop's time is over, how much longer it sends what was due in it.
const BACKLOG_MAX: Duration = Duration::from_secs(10);

/// One order to place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    /// 0 for the first.
    pub(super) number: u64,
    /// When it should be sent; its latencies count from here.
    pub(super) intended: Instant,
}

/// Hands out the orders of a run, each once, to as many users as ask.
#[derive(Debug)]
pub(super) struct Schedule {
    next: AtomicU64,
    started: Instant,
    duration: Duration,
    orders_max: u64,
    pace: Pace,
}

#[derive(Debug)]
enum Pace {
    /// An order is due when a user is free.
    Closed,
    /// An order is due when its time has come, whether a user is free or not.
    Open { rate: u32, due: Semaphore },
}

impl Schedule {
    /// A user places one order after another until `duration` is over or `orders_max` are placed.
    pub(super) fn closed(started: Instant, duration: Duration, orders_max: u64) -> Self {
        Self { next: AtomicU64::new(0), started, duration, orders_max, pace: Pace::Closed }
    }

    /// `rate` orders a second, at fixed times. They become due only while [`Schedule::pace`] runs.
    pub(super) fn open(started: Instant, duration: Duration, orders_max: u64, rate: u32) -> Self {
        let planned = u64::try_from(duration.as_micros() * u128::from(rate) / 1_000_000);
        let orders_max = orders_max.min(planned.unwrap_or(u64::MAX));
        let pace = Pace::Open { rate, due: Semaphore::new(0) };
        Self { next: AtomicU64::new(0), started, duration, orders_max, pace }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn is_closed_loop(&self) -> bool {
        matches!(self.pace, Pace::Closed)
    }

    /// The next order, once it is due; nothing when the run is over.
    pub(super) async fn next(&self) -> Option<Slot> {
        match &self.pace {
            Pace::Closed => self.take(|_| clock::now(), self.duration),
            Pace::Open { rate, due } => {
                due.acquire().await.ok()?.forget();
                let started = self.started;
                self.take(|number| started + offset(number, *rate), self.duration + BACKLOG_MAX)
            }
        }
    }

    fn take(&self, intended: impl Fn(u64) -> Instant, time_max: Duration) -> Option<Slot> {
        if clock::now() >= self.started + time_max {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.orders_max).then(|| Slot { number, intended: intended(number) })
    }

    /// Orders of an open loop that were due and that nobody took.
    pub(super) fn not_sent(&self) -> u64 {
        match self.pace {
            Pace::Closed => 0,
            Pace::Open { .. } => self.orders_max.saturating_sub(self.next.load(Ordering::Relaxed)),
        }
    }

    /// Makes the orders of an open loop due, each at its time, and returns after the last.
    ///
    /// It blocks a thread of its own, because the runtime's timers are only good to a millisecond
    /// or two, which is as long as what is measured. `users` is how many ask for orders.
    pub(super) fn pace(&self, users: usize) {
        let Pace::Open { rate, due } = &self.pace else { return };
        for number in 0..self.orders_max {
            let intended = self.started + offset(number, *rate);
            loop {
                let wait = intended.saturating_duration_since(clock::now());
                if wait.is_zero() {
                    break;
                }
                std::thread::park_timeout(wait);
            }
            due.add_permits(1);
        }
        // One more for each user: it finds no order left, and ends.
        due.add_permits(users);
    }
}

/// When the order of this number is due, from the start. In whole numbers, so that a long run
/// does not drift.
fn offset(number: u64, rate: u32) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn an_open_loop_s_order_is_due_at_its_time_however_late_it_is_taken() {
        // Given a run that began half a second ago, with nobody to take its orders so far
        let started = clock::now() - SECOND / 2;
        let schedule = Schedule::open(started, SECOND / 2, u64::MAX, 10);
        schedule.pace(1);

        // When a user takes them all
        let slots = runtime().block_on(async {
            let mut slots = Vec::new();
            while let Some(slot) = schedule.next().await {
                slots.push(slot);
            }
            slots
        });

        // Then each counts from its own time, every tenth of a second from the start
        let expected: Vec<Slot> = (0..5)
            .map(|number| Slot { number, intended: started + SECOND / 10 * number as u32 })
            .collect();
        assert_eq!(slots, expected);
    }

    #[test]
    fn an_open_loop_makes_no_order_due_before_its_time() {
        let started = clock::now();
        let schedule = Schedule::open(started, SECOND, 3, 100);
        schedule.pace(1);
        assert!(clock::now() >= started + SECOND / 50, "the third of 100/s is due after 20 ms");
    }

    #[test]
    fn an_open_loop_gives_up_a_backlog_that_it_cannot_place() {
        let started = clock::now() - SECOND - BACKLOG_MAX;
        let schedule = Schedule::open(started, SECOND, u64::MAX, 100);
        schedule.pace(1);
        assert_eq!(runtime().block_on(schedule.next()), None);
        assert_eq!(schedule.not_sent(), 100);
    }

    #[test]
    fn a_closed_loop_ends_after_its_orders_or_its_time() {
        let placed = |schedule: Schedule| {
            runtime().block_on(async {
                let mut count = 0;
                while schedule.next().await.is_some() {
                    count += 1;
                }
                count
            })
        };
        assert_eq!(placed(Schedule::closed(clock::now(), SECOND * 60, 7)), 7);
        assert_eq!(placed(Schedule::closed(clock::now() - SECOND, SECOND, 7)), 0);
    }

    #[test]
    fn times_of_sending_do_not_drift() {
        assert_eq!(offset(3_000, 3), SECOND * 1_000);
        assert_eq!(offset(1, 3), Duration::from_nanos(333_333_333));
    }
}
