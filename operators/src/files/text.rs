//! Formats of text below one frame: bytes are unpacked, cut into records by a [`Splitter`] and decoded one by one.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use thalweg_engine::counted::counted;
use thalweg_engine::error::{Failure, RecordError};

use super::format::{BATCH_ROWS, Batch, FileFault, FileFormat, FileRows, Item, OpenFile};
use super::lines::{Cut, Splitter};
use super::unpack::unpacked;
use crate::codecs::{Decoded, Decoder};

/// How much is read at once.
const PIECE: usize = 128 * 1024;
/// A longer record is an error, and no more of it is held.
const RECORD_MAX: usize = 64 << 20;
/// So much of its end is held, in which the beginning of a line's end may stand.
const TAIL: usize = 64;

/// A format of text with the columns and options of one table.
pub trait TextCodec: Send + Sync {
    /// Cuts the text of one file.
    fn splitter(&self) -> Box<dyn Splitter>;

    /// Whether the first record of each file is its header, and no row.
    fn has_header(&self) -> bool {
        false
    }

    /// Whether a file without any record is none: its header is missing.
    fn needs_header(&self) -> bool {
        false
    }

    /// Decodes the records of one file, which has this header; `splitter` has cut its first record.
    ///
    /// # Errors
    /// When the header does not fit the table.
    fn decoder(
        &self,
        header: Option<&[u8]>,
        splitter: &dyn Splitter,
    ) -> Result<Box<dyn Decoder>, RecordError>;
}

/// A format of text as a format of files.
pub struct TextFormat {
    codec: Arc<dyn TextCodec>,
    /// What the bytes are, where they are not UTF-8.
    encoding: Option<&'static encoding_rs::Encoding>,
}

impl TextFormat {
    /// The format of a codec; `encoding` says what the bytes are, where they are not UTF-8.
    pub fn new(
        codec: Arc<dyn TextCodec>,
        encoding: Option<&'static encoding_rs::Encoding>,
    ) -> Self {
        Self { codec, encoding }
    }
}

impl FileFormat for TextFormat {
    fn open(&self, file: OpenFile<'_>, from: u64) -> Result<Box<dyn FileRows>, FileFault> {
        Ok(Box::new(TextRows {
            // As in Spark a file without a byte has no rows, whatever its name says of how it is packed.
            input: match file.size {
                0 => Box::new(io::empty()),
                _ => unpacked(file.content, file.path, self.encoding)?,
            },
            text: Arc::default(),
            piece: usize::try_from(file.size).unwrap_or(PIECE).min(PIECE - 1) + 1,
            from: 0,
            begun: file.size == 0,
            over: false,
            broken: None,
            leaving: false,
            splitter: self.codec.splitter(),
            decoder: None,
            codec: Arc::clone(&self.codec),
            skip: from,
        }))
    }
}

/// The rows of one file.
struct TextRows {
    input: Box<dyn Read + Send>,
    /// What was read and is not done: records that stand in a batch share it.
    text: Arc<Vec<u8>>,
    /// How much is read next: of a small file no more than it has, and its end.
    piece: usize,
    /// Where the next record begins in it.
    from: usize,
    /// Whether the file's begin has been looked at; a file without a byte has none.
    begun: bool,
    /// Whether the text reaches to the file's end.
    over: bool,
    /// Why nothing can be read behind the text; told when its records are done.
    broken: Option<FileFault>,
    /// Whether the record that `from` stands in is too long, and is left out.
    leaving: bool,
    splitter: Box<dyn Splitter>,
    /// None until the header has been read.
    decoder: Option<Box<dyn Decoder>>,
    codec: Arc<dyn TextCodec>,
    /// So many records are stepped over.
    skip: u64,
}

impl FileRows for TextRows {
    fn next(&mut self) -> Result<Option<Batch>, FileFault> {
        let mut batch = Batch::default();
        loop {
            self.take(&mut batch)?;
            if !batch.items.is_empty() {
                batch.bytes = Arc::clone(&self.text);
                return Ok(Some(batch));
            }
            if let Some(fault) = self.broken.take() {
                return Err(fault);
            }
            if self.over {
                return self.end();
            }
            self.read();
        }
    }
}

