//! The thread that reads a file and hands over its whole lines; of one that is too long only where it ends.

use std::io::{self, Read};
use std::sync::Arc;

use thalweg_engine::error::Failure;
use tokio::sync::mpsc::Sender;

/// How much is read at once, and how many of such pieces may wait.
const PIECE: usize = 64 * 1024;
pub(super) const PIECES_MAX: usize = 4;
/// A longer line is a bad record, and no more of it is held.
pub(super) const LINE_MAX: usize = 64 << 20;

/// Whole lines, as they were read.
pub(super) struct Piece {
    pub(super) bytes: Arc<Vec<u8>>,
    /// The byte offset of the first one in the file, and its number from 0.
    pub(super) at: u64,
    pub(super) line: u64,
}

/// A line that is not held: where it begins, its number from 0, and where the next one begins.
pub(super) struct Long {
    pub(super) at: u64,
    pub(super) line: u64,
    pub(super) next: u64,
}

pub(super) enum Message {
    Piece(Piece),
    /// A line that is too long.
    Long(Long),
    Failed(Failure),
    End,
}

/// The thread that reads.
pub(super) struct Reader {
    pub(super) input: Box<dyn Read + Send>,
    pub(super) path: String,
    pub(super) sender: Sender<Message>,
}

impl Reader {
    /// Reads from a byte offset on, until the file ends or nobody listens.
    pub(super) fn run(mut self, from: u64) {
        let last = match self.read(from) {
            // The stream is gone.
            Ok(false) => return,
            Ok(true) => Message::End,
            Err(failure) => Message::Failed(failure),
        };
        let _ = self.sender.blocking_send(last);
    }

    /// Whether the end was reached.
    fn read(&mut self, from: u64) -> Result<bool, Failure> {
        let mut line = self.skip(from)?;
        let mut at = from;
        let mut buffer = Vec::with_capacity(PIECE);
        // So much of it is known to have no line's end.
        let mut known = 0;
        let mut over = false;
        loop {
            let end = match last_line_end(&buffer[known..]) {
                _ if over => buffer.len(),
                Some(last) => known + last + 1,
                None => 0,
            };
            if end > 0 {
                let rest = buffer[end..].to_vec();
                buffer.truncate(end);
                let newlines = buffer.iter().filter(|byte| **byte == b'\n').count();
                let piece = Piece {
                    bytes: Arc::new(std::mem::replace(&mut buffer, rest)),
                    at,
                    line,
                };
                at += end as u64;
                line += newlines as u64;
                if self.sender.blocking_send(Message::Piece(piece)).is_err() {
                    return Ok(false);
                }
            }
            if over {
                return Ok(true);
            }
            known = buffer.len();
            if known > LINE_MAX {
                let length;
                (length, over) = self.leave(&mut buffer)?;
                let next = at + length;
                let long = Message::Long(Long { at, line, next });
                if self.sender.blocking_send(long).is_err() {
                    return Ok(false);
                }
                (at, line, known) = (next, line + 1, 0);
            } else {
                over = self.fill(&mut buffer)? == 0;
            }
        }
    }

    /// Steps over the line that fills the buffer, which then begins with what follows it. Gives the line's length with its end,
    /// and whether the file ends with it.
    fn leave(&mut self, buffer: &mut Vec<u8>) -> Result<(u64, bool), Failure> {
        let mut length = buffer.len() as u64;
        *buffer = Vec::with_capacity(PIECE);
        loop {
            if self.fill(buffer)? == 0 {
                return Ok((length, true));
            }
            if !buffer.contains(&b'\n') {
                length += buffer.len() as u64;
                buffer.clear();
            } else if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                buffer.drain(..=end);
                return Ok((length + end as u64 + 1, false));
            }
        }
    }

    /// Reads once more to the end of the buffer.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Failure> {
        let known = buffer.len();
        buffer.resize(known + PIECE, 0);
        loop {
            match self.input.read(&mut buffer[known..]) {
                Ok(count) => {
                    buffer.truncate(known + count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Failure::restart(format!(
                        "{} cannot be read: {error}",
                        self.path
                    )));
                }
            }
        }
    }

    /// Steps over what was read before; the number of its lines.
    fn skip(&mut self, bytes: u64) -> Result<u64, Failure> {
        let mut left = bytes;
        let mut lines = 0;
        let mut buffer = vec![0; PIECE];
        let mut last = b'\n';
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = self.input.read(&mut buffer[..most]).map_err(|error| {
                Failure::restart(format!("{} cannot be read: {error}", self.path))
            })?;
            if count == 0 {
                break;
            }
            last = buffer[count - 1];
            lines += buffer[..count]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count() as u64;
            left -= count as u64;
        }
        if left > 0 {
            return Err(Failure::end(format!(
                "{} ends before byte {bytes}, which was read already: it was replaced",
                self.path
            )));
        }
        // A last line without an end was a record too.
        Ok(lines + u64::from(last != b'\n'))
    }
}

fn last_line_end(bytes: &[u8]) -> Option<usize> {
    // Most pieces of a long line have none, and that is found out faster.
    let some = bytes.contains(&b'\n');
    some.then(|| bytes.iter().rposition(|byte| *byte == b'\n'))?
}
