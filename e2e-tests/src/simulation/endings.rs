//! How simulated orders ended. A simulation in which none is paid, or none runs out of stock, shows
//! little, however many seeds are clean.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use events::order::{Order, OrderState, Reason};

/// How one order ended: its state, and why the first of its checks that failed did.
pub type Ending = (OrderState, Option<Reason>);

/// How many orders ended how, over all the runs that share it.
#[derive(Clone, Debug, Default)]
pub struct Endings(Rc<RefCell<BTreeMap<Ending, u64>>>);

impl Endings {
    pub(super) fn count(&self, order: &Order) {
        let reason = order.failures.first().map(|failure| failure.reason);
        *self.0.borrow_mut().entry((order.state, reason)).or_default() += 1;
    }

    /// How many orders ended like this.
    pub fn of(&self, ending: Ending) -> u64 {
        self.0.borrow().get(&ending).copied().unwrap_or(0)
    }
}

impl fmt::Display for Endings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endings = self.0.borrow();
        write!(formatter, "{} orders", endings.values().sum::<u64>())?;
        for ((state, reason), count) in endings.iter() {
            match reason {
                Some(reason) => write!(formatter, ", {count} {state} ({reason:?})")?,
                None => write!(formatter, ", {count} {state}")?,
            }
        }
        Ok(())
    }
}
