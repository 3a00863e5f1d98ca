//! How many requests may be under way: beyond that, a client is told so at once and nothing
//! queues up.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::Poll;

use tokio::sync::watch;

use crate::metrics::{Sample, Value};
use crate::problem::{ApiError, Members};

/// How much is taken on at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests that are being worked on. They are short, so this is some tenths of a second of
    /// work at most.
    pub requests_max: u32,
    /// Requests whose bodies still arrive. Each holds up to a whole body in memory.
    pub arriving_max: u32,
    /// Requests that wait for something to happen. They cost memory alone.
    pub waiting_max: u32,
    /// Answers that go on as long as there is news. They cost memory and a connection.
    pub streams_max: u32,
    /// Open connections.
    pub connections_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests_max: 1_024,
            arriving_max: 1_024,
            waiting_max: 14_000,
            streams_max: 4_000,
            connections_max: 16_000,
        }
    }
}

/// Open files beside the connections: those of the log, and of the process itself.
const OTHER_FILES: u32 = 64;

impl Limits {
    /// As many connections as the system lets the process have, up to what it can do with.
    pub fn of_this_process() -> Self {
        let limits = Limits::default();
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
            tracing::warn!(%error, "the limit of open files is not known");
            u64::MAX
        });
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        let connections_max = limits.connections_max.min(files.saturating_sub(OTHER_FILES));
        if connections_max < limits.connections_max {
            tracing::warn!(connections_max, "the limit of open files allows no more connections");
        }
        Limits { connections_max, ..limits }
    }
}

/// Who is let in. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// Requests being worked on.
    working: AtomicIsize,
    /// Requests whose bodies still arrive.
    arriving: AtomicIsize,
    /// Requests waiting for something to happen.
    waiting: AtomicIsize,
    /// Streams that are open.
    streams: AtomicIsize,
    stopping: watch::Sender<bool>,
}

/// A place taken among those at work or those waiting; dropping it gives it up.
#[derive(Debug)]
struct Place<'a> {
    count: &'a AtomicIsize,
    change: isize,
}

impl<'a> Place<'a> {
    fn take(count: &'a AtomicIsize, max: u32) -> Option<Self> {
        // The sum itself says how many were there before: of those that come together for the last
        // place one gets it, neither two nor none.
        let before = count.fetch_add(1, Ordering::Relaxed);
        let place = Place { count, change: 1 };
        (before < isize::try_from(max).unwrap_or(isize::MAX)).then_some(place)
    }

    fn changing(count: &'a AtomicIsize, change: isize) -> Self {
        count.fetch_add(change, Ordering::Relaxed);
        Place { count, change }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(self.change, Ordering::Relaxed);
    }
}

/// The place of an answer that goes on; dropping it gives it up.
#[derive(Debug)]
pub struct OpenStream {
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
}

