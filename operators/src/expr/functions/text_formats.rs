//! Functions of text and bytes: hexadecimal, base 64, character sets.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Binary, Long, Text, TextOrBinary};
use super::forms::{binary, error_or_null, strict_scratch, string, written};
use super::{BindContext, Function, function};
use crate::expr::access::{bytes, long, text};
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "hex",
        "hex(number, text or binary)",
        "Hexadecimal digits of a number, or of each byte.",
        "hex('Spark SQL')",
        "537061726B2053514C",
        |args, cx| {
            let number = args.first().is_some_and(|arg| arg.data_type.is_numeric());
            let args = cx.take(args, &[if number { Long } else { TextOrBinary }], 1)?;
            written(cx, args, move |v, out| {
                if number {
                    let digits = long(&v[0]).cast_unsigned();
                    let count = (64 - digits.leading_zeros()).div_ceil(4).max(1);
                    for place in (0..count).rev() {
                        out.push(hex_digit((digits >> (place * 4)) & 15));
                    }
                } else {
                    for byte in bytes(&v[0]) {
                        out.push(hex_digit(u64::from(byte >> 4)));
                        out.push(hex_digit(u64::from(byte & 15)));
                    }
                }
                Ok(())
            })
        },
    ),
    function(
        "unhex",
        "unhex(text)",
        "The bytes that hexadecimal digits mean; NULL where they are none.",
        "decode(unhex('537061726B2053514C'), 'UTF-8')",
        "Spark SQL",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.scratch(DataType::Binary, args, || {
                let mut out = Vec::new();
                Box::new(move |v| {
                    out.clear();
                    Ok(if from_hex(text(&v[0]).as_bytes(), &mut out) {
                        binary(&out)
                    } else {
                        Value::Null
                    })
                })
            })
        },
    ),
    function(
        "base64",
        "base64(binary or text)",
        "The bytes in base 64, in lines of 76 characters parted by \\r\\n.",
        "base64('Spark SQL')",
        "U3BhcmsgU1FM",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            written(cx, args, |v, out| {
                to_base64(bytes(&v[0]), out);
                Ok(())
            })
        },
    ),
    function(
        "unbase64",
        "unbase64(text)",
        "The bytes that a text in base 64 means; other characters in it are skipped.",
        "decode(unbase64('U3BhcmsgU1FM'), 'UTF-8')",
        "Spark SQL",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            decoded(args, cx, true, from_base64)
        },
    ),
    function(
        "to_binary",
        "to_binary(text[, format])",
        "The bytes of a text in a format: 'hex' (the default), 'base64' or 'utf-8'.",
        "decode(to_binary('abc', 'utf-8'), 'utf-8')",
        "abc",
        |args, cx| to_binary(args, cx, true),
    ),
    function(
        "try_to_binary",
        "try_to_binary(text[, format])",
        "The bytes of a text in a format, as to_binary gives them; NULL where it is not of that format.",
        "try_to_binary('a!', 'base64')",
        "NULL",
        |args, cx| to_binary(args, cx, false),
    ),
    function(
        "encode",
        "encode(text, charset)",
        "The bytes of a text in US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE, UTF-16 or UTF-32.",
        "hex(encode('abc', 'utf-16'))",
        "FEFF006100620063",
        |args, cx| {
            let args = cx.take(args, &[Text, Text], 2)?;
            let fixed = charset_of(args.get(1), cx)?;
            strict_scratch(cx, DataType::Binary, args, move || {
                let mut out = Vec::new();
                Box::new(move |v| {
                    out.clear();
                    let charset = fixed.or_else(|| charset(text(&v[1])));
                    let known = charset.is_some_and(|c| encode_into(text(&v[0]), c, &mut out));
                    if known {
                        return Ok(binary(&out));
                    }
                    error_or_null(true, || {
                        "the text has characters that the charset has not".into()
                    })
                })
            })
        },
    ),
];