impl TextRows {
    /// Takes records that are whole, until the batch is full.
    fn take(&mut self, batch: &mut Batch) -> Result<(), FileFault> {
        let text = Arc::clone(&self.text);
        // An empty text is looked at once: as a whole it is a record, as lines it has none.
        while batch.items.len() < BATCH_ROWS
            && (self.from < text.len() || (self.over && !self.begun))
        {
            match self.splitter.cut(&text[self.from..], self.over) {
                Cut::More => {
                    if self.leaving || text.len() - self.from > RECORD_MAX {
                        self.too_long(batch);
                    }
                    break;
                }
                Cut::Nothing(next) => {
                    self.from += next;
                    self.leaving = false;
                }
                Cut::Record(span, next) => {
                    let at = self.from;
                    self.from += next;
                    if !std::mem::take(&mut self.leaving) {
                        self.record(&text, at + span.start..at + span.end, batch)?;
                    }
                }
            }
            self.begun = true;
        }
        Ok(())
    }

    /// The file is done.
    fn end(&self) -> Result<Option<Batch>, FileFault> {
        if self.decoder.is_none() && self.codec.needs_header() {
            return Err(FileFault::Lost(RecordError::decode(
                "the file has no header line: it is empty. A list without rows is the header line alone",
            )));
        }
        match self.skip {
            0 => Ok(None),
            missing => Err(FileFault::Lost(RecordError::decode(format!(
                "the file ends {} before this one, although more was read from it before: it was replaced by a shorter one",
                counted(missing, "row")
            )))),
        }
    }

    fn record(
        &mut self,
        text: &[u8],
        span: Range<usize>,
        batch: &mut Batch,
    ) -> Result<(), FileFault> {
        let bytes = &text[span.clone()];
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => {
                let header = self.codec.has_header().then_some(bytes);
                let made = self
                    .codec
                    .decoder(header, &*self.splitter)
                    .map_err(FileFault::Lost)?;
                let decoder = self.decoder.insert(made);
                if header.is_some() {
                    return Ok(());
                }
                decoder
            }
        };
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        let begin = batch.values.len();
        batch
            .items
            .push(match decoder.decode(bytes, &mut batch.values) {
                Ok(Decoded::Row) => {
                    batch.width = batch.values.len() - begin;
                    if begin == 0 {
                        // The other rows are as wide, and about as many as this one's length says.
                        let left = (text.len() - span.end) / span.len().max(1);
                        batch.values.reserve(batch.width * left.min(BATCH_ROWS - 1));
                    }
                    Item::Row(())
                }
                other => {
                    batch.values.truncate(begin);
                    match other {
                        Err(error) => Item::Bad(Box::new(error)),
                        Ok(_) => Item::Dropped,
                    }
                }
            });
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        batch.spans.push((number(span.start), number(span.end)));
        Ok(())
    }

    /// The record that is being read is left out, up to its end.
    fn too_long(&mut self, batch: &mut Batch) {
        if !std::mem::replace(&mut self.leaving, true) {
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                batch
                    .items
                    .push(Item::Bad(Box::new(RecordError::decode(format!(
                        "the record is longer than {} MiB",
                        RECORD_MAX >> 20
                    )))));
                batch.spans.push((0, 0));
            }
        }
        self.from = self.from.max(self.text.len().saturating_sub(TAIL));
        self.splitter.leave();
    }

    /// Reads on behind what is not done.
    fn read(&mut self) {
        let rest = &self.text[self.from..];
        // Twice as much each time, but no more of a record than may be held.
        let most = (RECORD_MAX + PIECE).saturating_sub(rest.len()).max(PIECE);
        let more = std::mem::replace(&mut self.piece, PIECE);
        let more = more.max(rest.len()).min(most);
        let mut text = Vec::with_capacity(rest.len() + more);
        text.extend_from_slice(rest);
        match (&mut self.input).take(more as u64).read_to_end(&mut text) {
            Ok(count) => self.over = count < more,
            // What came before the damage is there all the same.
            Err(error) => self.broken = Some(fault(&error)),
        }
        self.text = Arc::new(text);
        self.from = 0;
    }
}

/// What a failed read means.
pub(crate) fn fault(error: &io::Error) -> FileFault {
    match error.kind() {
        // The unpackers say so of bytes that are not theirs.
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => FileFault::Lost(RecordError::decode(format!(
            "the rest of the file cannot be unpacked: it is truncated or damaged ({error})"
        ))),
        io::ErrorKind::NotFound => FileFault::Lost(RecordError::decode(
            "the file is gone: it was deleted or moved before it was read",
        )),
        io::ErrorKind::StaleNetworkFileHandle => FileFault::Lost(RecordError::decode(
            "the file was replaced while it was read: give each new content a name of its own",
        )),
        io::ErrorKind::PermissionDenied => FileFault::Lost(RecordError::decode(
            "the file may not be read by this user: give it the right to",
        )),
        _ => FileFault::System(Failure::restart(format!("reading failed: {error}"))),
    }
}
