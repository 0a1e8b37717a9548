//! How long a request's body may take, and that nothing of it is read that nobody asks for: whoever sends one holds one of few connections.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::rt::time::{Sleep, sleep};
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage};
use futures_util::Stream;

use crate::http::routes;

/// How long it may take.
const TIME: Duration = Duration::from_secs(10);
/// The same of a model.
const MODEL_TIME: Duration = Duration::from_secs(300);

/// A body that must be complete when its time is over.
struct Timed {
    body: Rc<RefCell<Payload>>,
    time: Duration,
    over: Pin<Box<Sleep>>,
}

impl Timed {
    fn new(body: Rc<RefCell<Payload>>, time: Duration) -> Self {
        Self {
            body,
            time,
            over: Box::pin(sleep(time)),
        }
    }
}

impl Stream for Timed {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over.as_mut().poll(cx).is_ready() {
            let why = format!("its body has not come within {} s", self.time.as_secs());
            let late = io::Error::new(io::ErrorKind::TimedOut, why);
            return Poll::Ready(Some(Err(PayloadError::Io(late))));
        }
        Pin::new(&mut *self.body.borrow_mut()).poll_next(cx)
    }
}

/// An answer that keeps the request's body until it is sent. Of one that nobody holds any more the server would read on, so as to
/// keep the connection, whatever comes; with one that is held and not read it closes it.
struct Answer {
    answer: BoxBody,
    _request: Rc<RefCell<Payload>>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(cx)
    }
}

/// Gives each request's body its time.
pub(super) async fn limit(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let body = Rc::new(RefCell::new(request.take_payload()));
    let time = match routes::may_be_long(request.path()) {
        true => MODEL_TIME,
        false => TIME,
    };
    request.set_payload(Payload::Stream {
        payload: Box::pin(Timed::new(Rc::clone(&body), time)),
    });
    let answer = next.call(request).await?;
    Ok(answer.map_body(|_, answer| {
        let answer = answer.boxed();
        Answer {
            answer,
            _request: body,
        }
        .boxed()
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream::{iter, pending};

    use super::*;

    fn body(parts: impl Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Timed {
        let payload = Box::pin(parts);
        Timed::new(
            Rc::new(RefCell::new(Payload::Stream { payload })),
            Duration::from_millis(10),
        )
    }

    #[actix_web::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let part = || Ok(Bytes::from_static(b"a"));
        let mut slow = body(iter([part()]).chain(pending()));
        assert!(slow.next().await.is_some_and(|part| part.is_ok()));
        let given_up = slow.next().await.and_then(Result::err);
        assert!(given_up.is_some_and(|error| error.to_string().contains("has not come")));
        assert_eq!(
            body(iter([part(), part()])).collect::<Vec<_>>().await.len(),
            2
        );
    }
}
