//! Functions of URLs.

use std::sync::Arc;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::Text;
use super::forms::{error_or_null, strict_scratch, string, written};
use super::{BindContext, Function, function};
use crate::expr::access::text;
use crate::expr::body::Outcome;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "parse_url",
        "parse_url(url, part[, key])",
        "A part of a URL: PROTOCOL, AUTHORITY, USERINFO, HOST, PATH, QUERY (or the value of one key), REF, FILE.",
        "parse_url('http://spark.apache.org/path?query=1', 'QUERY', 'query')",
        "1",
        |args, cx| parse(args, cx, cx.settings.ansi),
    ),
    function(
        "try_parse_url",
        "try_parse_url(url, part[, key])",
        "A part of a URL as parse_url gives it; NULL where the URL is not valid.",
        "try_parse_url('inva lid://spark.apache.org', 'HOST')",
        "NULL",
        |args, cx| parse(args, cx, false),
    ),
    function(
        "url_encode",
        "url_encode(text)",
        "The text as a form sends it: a space becomes +, other special characters %XX.",
        "url_encode('https://spark.apache.org')",
        "https%3A%2F%2Fspark.apache.org",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            written(cx, args, |v, out| {
                for byte in text(&v[0]).bytes() {
                    match byte {
                        b' ' => out.push('+'),
                        b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
                        _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
                        _ => {
                            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                            out.push('%');
                            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                            out.push(char::from(DIGITS[usize::from(byte & 15)]));
                        }
                    }
                }
                Ok(())
            })
        },
    ),
    function(
        "url_decode",
        "url_decode(text)",
        "The text that url_encode has encoded.",
        "url_decode('https%3A%2F%2Fspark.apache.org')",
        "https://spark.apache.org",
        |args, cx| decode(args, cx, true),
    ),
    function(
        "try_url_decode",
        "try_url_decode(text)",
        "The text that url_encode has encoded; NULL where it is not that.",
        "try_url_decode('http%3A%2F%2spark.apache.org')",
        "NULL",
        |args, cx| decode(args, cx, false),
    ),
];

fn decode(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text], 1)?;
    let nullable = !strict || args[0].nullable;
    let mut typed = cx.scratch(DataType::String, args, move || {
        let mut out = Vec::new();
        Box::new(move |v| {
            out.clear();
            if !decode_into(text(&v[0]).as_bytes(), &mut out) {
                return error_or_null(strict, || "the text is not URL-encoded".to_owned());
            }
            Ok(string(&String::from_utf8_lossy(&out)))
        })
    })?;
    typed.nullable &= nullable;
    Ok(typed)
}

fn decode_into(encoded: &[u8], out: &mut Vec<u8>) -> bool {
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|d| char::from(*d).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => {
                        out.push(u8::try_from(high * 16 + low).unwrap_or(0));
                    }
                    _ => return false,
                }
            }
            other => out.push(*other),
        }
    }
    true
}

/// The parts of a URI; texts as they were written, not decoded.
#[derive(Default)]
struct Parts<'u> {
    scheme: Option<&'u str>,
    authority: Option<&'u str>,
    user: Option<&'u str>,
    host: Option<&'u str>,
    path: Option<&'u str>,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

/// With a buffer for the file part.
type Call = Arc<dyn Fn(&[Value], &mut String) -> Outcome + Send + Sync>;

fn parse(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text, Text, Text], 2)?;
    let call: Call = Arc::new(move |v, file| {
        let Some(parts) = parts(text(&v[0])) else {
            return error_or_null(strict, || "the text is not a URL".to_owned());
        };
        let wanted = text(&v[1]);
        if let Some(key) = v.get(2) {
            let value = parts.query.filter(|_| wanted == "QUERY").and_then(|query| {
                query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix(text(key))?.strip_prefix('='))
            });
            return Ok(value.map_or(Value::Null, string));
        }
        let part = match wanted {
            "PROTOCOL" => parts.scheme,
            "AUTHORITY" => parts.authority,
            "USERINFO" => parts.user,
            "HOST" => parts.host,
            "PATH" => parts.path,
            "QUERY" => parts.query,
            "REF" => parts.fragment,
            "FILE" => {
                file.clear();
                file.push_str(parts.path.unwrap_or_default());
                if let Some(query) = parts.query {
                    file.extend(["?", query]);
                }
                parts.path.map(|_| file.as_str())
            }
            _ => None,
        };
        Ok(part.map_or(Value::Null, string))
    });
    let mut typed = strict_scratch(cx, DataType::String, args, move || {
        let call = Arc::clone(&call);
        let mut file = String::new();
        Box::new(move |v| call(v, &mut file))
    })?;
    typed.nullable = true;
    Ok(typed)
}

/// As `java.net.URI` parses; None where it would refuse.
fn parts(url: &str) -> Option<Parts<'_>> {
    let legal = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!*'();:@&=+$,/?#[]%".contains(c)
    };
    let escapes_are_whole = url.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole || !url.chars().all(legal) {
        return None;
    }
    let mut parts = Parts::default();
    let (rest, fragment) = match url.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (url, None),
    };
    parts.fragment = fragment;
    let mut rest = rest;
    if let Some((scheme, after)) = rest.split_once(':')
        && !scheme.contains(['/', '?'])
    {
        let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts
            || !scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        {
            return None;
        }
        if after.is_empty() {
            return None;
        }
        parts.scheme = Some(scheme);
        rest = after;
        // mailto:somebody has neither path nor query.
        if !rest.starts_with('/') {
            return Some(parts);
        }
    }
    if let Some((before, query)) = rest.split_once('?') {
        parts.query = Some(query);
        rest = before;
    }
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        parts.path = Some(&after[end..]);
        if end > 0 {
            authority(&after[..end], &mut parts);
        }
    } else {
        parts.path = Some(rest);
    }
    Some(parts)
}

fn authority<'u>(whole: &'u str, parts: &mut Parts<'u>) {
    parts.authority = Some(whole);
    let (user, server) = match whole.rsplit_once('@') {
        Some((user, server)) => (Some(user), server),
        None => (None, whole),
    };
    let port_at = if server.starts_with('[') {
        server.find(']').map_or(server.len(), |end| end + 1)
    } else {
        server.find(':').unwrap_or(server.len())
    };
    let (host, port) = server.split_at(port_at);
    let number = port.strip_prefix(':').unwrap_or(port);
    let plain = host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    let valid = !host.is_empty()
        && (plain || host.starts_with('['))
        && number.bytes().all(|byte| byte.is_ascii_digit());
    // A name that is no host name (with an underscore) leaves the authority alone, as in Java.
    if valid {
        parts.host = Some(host);
        parts.user = user;
    }
}
