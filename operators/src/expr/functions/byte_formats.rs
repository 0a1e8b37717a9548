//! Functions of bytes: base 32, message authentication, whether they are text.

use md5::Digest;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Text, TextOrBinary};
use super::forms::{binary, failed, strict_scratch, string, written};
use super::{BindContext, Function, function};
use crate::expr::access::{bytes, text};
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "to_base32",
        "to_base32(binary or text)",
        "The bytes in base 32.",
        "to_base32('foobar')",
        "MZXW6YTBOI======",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            written(cx, args, |v, out| {
                to_base32(bytes(&v[0]), out);
                Ok(())
            })
        },
    ),
    function(
        "from_base32",
        "from_base32(text)",
        "The bytes that a text in base 32 means; other characters in it are skipped.",
        "decode(from_base32('MZXW6YTBOI======'), 'UTF-8')",
        "foobar",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            strict_scratch(cx, DataType::Binary, args, || {
                let mut out = Vec::new();
                Box::new(move |v| {
                    out.clear();
                    from_base32(text(&v[0]), &mut out);
                    Ok(binary(&out))
                })
            })
        },
    ),
    function(
        "hmac",
        "hmac(key, message[, algorithm])",
        "The bytes of a keyed hash by 'SHA-256' (if none is given), 'SHA-224', 'SHA-384', 'SHA-512', 'SHA-1' or 'MD5'.",
        "hex(hmac('key', 'message', 'MD5'))",
        "4E4748E62B463521F6775FBF921234B5",
        hmac,
    ),
    function(
        "is_valid_utf8",
        "is_valid_utf8(text or binary)",
        "Whether the bytes are text in UTF-8.",
        "is_valid_utf8(X'C3')",
        "false",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            cx.strict(DataType::Boolean, args, |v| {
                Ok(Value::Boolean(std::str::from_utf8(bytes(&v[0])).is_ok()))
            })
        },
    ),
    function(
        "validate_utf8",
        "validate_utf8(text or binary)",
        "The bytes as a text; an error where they are not UTF-8.",
        "validate_utf8(X'C3A4')",
        "ä",
        |args, cx| validate(args, cx, true),
    ),
    function(
        "try_validate_utf8",
        "try_validate_utf8(text or binary)",
        "The bytes as a text; NULL where they are not UTF-8.",
        "try_validate_utf8(X'C3')",
        "NULL",
        |args, cx| validate(args, cx, false),
    ),
    function(
        "make_valid_utf8",
        "make_valid_utf8(text or binary)",
        "The bytes as a text, with a replacement character where they are not UTF-8.",
        "make_valid_utf8(X'61C262')",
        "a\u{fffd}b",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            written(cx, args, |v, out| {
                out.push_str(&String::from_utf8_lossy(bytes(&v[0])));
                Ok(())
            })
        },
    ),
];

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn to_base32(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(5) {
        let mut group = [0_u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        let digits = (chunk.len() * 8).div_ceil(5);
        for place in 0..8 {
            let digit = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0);
            out.push(if place < digits {
                char::from(ALPHABET[digit])
            } else {
                '='
            });
        }
    }
}

/// Digits up to the padding, in any case; bits that fill no byte are kept where there is no byte before them, as in Spark.
fn from_base32(text: &str, out: &mut Vec<u8>) {
    let (mut held, mut count) = (0_u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let upper = byte.to_ascii_uppercase();
        let Some(digit) = ALPHABET.iter().position(|known| *known == upper) else {
            continue;
        };
        held = held << 5 | u32::try_from(digit).unwrap_or(0);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(held >> count & 255).unwrap_or(0));
        }
    }
}

type Hash = fn(&[&[u8]]) -> Vec<u8>;

fn hash<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().to_vec()
}

/// A hash and the size of its blocks.
fn algorithm(name: &str) -> Option<(Hash, usize)> {
    let plain = name.replace('-', "").to_ascii_uppercase();
    Some(match plain.as_str() {
        "SHA256" => (hash::<sha2::Sha256>, 64),
        "SHA224" => (hash::<sha2::Sha224>, 64),
        "SHA384" => (hash::<sha2::Sha384>, 128),
        "SHA512" => (hash::<sha2::Sha512>, 128),
        "SHA1" => (hash::<sha1::Sha1>, 64),
        "MD5" => (hash::<md5::Md5>, 64),
        _ => return None,
    })
}

fn hmac(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[TextOrBinary, TextOrBinary, Text], 2)?;
    if let Some(name) = args.get(2).and_then(Typed::constant_text)
        && algorithm(name).is_none()
    {
        return Err(cx.error(format!("there is no algorithm '{name}'")));
    }
    cx.strict(DataType::Binary, args, |v| {
        let (hash, block) = algorithm(v.get(2).map_or("SHA256", text))
            .ok_or_else(|| failed("there is no such algorithm"))?;
        let mut key = bytes(&v[0]).to_vec();
        if key.is_empty() {
            return Err(failed("the key is empty"));
        }
        if key.len() > block {
            key = hash(&[&key]);
        }
        key.resize(block, 0);
        let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
        let inner = hash(&[&padded(0x36), bytes(&v[1])]);
        Ok(binary(&hash(&[&padded(0x5c), &inner])))
    })
}

fn validate(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[TextOrBinary], 1)?;
    cx.partial(DataType::String, args, move |v| {
        match std::str::from_utf8(bytes(&v[0])) {
            Ok(text) => Ok(string(text)),
            Err(_) if strict => Err(failed("the bytes are not UTF-8")),
            Err(_) => Ok(Value::Null),
        }
    })
}
