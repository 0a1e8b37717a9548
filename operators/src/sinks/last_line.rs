//! The last line of a file that is gone on with: a crash or a full disk may have cut it off, and what is appended to a part of
//! a line can be read by nobody.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::de::IgnoredAny;

/// Bytes that are read at once, from the end backwards.
const BLOCK: u64 = 64 * 1024;

/// Makes the file end where a line ends: a part of a JSON object is taken away, for its row was never committed and is
/// written again; anything else that has no line end gets one.
///
/// # Errors
/// When the file cannot be read or written.
pub(super) fn mend(file: &mut File, path: &Path, json: bool) -> io::Result<()> {
    let (start, line) = last_line(path)?;
    if line.is_empty() {
        return Ok(());
    }
    if json && serde_json::from_slice::<IgnoredAny>(&line).is_err() {
        tracing::warn!(
            file = %path.display(),
            bytes = line.len(),
            "the last line of the output was cut off and is taken away; its row is written again"
        );
        return file.set_len(start);
    }
    file.write_all(b"\n")
}

/// Where what stands behind the last line end begins, and what it is.
fn last_line(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(path)?;
    let mut start = file.metadata()?.len();
    let mut line = Vec::new();
    while start > 0 {
        let block = start.min(BLOCK);
        start -= block;
        file.seek(SeekFrom::Start(start))?;
        let mut read = Vec::new();
        Read::by_ref(&mut file).take(block).read_to_end(&mut read)?;
        let end = read.iter().rposition(|byte| *byte == b'\n');
        let rest = end.map_or(0, |end| end + 1);
        read.drain(..rest);
        read.append(&mut line);
        line = read;
        if end.is_some() {
            return Ok((start + rest as u64, line));
        }
    }
    Ok((0, line))
}
