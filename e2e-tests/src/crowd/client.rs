//! One of many clients: it places orders, changes them, looks at those of others, and remembers
//! every answer.

use std::{sync::Arc, time::Duration};

use events::{
    ids::{AdjustmentId, DepositId, OrderId},
    order::OrderState,
};
use fastrand::Rng;
use invariants::answers::Floor;
use tokio::sync::watch;

use super::{
    shop::{Call, Shop},
    world::{Caller, Finding, PATIENCE, Placed, Shown, World},
};
use crate::{http_client::Answer, routes::Routes};

/// How long a hasty client waits for an answer. What has stopped for a while answers the patient
/// ones when it goes on; the hasty ones keep the others busy until then.
const HASTE: Duration = Duration::from_secs(2);
/// A wait is given up on the way if it does not end so long before.
const WAIT_GRACE: Duration = Duration::from_millis(500);
/// The longest wait for an order to settle.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// So often an order is waited for in the end.
const LAST_WAITS_MAX: u32 = 4;

/// A client of the shop.
#[derive(Debug)]
pub(super) struct Client {
    number: u32,
    shop: Shop,
    world: Arc<World>,
    caller: Caller,
    patience: Duration,
    random: Rng,
    ids: u32,
    /// Its orders that it has not seen settled.
    open: Vec<OrderId>,
}

impl Client {
    pub(super) fn new(
        number: u32,
        shop: Shop,
        world: Arc<World>,
        up: watch::Receiver<Option<Routes>>,
        random: Rng,
    ) -> Self {
        // Every other one is hasty.
        let patience = if number % 2 == 1 { HASTE } else { PATIENCE };
        let caller = Caller::new(up).with_patience(patience);
        Self { number, shop, world, caller, patience, random, ids: 0, open: Vec::new() }
    }

    /// Does one thing after another until the run is over, then sees its open orders settle.
    pub(super) async fn run(mut self) {
        while !self.world.is_over() {
            let done = match self.random.u32(0..100) {
                0..65 => self.place().await,
                65..80 => self.look().await,
                80..88 => self.place_again().await,
                88..94 => self.adjust().await,
                _ => self.deposit().await,
            };
            self.note(done);
        }
        self.patience = PATIENCE;
        self.caller = self.caller.with_patience(PATIENCE);
        for id in std::mem::take(&mut self.open) {
            let done = self.see_settled(&id).await;
            self.note(done);
        }
    }

    fn note(&self, done: Result<(), Finding>) {
        if let Err(finding) = done {
            self.world.found(finding);
        }
    }

