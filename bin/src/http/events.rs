//! `/api/v1/events`: the board once a second, as server-sent events, to a bounded number of viewers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes};
use futures_util::stream;

use crate::http::{Shared, refused};

/// So many may look at once; connections are left for probes and metrics.
const VIEWERS_MAX: usize = 16;

/// A stream ends then, and who still looks asks again: one whose other side is gone is not kept for ever.
const LIFE: Duration = Duration::from_secs(600);

/// Who looks now.
#[derive(Clone, Default)]
pub(super) struct Viewers(Arc<AtomicUsize>);

/// One of them; leaves when it is dropped.
struct Viewer(Arc<AtomicUsize>);

impl Viewers {
    fn come(&self) -> Option<Viewer> {
        let now = self.0.fetch_add(1, Relaxed);
        let viewer = Viewer(Arc::clone(&self.0));
        (now < VIEWERS_MAX).then_some(viewer)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What a viewer's stream knows.
struct Stream {
    shared: web::Data<Shared>,
    began: Instant,
    /// The number of the snapshot that was sent last.
    sent: u64,
    begun: bool,
    _viewer: Viewer,
}

/// An event with this name.
pub(super) fn event(name: &str, json: &[u8]) -> Bytes {
    // JSON has no line breaks of its own here, so it is one line of data.
    [b"event: ", name.as_bytes(), b"\ndata: ", json, b"\n\n"]
        .concat()
        .into()
}

impl Stream {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.begun {
            self.begun = true;
            let history = self.shared.boards.history();
            return Some((Ok(event("history", &history)), self));
        }
        if self.began.elapsed() > LIFE {
            return None;
        }
        loop {
            let snapshot = self.shared.boards.newest(&self.shared);
            if snapshot.number != self.sent {
                self.sent = snapshot.number;
                return Some((Ok(snapshot.event), self));
            }
            actix::clock::sleep_until(snapshot.due.into()).await;
        }
    }
}

/// Sends the board once a second.
pub(super) async fn stream(shared: web::Data<Shared>) -> HttpResponse {
    let Some(viewer) = shared.viewers.come() else {
        let why = format!("{VIEWERS_MAX} are looking already: close a page, or ask /api/v1/board");
        return refused(503, &why);
    };
    let stream = Stream {
        shared,
        began: Instant::now(),
        sent: 0,
        begun: false,
        _viewer: viewer,
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(stream, Stream::next))
}