/// Lines of this many bytes are 76 characters long.
const LINE: usize = 57;

/// As a MIME encoder writes it.
fn to_base64(bytes: &[u8], out: &mut String) {
    for (i, line) in bytes.chunks(LINE).enumerate() {
        if i > 0 {
            out.push_str("\r\n");
        }
        STANDARD.encode_string(line, out);
    }
}

fn hex_digit(nibble: u64) -> char {
    char::from(b"0123456789ABCDEF"[usize::try_from(nibble & 15).unwrap_or(0)])
}

fn from_hex(digits: &[u8], out: &mut Vec<u8>) -> bool {
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (first, pairs) = digits.split_at(digits.len() % 2);
    if let [digit] = first {
        match value(*digit) {
            Some(byte) => out.push(byte),
            None => return false,
        }
    }
    for pair in pairs.chunks_exact(2) {
        match (value(pair[0]), value(pair[1])) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => return false,
        }
    }
    true
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// As Java's MIME decoder: what is not of the alphabet does not count, and where there is padding it is whole.
fn from_base64(encoded: &[u8], out: &mut Vec<u8>) -> bool {
    let of_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let end = encoded
        .iter()
        .position(|b| *b == b'=')
        .unwrap_or(encoded.len());
    let (digits, padding) = encoded.split_at(end);
    let kept = match digits.iter().all(of_alphabet) {
        true => Cow::Borrowed(digits),
        false => digits.iter().copied().filter(of_alphabet).collect(),
    };
    let whole = match kept.len() % 4 {
        2 => padding.starts_with(b"=="),
        digits => digits == 3,
    };
    let fits = padding.is_empty() || whole && !padding.iter().any(of_alphabet);
    fits && LENIENT.decode_vec(kept, out).is_ok()
}

/// Base 64 with or without padding, and without any other character.
fn from_strict_base64(encoded: &[u8], out: &mut Vec<u8>) -> bool {
    LENIENT.decode_vec(encoded, out).is_ok()
}

fn from_utf8(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(text);
    true
}

type Decode = fn(&[u8], &mut Vec<u8>) -> bool;

fn decoded(
    args: Vec<Typed>,
    cx: &BindContext,
    strict: bool,
    decode: Decode,
) -> Result<Typed, JobError> {
    let nullable = !strict || args[0].nullable;
    let mut typed = cx.scratch(DataType::Binary, args, move || {
        let mut out = Vec::new();
        Box::new(move |v| {
            out.clear();
            if decode(text(&v[0]).as_bytes(), &mut out) {
                return Ok(binary(&out));
            }
            error_or_null(strict, || "the text is not of the format".to_owned())
        })
    })?;
    typed.nullable &= nullable;
    Ok(typed)
}

fn to_binary(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Text, Text], 1)?;
    let decode: Decode = match args.get(1) {
        None => from_hex,
        Some(format) if format.constant() == Some(&Value::Null) => {
            return Ok(Typed::literal(Value::Null, DataType::Binary, cx.at));
        }
        Some(format) => match format.constant_text().map(str::to_lowercase).as_deref() {
            Some("hex") => from_hex,
            Some("base64") => from_strict_base64,
            Some("utf-8" | "utf8") => from_utf8,
            _ => return Err(cx.error("the format is 'hex', 'base64' or 'utf-8'")),
        },
    };
    args.truncate(1);
    decoded(args, cx, strict, decode)
}

