//! A sink that is handed the rows of each record that has succeeded: the shortest way to one of one's own.

use std::sync::Arc;

use crate::error::{Failure, RecordError};
use crate::row::{Row, Value};
use crate::sink::{DeliveryObserver, LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};

/// Where the rows of one lane go. It is called on the thread of the lane, so what it does there must be short.
pub trait Push: 'static {
    /// Whether a row can be written. Called before any row of its record is.
    ///
    /// # Errors
    /// When it can never be; `onError` says what becomes of the record.
    fn check(&mut self, row: &[Value]) -> Result<(), RecordError> {
        let _ = row;
        Ok(())
    }

    /// Writes the rows of a record, all of them.
    ///
    /// # Errors
    /// When the output has failed: the run ends.
    fn push(&mut self, rows: &[Row]) -> Result<(), Failure>;

    /// Makes safe what was written before: called at each epoch, whose checkpoint waits for it. What was written after it
    /// is written again when the process dies.
    ///
    /// # Errors
    /// When the output has failed: the run ends.
    fn sync(&mut self) -> Result<(), Failure>;
}

/// Opens the output of one lane, by its name.
type Open = Box<dyn Fn(&str) -> Result<Box<dyn Push>, Failure> + Send + Sync>;

/// A sink whose lanes push their rows.
pub struct PushSink(Open);

impl PushSink {
    /// `open` opens the output of one lane; a lane has the same name after every restart.
    pub fn new<P: Push>(open: impl Fn(&str) -> Result<P, Failure> + Send + Sync + 'static) -> Self {
        Self(Box::new(move |lane| Ok(Box::new(open(lane)?))))
    }
}

impl Sink for PushSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(Pushing {
            output: (self.0)(&context.lane)?,
            observer: context.observer,
            held: Vec::new(),
            unsafe_rows: 0,
        }))
    }
}

struct Pushing {
    output: Box<dyn Push>,
    observer: Arc<dyn DeliveryObserver>,
    /// The rows of the record in hand.
    held: Vec<Row>,
    /// Rows that were pushed since the last sync.
    unsafe_rows: u64,
}

impl Writer for Pushing {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        self.output.check(row)?;
        self.held.push(row.to_vec());
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        if !self.held.is_empty() {
            self.output.push(&self.held)?;
            self.unsafe_rows += self.held.len() as u64;
            self.held.clear();
        }
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.held.clear();
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        let synced = match self.unsafe_rows {
            0 => Ok(()),
            _ => self.output.sync(),
        };
        if synced.is_ok() {
            self.observer.acknowledged(self.unsafe_rows, 0);
            self.unsafe_rows = 0;
        }
        Box::pin(std::future::ready(synced))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use parking_lot::Mutex;

    use super::*;
    use crate::testing::meta;

    #[derive(Clone, Default)]
    struct Words(Arc<Mutex<Vec<String>>>);

    impl Push for Words {
        fn check(&mut self, row: &[Value]) -> Result<(), RecordError> {
            match row {
                [Value::Null] => Err(RecordError::write("nothing to say")),
                _ => Ok(()),
            }
        }

        fn push(&mut self, rows: &[Row]) -> Result<(), Failure> {
            self.0
                .lock()
                .extend(rows.iter().map(|row| format!("{row:?}")));
            Ok(())
        }

        fn sync(&mut self) -> Result<(), Failure> {
            self.0.lock().push("safe".to_owned());
            Ok(())
        }
    }

    #[derive(Default)]
    struct Counts(AtomicU64);

    impl DeliveryObserver for Counts {
        fn acknowledged(&self, rows: u64, _: u64) {
            self.0.fetch_add(rows, Relaxed);
        }
        fn latency(&self, _: u64, _: u64) {}
    }

    #[tokio::test]
    async fn rows_of_a_failed_record_never_come_and_those_of_others_are_made_safe_at_the_epoch() {
        let (words, counts) = (Words::default(), Arc::new(Counts::default()));
        let opened = words.clone();
        let sink = PushSink::new(move |_| Ok(opened.clone()));
        let mut writer = sink
            .open(WriterContext {
                lane: "in:0".to_owned(),
                observer: Arc::clone(&counts) as _,
                beside: None,
            })
            .unwrap();
        let meta = meta(0, 0, None);
        let origin = Origin {
            meta: &meta,
            index: 0,
            moment: false,
        };
        writer.write(&[Value::Int(1)], origin).unwrap();
        assert!(writer.write(&[Value::Null], origin).is_err());
        writer.reject();
        writer.write(&[Value::Int(2)], origin).unwrap();
        writer.accept().unwrap();
        assert_eq!(counts.0.load(Relaxed), 0);
        writer.delivered().await.unwrap();
        writer.delivered().await.unwrap();
        assert_eq!(*words.0.lock(), ["[Int(2)]", "safe"]);
        assert_eq!(counts.0.load(Relaxed), 1);
    }
}
