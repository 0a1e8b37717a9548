//! The lane's gate: records come in while it is open; control does not pass here.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Poller, Poll, Waker};
use std::time::Instant;

use futures_util::Stream;

use crate::behalf::Behalf;
use crate::record::Record;
use crate::source::{RecordStream, SourceEvent};

/// Lets records in, or not: closed while the writer is full, ended for good when reading stops.
#[derive(Default)]
pub(crate) struct Gate {
    /// How many things hold it closed.
    pub(crate) closed: Cell<u32>,
    /// Partitions of tables that have not been read to their end yet: streams wait.
    pub(crate) tables: Cell<u32>,
    /// Nothing comes in any more.
    pub(crate) ended: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
    /// Records that were let in and must come again, each with its stream.
    back: RefCell<Vec<(usize, Record)>>,
    /// Whether a stream was asked for the next record later than right after the one before: then `asked` says when.
    pub(crate) later: Cell<bool>,
    pub(crate) asked: Cell<Option<Asked>>,
}

/// A stream was asked for a record.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// When.
    pub(crate) at: Instant,
    /// Whether it had had none before, so that the lane was idle.
    pub(crate) idle: bool,
}

/// So many items of a stream the actor takes before it looks at its mail.
const TURN: u32 = 16;

/// So many records a source yields before it gives the thread back although it has more.
const BURST: u32 = 64;

impl Gate {
    /// All streams of a lane are polled by one task, so one waker nearly always serves them all.
    fn register(&self, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// The record comes again, before all others of its stream, when the gate opens.
    pub(crate) fn give_back(&self, reader: usize, record: Record) {
        self.back.borrow_mut().push((reader, record));
    }

    fn take_back(&self, reader: usize) -> Option<Record> {
        let mut back = self.back.borrow_mut();
        let place = back.iter().position(|(of, _)| *of == reader)?;
        Some(back.remove(place).1)
    }

    fn has_back(&self, reader: usize) -> bool {
        self.back.borrow().iter().any(|(of, _)| *of == reader)
    }

    /// Lets the streams look again.
    pub(crate) fn wake(&self) {
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

/// Why one partition waits.
#[derive(Default)]
pub(crate) struct Pause {
    /// It is too far ahead of another input.
    pub(crate) ahead: Cell<bool>,
    /// It has arrived at its starting position, and others of its lane have not.
    pub(crate) at_start: Cell<bool>,
}

/// A partition's stream behind the lane's gate.
pub(crate) struct Gated {
    /// Its number in the lane.
    pub(crate) reader: usize,
    /// Whether it is one of a table.
    pub(crate) table: bool,
    /// Whether it waits, alone of its lane.
    pub(crate) pause: Rc<Pause>,
    /// What came while it waits: one record, so that its end is noticed and the source sees that somebody asks.
    pub(crate) held: Option<Record>,
    /// The stream.
    pub(crate) inner: RecordStream,
    /// The query and the partition: what the stream writes to the log says so.
    pub(crate) behalf: &'static Behalf,
    /// The gate.
    pub(crate) gate: Rc<Gate>,
    /// Items since it had none.
    pub(crate) items: u32,
    /// Whether it had none when it was asked last, rather than giving the thread back.
    pub(crate) dry: bool,
}

impl Gated {
    /// Reads the clock where something may have come between the last item and this question.
    fn asked(&mut self) {
        if self.items.is_multiple_of(TURN) {
            self.gate.asked.set(Some(Asked {
                at: Instant::now(),
                idle: self.items == 0 && self.dry,
            }));
            self.gate.later.set(true);
        }
        self.items += 1;
    }

    /// It has none for now.
    fn none(&mut self, of_its_own: bool) {
        // The question that was in vain counts.
        self.dry = of_its_own && self.items <= BURST;
        self.items = 0;
    }
}

impl Stream for Gated {
    type Item = (usize, SourceEvent);

    fn poll_next(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<Option<Self::Item>> {
        if self.gate.ended.get() {
            return Poll::Ready(None);
        }
        if self.gate.closed.get() > 0 || (self.gate.tables.get() > 0 && !self.table) {
            self.none(false);
            self.gate.register(poller.waker());
            return Poll::Pending;
        }
        let reader = self.reader;
        let paused = self.pause.ahead.get() || self.pause.at_start.get();
        if paused && (self.held.is_some() || self.gate.has_back(reader)) {
            self.none(false);
            self.gate.register(poller.waker());
            return Poll::Pending;
        }
        let kept = self.gate.take_back(reader).or_else(|| self.held.take());
        if let Some(record) = kept {
            return Poll::Ready(Some((reader, SourceEvent::Record(record))));
        }
        self.asked();
        let entered = self.behalf.enter();
        let polled = self.inner.as_mut().poll_next(poller);
        drop(entered);
        match polled {
            Poll::Ready(Some(SourceEvent::Record(record))) if paused => {
                self.held = Some(record);
                self.none(false);
                self.gate.register(poller.waker());
                Poll::Pending
            }
            Poll::Ready(event) => Poll::Ready(event.map(|event| (reader, event))),
            Poll::Pending => {
                self.none(true);
                // StopReading must end the stream even if nothing ever comes.
                self.gate.register(poller.waker());
                Poll::Pending
            }
        }
    }
}