impl OpenStream {
    /// Waits until the server stops, when the stream has to end.
    pub async fn stopped(&mut self) {
        // There is always a sender: the one beside which this stands.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// Nobody in yet.
    pub fn new(limits: Limits) -> Self {
        let (stopping, _) = watch::channel(false);
        Admission(Arc::new(Shared {
            limits,
            working: AtomicIsize::new(0),
            arriving: AtomicIsize::new(0),
            waiting: AtomicIsize::new(0),
            streams: AtomicIsize::new(0),
            stopping,
        }))
    }

    /// Room of its own for requests of another kind, whose waits end with those of this.
    pub(crate) fn beside(&self, limits: Limits) -> Self {
        let stopping = self.0.stopping.clone();
        let none = || AtomicIsize::new(0);
        let (working, arriving, waiting, streams) = (none(), none(), none(), none());
        Admission(Arc::new(Shared { limits, working, arriving, waiting, streams, stopping }))
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Requests being worked on.
    pub fn working(&self) -> isize {
        self.0.working.load(Ordering::Relaxed)
    }

    /// Requests whose bodies still arrive.
    pub fn arriving(&self) -> isize {
        self.0.arriving.load(Ordering::Relaxed)
    }

    /// Requests waiting for something to happen.
    pub fn waiting(&self) -> isize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Streams that are open.
    pub fn streams(&self) -> isize {
        self.0.streams.load(Ordering::Relaxed)
    }

    /// How many requests there are now, as numbers.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let now = |name, help, count| Sample::new(name, help, Value::gauge(count));
        let arriving = "Requests whose bodies still arrive.";
        let waiting = "Requests waiting for something to happen.";
        let streams = "Answers that go on as long as there is news.";
        vec![
            now("http_requests_working", "Requests being worked on.", self.working()),
            now("http_requests_arriving", arriving, self.arriving()),
            now("http_requests_waiting", waiting, self.waiting()),
            now("http_streams_open", streams, self.streams()),
        ]
    }

    /// Takes a place for an answer that goes on after the work of its request is done, however
    /// many requests there are otherwise.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] where too many streams are open.
    pub fn open_stream(&self) -> Result<OpenStream, ApiError> {
        let stopping = self.0.stopping.subscribe();
        let open = OpenStream { shared: Arc::clone(&self.0), stopping };
        let before = self.0.streams.fetch_add(1, Ordering::Relaxed);
        let has_room = before < isize::try_from(self.0.limits.streams_max).unwrap_or(isize::MAX);
        // One too many is counted out again as it is dropped.
        has_room.then_some(open).ok_or_else(overloaded)
    }

    /// Does the work of a request, if there is room for it.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] at once where there is not.
    pub(crate) async fn work<F: Future>(&self, work: F) -> Result<F::Output, ApiError> {
        let Some(_place) = Place::take(&self.0.working, self.0.limits.requests_max) else {
            return Err(overloaded());
        };
        Ok(work.await)
    }

    /// Takes in the body of a request, within its work. While the body arrives, which a client may
    /// make last, the request counts among those that arrive; one that is there already is taken
    /// in however many arrive.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] at once where too many arrive.
    pub(crate) async fn arrive<F: Future>(&self, body: F) -> Result<F::Output, ApiError> {
        let mut body = pin!(body);
        let at_once = poll_fn(|context| Poll::Ready(body.as_mut().poll(context)));
        if let Poll::Ready(whole) = at_once.await {
            return Ok(whole);
        }
        let Some(_place) = Place::take(&self.0.arriving, self.0.limits.arriving_max) else {
            return Err(overloaded());
        };
        let _not_working = Place::changing(&self.0.working, -1);
        Ok(body.await)
    }

    /// Waits for something to happen, within the work of a request. While it waits, the request
    /// counts among those that wait, of which there may be many; when the server stops, it ends.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] at once where too many wait; [`ApiError::Unavailable`] when the
    /// server stops.
    pub async fn wait<F: Future>(&self, happening: F) -> Result<F::Output, ApiError> {
        let Some(_place) = Place::take(&self.0.waiting, self.0.limits.waiting_max) else {
            return Err(overloaded());
        };
        let _not_working = Place::changing(&self.0.working, -1);
        tokio::select! {
            output = happening => Ok(output),
            () = self.stopped() => Err(ApiError::Unavailable {
                reason: "the server stops".to_owned(),
                members: Members::default(),
            }),
        }
    }

    /// Ends every wait, now and from now on.
    pub(crate) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Waits until every wait ends.
    pub(crate) async fn stopped(&self) {
        // There is always a sender: the one beside which this stands.
        let _ = self.0.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

fn overloaded() -> ApiError {
    ApiError::Overloaded { members: Members::default() }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    fn admission(requests_max: u32, waiting_max: u32) -> Admission {
        let arriving_max = 1;
        let limits = Limits { requests_max, arriving_max, waiting_max, ..Limits::default() };
        Admission::new(Limits { streams_max: 1, connections_max: 1, ..limits })
    }

    #[test]
    fn a_request_too_many_is_refused_at_once_and_one_more_ends_make_room() {
        let admission = admission(1, 0);
        {
            let mut first = pin!(admission.work(pending::<()>()));
            assert!(first.as_mut().now_or_never().is_none());
            let second = admission.work(ready(())).now_or_never().unwrap();
            assert!(matches!(second, Err(ApiError::Overloaded { .. })));
        }
        assert!(admission.work(ready(())).now_or_never().unwrap().is_ok());
        assert_eq!(admission.working(), 0);
    }

    #[test]
    fn those_that_wait_leave_room_for_those_that_work() {
        let admission = admission(1, 2);
        let wait = || admission.work(admission.wait(pending::<()>()));
        {
            let (mut first, mut second) = (pin!(wait()), pin!(wait()));
            assert!(first.as_mut().now_or_never().is_none());
            assert!(second.as_mut().now_or_never().is_none());
            assert_eq!((admission.working(), admission.waiting()), (0, 2));

            let third = wait().now_or_never().unwrap().unwrap();
            assert!(matches!(third, Err(ApiError::Overloaded { .. })));
            assert!(admission.work(ready(())).now_or_never().unwrap().is_ok());
        }
        assert_eq!((admission.working(), admission.waiting()), (0, 0));
    }

    #[test]
    fn bodies_that_arrive_slowly_hold_up_nothing_but_others_of_their_kind() {
        let admission = admission(1, 0);
        {
            let mut slow = pin!(admission.work(admission.arrive(pending::<()>())));
            assert!(slow.as_mut().now_or_never().is_none());
            assert_eq!((admission.working(), admission.arriving()), (0, 1));

            let second = admission.work(admission.arrive(pending::<()>())).now_or_never();
            assert!(matches!(second.unwrap(), Ok(Err(ApiError::Overloaded { .. }))));
            let there_already = admission.work(admission.arrive(ready(()))).now_or_never();
            assert!(matches!(there_already.unwrap(), Ok(Ok(()))));
        }
        assert_eq!((admission.working(), admission.arriving()), (0, 0));
    }

    #[test]
    fn open_streams_leave_room_for_everything_but_others_of_their_kind() {
        let admission = admission(1, 1);
        let mut open = admission.open_stream().unwrap();
        assert!(matches!(admission.open_stream(), Err(ApiError::Overloaded { .. })));
        assert_eq!((admission.streams(), admission.working(), admission.waiting()), (1, 0, 0));
        assert!(open.stopped().now_or_never().is_none());

        admission.stop();

        assert!(open.stopped().now_or_never().is_some());
        drop(open);
        assert_eq!(admission.streams(), 0);
    }

    #[test]
    fn stopping_ends_every_wait() {
        let admission = admission(1, 2);
        let mut early = pin!(admission.wait(pending::<()>()));
        assert!(early.as_mut().now_or_never().is_none());

        admission.stop();

        for ended in [early.now_or_never(), admission.wait(pending::<()>()).now_or_never()] {
            assert!(matches!(ended.unwrap(), Err(ApiError::Unavailable { .. })));
        }
    }
}
