//! The names of encodings, as the options `encoding` and `charset` give them.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The encoding of a name; None for UTF-8.
///
/// # Errors
/// For a name that is none, or of an encoding that is not known here.
pub(crate) fn named(name: &str) -> Result<Option<&'static Encoding>, String> {
    let plain = name.trim();
    if plain.eq_ignore_ascii_case("ISO-8859-1") || plain.eq_ignore_ascii_case("US-ASCII") {
        // It differs from these only where they have control characters.
        return Ok(Some(WINDOWS_1252));
    }
    if plain.eq_ignore_ascii_case("UTF-16") {
        // As in Java: big endian, unless a byte order mark says otherwise.
        return Ok(Some(encoding_rs::UTF_16BE));
    }
    match Encoding::for_label(plain.as_bytes()) {
        Some(encoding) if encoding == UTF_8 => Ok(None),
        Some(encoding) if encoding != encoding_rs::REPLACEMENT => Ok(Some(encoding)),
        _ => Err(format!(
            "`{plain}` is no encoding that can be read here: UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1, windows-1252, \
             Shift_JIS and others of the web can"
        )),
    }
}
