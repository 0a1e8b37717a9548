//! Compressed files, by their suffix, and files of other encodings than UTF-8: a reader of plain UTF-8.

use std::io::{self, Read};
use std::path::Path;

use encoding_rs::{CoderResult, Decoder, Encoding};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use thalweg_engine::error::RecordError;

use super::content::Content;
use super::format::FileFault;
use super::text::fault;

/// Suffixes that Spark unpacks and this version does not.
const REFUSED: [(&str, &str); 5] = [
    ("bz2", "bzip2"),
    ("lz4", "LZ4"),
    ("snappy", "Snappy"),
    ("lzo", "LZO"),
    ("xz", "XZ"),
];

/// A reader of a file's plain text.
///
/// # Errors
/// When the file is packed in a way that is not known.
pub(crate) fn unpacked(
    file: Content,
    path: &Path,
    encoding: Option<&'static Encoding>,
) -> Result<Box<dyn Read + Send>, FileFault> {
    let suffix = path
        .extension()
        .map(|suffix| suffix.to_string_lossy().to_ascii_lowercase());
    let plain: Box<dyn Read + Send> = match suffix.as_deref() {
        Some("gz") => Box::new(MultiGzDecoder::new(io::BufReader::new(file))),
        Some("deflate") => Box::new(ZlibDecoder::new(file)),
        Some("zst") => {
            Box::new(zstd::stream::read::Decoder::new(file).map_err(|error| fault(&error))?)
        }
        Some(suffix) => match REFUSED.iter().find(|(known, _)| *known == suffix) {
            Some((_, name)) => {
                return Err(FileFault::Lost(RecordError::decode(format!(
                    "the file is packed with {name}, which is not unpacked here: pack it with gzip or zstd"
                ))));
            }
            None => Box::new(file),
        },
        None => Box::new(file),
    };
    Ok(match encoding {
        Some(encoding) => Box::new(Recoded::new(plain, encoding)),
        None => Box::new(Unmarked {
            input: plain,
            mark: None,
        }),
    })
}

/// UTF-8 without the byte order mark that may stand before it.
struct Unmarked {
    input: Box<dyn Read + Send>,
    /// What was read to look for the mark and is text; None before the first read.
    mark: Option<io::Cursor<Vec<u8>>>,
}

impl Read for Unmarked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.mark.is_none() {
            let mut begin = Vec::with_capacity(3);
            (&mut self.input).take(3).read_to_end(&mut begin)?;
            if begin == b"\xef\xbb\xbf" {
                begin.clear();
            }
            self.mark = Some(io::Cursor::new(begin));
        }
        if let Some(mark) = &mut self.mark {
            let count = mark.read(into)?;
            if count > 0 {
                return Ok(count);
            }
        }
        self.input.read(into)
    }
}

/// Text of another encoding as UTF-8. What is not of the encoding becomes U+FFFD, as Java reads it.
struct Recoded {
    input: Box<dyn Read + Send>,
    decoder: Decoder,
    raw: Vec<u8>,
    from: usize,
    over: bool,
    done: bool,
    /// Text that did not fit into what was asked for.
    text: io::Cursor<Vec<u8>>,
}

impl Recoded {
    fn new(input: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder(),
            raw: Vec::new(),
            from: 0,
            over: false,
            done: false,
            text: io::Cursor::new(Vec::new()),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        const STEP: usize = 32 * 1024;
        if self.from == self.raw.len() && !self.over {
            self.raw.resize(STEP, 0);
            let count = self.input.read(&mut self.raw)?;
            self.raw.truncate(count);
            self.from = 0;
            self.over = count == 0;
        }
        let mut text = std::mem::take(self.text.get_mut());
        text.resize(STEP * 3, 0);
        let (result, read, written, _) =
            self.decoder
                .decode_to_utf8(&self.raw[self.from..], &mut text, self.over);
        self.from += read;
        text.truncate(written);
        self.done = self.over && result == CoderResult::InputEmpty;
        self.text = io::Cursor::new(text);
        Ok(())
    }
}

impl Read for Recoded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.text.read(into)?;
            if count > 0 || self.done || into.is_empty() {
                return Ok(count);
            }
            self.fill()?;
        }
    }
}