    fn next_id<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.ids += 1;
        self.shop.id(format_args!("{}-{}", self.number, self.ids))
    }

    fn floor(&self, id: &OrderId) -> Floor {
        self.world.answers().floor(id)
    }

    async fn place(&mut self) -> Result<(), Finding> {
        let Some(id) = self.next_id::<OrderId>() else { return Ok(()) };
        let call = self.shop.order(&id, &mut self.random);
        let floor = self.floor(&id);
        // Some do not ask again when the answer is unclear: their order is there or it is not.
        let answer = if self.random.u32(0..100) < 15 {
            self.caller.ask(&self.world, &call).await
        } else {
            Some(self.caller.insist(&self.world, &call).await?)
        };
        self.world.placed().push(Placed { id: id.clone(), call: call.clone() });
        self.open.push(id.clone());
        if let Some(answer) = answer {
            self.placed(&id, floor, &call, &answer)?;
            self.go_on_with(&id).await?;
        }
        Ok(())
    }

    fn placed(
        &self,
        id: &OrderId,
        floor: Floor,
        call: &Call,
        answer: &Answer,
    ) -> Result<(), Finding> {
        match answer.status {
            202 => self.world.answers().accepted(id),
            200 | 201 => {
                let order = Shown::read(call, answer)?;
                let mut answers = self.world.answers();
                if answer.status == 201 {
                    answers.created(id)?;
                }
                answers.shown(id, floor, order.version, order.state)?;
            }
            _ => return Err(Finding::answer(call, answer)),
        }
        Ok(())
    }

    /// Cancels the order while it is being decided, leaves it, or sees what becomes of it.
    async fn go_on_with(&mut self, id: &OrderId) -> Result<(), Finding> {
        match self.random.u32(0..100) {
            0..10 => return self.change(id, "cancel").await,
            10..25 => return Ok(()),
            _ => {}
        }
        let settled = self.wait_until_settled(id).await?;
        if settled.is_some() {
            self.open.pop();
        }
        match (settled, self.random.u32(0..100)) {
            (Some(OrderState::Paid), 0..45) => self.change(id, "ship").await,
            (Some(OrderState::Paid), 45..75) => self.change(id, "cancel").await,
            _ => Ok(()),
        }
    }

    async fn change(&mut self, id: &OrderId, change: &str) -> Result<(), Finding> {
        let call = Call::post(format!("/v1/orders/{id}/{change}"), "");
        let floor = self.floor(id);
        let answer = self.caller.insist(&self.world, &call).await?;
        match answer.status {
            // What another client did, or a service, may not allow it any more.
            409 => Ok(()),
            _ => self.shown(id, floor, &call, &answer).map(drop),
        }
    }

    /// Waits for the order for longer than the servers take to be well again.
    async fn see_settled(&mut self, id: &OrderId) -> Result<(), Finding> {
        for _ in 0..LAST_WAITS_MAX {
            if self.wait_until_settled(id).await?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The state in which it settled; `None` where it is not there, or did not settle in time.
    async fn wait_until_settled(&mut self, id: &OrderId) -> Result<Option<OrderState>, Finding> {
        let timeout_ms = (self.patience - WAIT_GRACE).min(WAIT_MAX).as_millis();
        let call = Call::get(format!("/v1/orders/{id}?until=SETTLED&timeout={timeout_ms}"));
        let floor = self.floor(id);
        let answer = self.caller.insist(&self.world, &call).await?;
        let state = self.shown(id, floor, &call, &answer)?;
        Ok(state.filter(|_| answer.status == 200))
    }

    fn shown(
        &self,
        id: &OrderId,
        floor: Floor,
        call: &Call,
        answer: &Answer,
    ) -> Result<Option<OrderState>, Finding> {
        match answer.status {
            200 | 504 => {
                let order = Shown::read(call, answer)?;
                self.world.answers().shown(id, floor, order.version, order.state)?;
                Ok(Some(order.state))
            }
            404 => {
                self.world.answers().missing(id, floor)?;
                Ok(None)
            }
            _ => Err(Finding::answer(call, answer)),
        }
    }

    /// Any order that any client asked for.
    fn any_placed(&mut self) -> Option<Placed> {
        let placed = self.world.placed();
        let at = self.random.usize(0..placed.len().max(1));
        placed.get(at).cloned()
    }

    async fn look(&mut self) -> Result<(), Finding> {
        let Some(Placed { id, .. }) = self.any_placed() else { return Ok(()) };
        let call = Call::get(format!("/v1/orders/{id}"));
        let floor = self.floor(&id);
        let answer = self.caller.insist(&self.world, &call).await?;
        self.shown(&id, floor, &call, &answer).map(drop)
    }

    async fn place_again(&mut self) -> Result<(), Finding> {
        let Some(Placed { id, call }) = self.any_placed() else { return Ok(()) };
        let floor = self.floor(&id);
        let answer = self.caller.insist(&self.world, &call).await?;
        self.placed(&id, floor, &call, &answer)?;
        if answer.status != 200 {
            self.open.push(id);
        }
        Ok(())
    }

    async fn adjust(&mut self) -> Result<(), Finding> {
        let Some(id) = self.next_id::<AdjustmentId>() else { return Ok(()) };
        let (product, call) = self.shop.adjustment(&id, &mut self.random);
        let answer = self.caller.insist(&self.world, &call).await?;
        match (answer.status, product) {
            (200 | 201, Some(product)) => self.world.answers().adjusted(product, id),
            _ => return Err(Finding::answer(&call, &answer)),
        }
        Ok(())
    }

    async fn deposit(&mut self) -> Result<(), Finding> {
        let Some(id) = self.next_id::<DepositId>() else { return Ok(()) };
        let (customer, call) = self.shop.deposit(&id, &mut self.random);
        let answer = self.caller.insist(&self.world, &call).await?;
        match (answer.status, customer) {
            (200 | 201, Some(customer)) => self.world.answers().deposited(customer, id),
            _ => return Err(Finding::answer(&call, &answer)),
        }
        Ok(())
    }
}
