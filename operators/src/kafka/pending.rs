//! What a writer waits for: acknowledgements, room, and the answer whether a topic exists.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thalweg_engine::error::Failure;

use super::outlet::Shared;
use super::window::Window;

/// Resolves when everything before the marks is acknowledged.
pub(crate) struct Delivered {
    pub(crate) shared: Arc<Shared>,
    /// For each partition the number of rows that it had taken.
    pub(crate) marks: Vec<(Arc<Window>, u64)>,
}

impl Future for Delivered {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some((window, tail)) = this.marks.last() {
            if !window.wait_for(*tail, cx.waker()) {
                // After the waker is known, so that a failure now is seen or wakes.
                return match this.shared.failure() {
                    Ok(()) => Poll::Pending,
                    Err(failure) => Poll::Ready(Err(failure)),
                };
            }
            this.marks.pop();
        }
        Poll::Ready(Ok(()))
    }
}

/// Resolves when a topic of a column is known, or known to be missing.
pub(crate) struct Answered {
    pub(crate) shared: Arc<Shared>,
    pub(crate) topic: String,
}

impl Future for Answered {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waits = self.shared.waits_for(&self.topic, cx.waker());
        // After the waker is known, so that a failure now is seen or wakes.
        match self.shared.failure() {
            Ok(()) if waits => Poll::Pending,
            done => Poll::Ready(done),
        }
    }
}

/// Resolves when half of what may be on its way is free.
pub(crate) struct Drained {
    pub(crate) shared: Arc<Shared>,
}

impl Future for Drained {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.shared;
        shared.wake_when_drained(cx.waker());
        if let Err(failure) = shared.failure() {
            return Poll::Ready(Err(failure));
        }
        if shared.half_empty() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}
