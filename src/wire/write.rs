//! Runs a write to its end, even if the client disconnects or the deadline of its call passes.
//!
//! hyper drops the future of a request when the client disconnects. The write of such a request continues in its own
//! task.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{FutureExt, future::BoxFuture};
use opentelemetry::context::FutureExt as _;
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::{
    accounts::Caller,
    app::App,
    error::{Error, Result},
};

/// Runs the operation `verb` to its end, even if the returned future is dropped.
///
/// # Errors
/// The error of the operation; INTERNAL if the operation panics.
pub(super) async fn write<T, F>(app: &App, caller: Caller, verb: F) -> Result<T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a App, &'a Caller) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    let app = app.clone();
    complete(async move { verb(&app, &caller).await }).await
}

async fn complete<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let work = AssertUnwindSafe(work).catch_unwind();
    let outcome = Uninterrupted::new(work.boxed()).await;
    outcome.unwrap_or_else(|_| Err(Error::panicked().caused_by("a panic, which the log describes")))
}

/// A future that runs to its end. If it is dropped before its end, the rest runs in a separate task.
struct Uninterrupted<T: Send + 'static> {
    rest: Option<BoxFuture<'static, T>>,
}

impl<T: Send + 'static> Uninterrupted<T> {
    fn new(work: BoxFuture<'static, T>) -> Self {
        Self { rest: Some(work) }
    }
}

impl<T: Send + 'static> Future for Uninterrupted<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(rest) = &mut self.rest else {
            return Poll::Pending;
        };
        let outcome = ready!(rest.as_mut().poll(context));
        self.rest = None;
        Poll::Ready(outcome)
    }
}

impl<T: Send + 'static> Drop for Uninterrupted<T> {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else { return };
        // A missing runtime means that the process is ending.
        let Ok(runtime) = Handle::try_current() else { return };
        // The task runs in the spans of the request: its log lines contain the request id, and its trace continues.
        runtime.spawn(rest.in_current_span().with_current_context());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use futures::future::lazy;
    use tokio::sync::oneshot;

    use super::*;
    use crate::error::Code;

    #[tokio::test]
    async fn work_that_is_dropped_before_its_end_continues() {
        let (resume, resumed) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let work = async move {
            resumed.await.unwrap();
            end.send(7).unwrap();
        };
        let mut work = Uninterrupted::new(work.boxed());
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        resume.send(()).unwrap();
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_becomes_an_internal_error() {
        let panics = lazy(|_| -> Result<()> { std::panic::resume_unwind(Box::new("a panic of a test")) });
        let refused = complete(panics).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
        assert_eq!(complete(async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_ends_needs_no_task() {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        assert_eq!(Uninterrupted::new(async { 7 }.boxed()).await, 7);
        assert_eq!(tasks(), before);
        drop(Uninterrupted::new(std::future::pending::<()>().boxed()));
        assert_eq!(tasks(), before + 1, "control: a task is counted");
    }
}