/// Bytes as 'base64', 'hex' or 'utf-8'.
pub(super) fn shown_binary(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Binary, Text], 2)?;
    let format = args.remove(1);
    if format.constant() == Some(&Value::Null) {
        return Ok(Typed::literal(Value::Null, DataType::String, cx.at));
    }
    match format.constant_text().map(str::to_lowercase).as_deref() {
        Some("base64") => written(cx, args, |v, out| {
            to_base64(bytes(&v[0]), out);
            Ok(())
        }),
        Some("hex") => written(cx, args, |v, out| {
            for byte in bytes(&v[0]) {
                out.push(hex_digit(u64::from(byte >> 4)));
                out.push(hex_digit(u64::from(byte & 15)));
            }
            Ok(())
        }),
        Some("utf-8") => {
            args.push(Typed::literal(
                Value::from("UTF-8"),
                DataType::String,
                cx.at,
            ));
            decode(args, cx)
        }
        _ => Err(cx.error("the format is 'base64', 'hex' or 'utf-8'")),
    }
}

/// `decode(binary, charset)`.
pub(super) fn decode(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Binary, Text], 2)?;
    let fixed = charset_of(args.get(1), cx)?;
    cx.strict(DataType::String, args, move |v| {
        let charset = fixed.or_else(|| charset(text(&v[1])));
        match charset.and_then(|charset| decode_text(bytes(&v[0]), charset)) {
            Some(text) => Ok(string(&text)),
            None => error_or_null(true, || "the bytes are no text of the charset".to_owned()),
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    Utf16Be,
    Utf16Le,
    /// With a byte order mark.
    Utf16,
    Utf32,
}

fn charset(name: &str) -> Option<Charset> {
    Some(match name.to_ascii_uppercase().as_str() {
        "US-ASCII" => Charset::Ascii,
        "ISO-8859-1" => Charset::Latin1,
        "UTF-8" => Charset::Utf8,
        "UTF-16BE" => Charset::Utf16Be,
        "UTF-16LE" => Charset::Utf16Le,
        "UTF-16" => Charset::Utf16,
        "UTF-32" => Charset::Utf32,
        _ => return None,
    })
}

/// The constant charset, refused when it is unknown.
fn charset_of(arg: Option<&Typed>, cx: &BindContext) -> Result<Option<Charset>, JobError> {
    match arg.and_then(Typed::constant_text) {
        None => Ok(None),
        Some(name) => match charset(name) {
            Some(charset) => Ok(Some(charset)),
            None => Err(cx.error(
                "the charset is US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE, UTF-16 or UTF-32",
            )),
        },
    }
}

fn encode_into(text: &str, charset: Charset, out: &mut Vec<u8>) -> bool {
    match charset {
        Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
        Charset::Ascii if text.is_ascii() => out.extend_from_slice(text.as_bytes()),
        Charset::Ascii => return false,
        Charset::Latin1 => {
            for c in text.chars() {
                match u8::try_from(u32::from(c)) {
                    Ok(byte) => out.push(byte),
                    Err(_) => return false,
                }
            }
        }
        Charset::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        Charset::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
        Charset::Utf16 => {
            if !text.is_empty() {
                out.extend([0xfe, 0xff]);
            }
            out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        }
        Charset::Utf32 => out.extend(text.chars().flat_map(|c| u32::from(c).to_be_bytes())),
    }
    true
}

fn decode_text(bytes: &[u8], charset: Charset) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        bytes
            .len()
            .is_multiple_of(2)
            .then(|| {
                char::decode_utf16(units)
                    .collect::<Result<String, _>>()
                    .ok()
            })
            .flatten()
    };
    match charset {
        Charset::Ascii if !bytes.is_ascii() => None,
        Charset::Utf8 | Charset::Ascii => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Charset::Latin1 => Some(bytes.iter().copied().map(char::from).collect()),
        Charset::Utf16Be => utf16(bytes, u16::from_be_bytes),
        Charset::Utf16Le => utf16(bytes, u16::from_le_bytes),
        Charset::Utf16 => match bytes {
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            rest => utf16(rest, u16::from_be_bytes),
        },
        Charset::Utf32 => {
            let points = bytes.chunks_exact(4);
            if !points.remainder().is_empty() {
                return None;
            }
            points
                .map(|p| char::from_u32(u32::from_be_bytes([p[0], p[1], p[2], p[3]])))
                .collect()
        }
    }
}
