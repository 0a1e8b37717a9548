//! A stretch of a partition, read on the caller's thread: for programs that look at an input beside its job.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::Stream;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position, Record};
use thalweg_engine::source::{Source, SourceEvent};

/// How long an input that holds more may give nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Reads a partition from one position to the other and shows each record. The source must have been resolved.
///
/// # Errors
/// When it cannot be read, or gives nothing for long.
pub fn each(
    source: &dyn Source,
    partition: &Arc<Partition>,
    from: i64,
    until: i64,
    show: &mut dyn FnMut(Record),
) -> Result<(), Failure> {
    let (from, until) = (Position::Number(from), Position::Number(until));
    let mut stream = source.read(partition, &from, Some(&until))?;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut heard = Instant::now();
    loop {
        match Stream::poll_next(stream.as_mut(), &mut context) {
            Poll::Ready(Some(SourceEvent::Record(record))) => {
                heard = Instant::now();
                show(record);
            }
            Poll::Ready(Some(SourceEvent::CaughtUp(_))) => {}
            Poll::Ready(Some(SourceEvent::Failed(failure))) => return Err(failure),
            Poll::Ready(Some(SourceEvent::Ended) | None) => return Ok(()),
            Poll::Pending if heard.elapsed() > SILENCE_MAX => {
                return Err(Failure::restart(format!(
                    "{partition} gives no records for {SILENCE_MAX:?}, although there are more"
                )));
            }
            Poll::Pending => thread::park_timeout(Duration::from_millis(100)),
        }
    }
}
