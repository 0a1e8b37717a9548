//! Functions of text: case, length, parts, padding.

use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Int, Text, TextOrBinary};
use super::forms::{
    binary, check_text_size, int, part, scratch_with_nulls, strict_scratch, string, written,
};
use super::{BindContext, Function, function};
use crate::expr::access::{array, bytes, int as number, text};
use crate::expr::coerce;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "upper",
        "upper(text)",
        "The text in upper case.",
        "upper('SparkSql')",
        "SPARKSQL",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            written(cx, args, |v, out| {
                out.push_str(text(&v[0]));
                if out.is_ascii() {
                    out.make_ascii_uppercase();
                } else {
                    *out = out.to_uppercase();
                }
                Ok(())
            })
        },
    )
    .aliases(&["ucase"]),
    function(
        "lower",
        "lower(text)",
        "The text in lower case.",
        "lower('SparkSql')",
        "sparksql",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            written(cx, args, |v, out| {
                lowercase(text(&v[0]), out);
                Ok(())
            })
        },
    )
    .aliases(&["lcase"]),
    function(
        "initcap",
        "initcap(text)",
        "The text with the first letter of each word in upper case and the others in lower case; a space parts words.",
        "initcap('sPark sql')",
        "Spark Sql",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            strict_scratch(cx, DataType::String, args, || {
                let (mut lower, mut out) = (String::new(), String::new());
                Box::new(move |v| {
                    lower.clear();
                    out.clear();
                    lowercase(text(&v[0]), &mut lower);
                    let mut begins = true;
                    for c in lower.chars() {
                        if begins {
                            title_case(c, &mut out);
                        } else {
                            out.push(c);
                        }
                        begins = c == ' ';
                    }
                    Ok(string(&out))
                })
            })
        },
    ),
    function(
        "length",
        "length(text)",
        "The number of characters of a STRING, or of bytes of a BINARY.",
        "length('Spark SQL ')",
        "10",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            cx.strict(DataType::Int, args, |v| {
                Ok(int(match &v[0] {
                    Value::String(text) => text.chars().count(),
                    binary => bytes(binary).len(),
                }))
            })
        },
    )
    .aliases(&["char_length", "character_length", "len"]),
    function(
        "octet_length",
        "octet_length(text)",
        "The number of bytes of a STRING in UTF-8, or of a BINARY.",
        "octet_length('Zürich')",
        "7",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            cx.strict(DataType::Int, args, |v| Ok(int(bytes(&v[0]).len())))
        },
    ),
    function(
        "bit_length",
        "bit_length(text)",
        "The number of bits of a STRING in UTF-8, or of a BINARY.",
        "bit_length('Spark SQL')",
        "72",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            cx.strict(DataType::Int, args, |v| Ok(int(bytes(&v[0]).len() * 8)))
        },
    ),
    function(
        "concat",
        "concat(a, b, ...)",
        "The arguments one after the other, as STRING, BINARY or ARRAY; NULL when one is NULL.",
        "concat('Spark', 'SQL', 4)",
        "SparkSQL4",
        concat,
    ),
    function(
        "concat_ws",
        "concat_ws(separator, a, b, ...)",
        "The texts, and the elements of arrays as texts, with the separator between them; NULLs are left out.",
        "concat_ws('/', 'a', NULL, array('b', 'c'))",
        "a/b/c",
        concat_ws,
    ),
    function(
        "substring",
        "substring(text, start[, length])",
        "The part that begins at a character counted from 1, or from the end when negative; also of a BINARY.",
        "substring('Spark SQL', 5, 3)",
        "k S",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary, Int, Int], 2)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                let count = v.get(2).map_or(i32::MAX, number);
                Ok(substring(&v[0], number(&v[1]), count))
            })
        },
    )
    .aliases(&["substr"]),
    function(
        "left",
        "left(text, length)",
        "The first characters.",
        "left('Spark SQL', 3)",
        "Spa",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary, Int], 2)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                Ok(substring(&v[0], 1, number(&v[1])))
            })
        },
    ),
    function(
        "right",
        "right(text, length)",
        "The last characters.",
        "right('Spark SQL', 3)",
        "SQL",
        |args, cx| {
            let args = cx.take(args, &[Text, Int], 2)?;
            cx.strict(DataType::String, args, |v| {
                Ok(match number(&v[1]) {
                    count @ 1.. => substring(&v[0], -count, i32::MAX),
                    _ => string(""),
                })
            })
        },
    ),
    function(
        "trim",
        "trim(text) or trim([BOTH] [characters] FROM text)",
        "The text without spaces, or the characters given, at its beginning and end.",
        "trim('    SparkSQL   ')",
        "SparkSQL",
        |args, cx| trim(args, cx, true, true, true),
    ),
    function(
        "btrim",
        "btrim(text[, characters])",
        "The text without spaces, or the characters given, at its beginning and end.",
        "btrim('SSparkSQLS', 'SL')",
        "parkSQ",
        |args, cx| trim(args, cx, true, true, false),
    ),
    function(
        "ltrim",
        "ltrim(text) or trim(LEADING [characters] FROM text)",
        "The text without spaces, or the characters given, at its beginning.",
        "ltrim('    SparkSQL')",
        "SparkSQL",
        |args, cx| trim(args, cx, true, false, true),
    ),
    function(
        "rtrim",
        "rtrim(text) or trim(TRAILING [characters] FROM text)",
        "The text without spaces, or the characters given, at its end.",
        "rtrim('SparkSQL    ')",
        "SparkSQL",
        |args, cx| trim(args, cx, false, true, true),
    ),
    function(
        "lpad",
        "lpad(text, length[, pad])",
        "The text filled up on the left, with spaces or the text given, to a number of characters; a longer one is cut.",
        "lpad('hi', 5, '??')",
        "???hi",
        |args, cx| pad(args, cx, true),
    ),
    function(
        "rpad",
        "rpad(text, length[, pad])",
        "The text filled up on the right, with spaces or the text given, to a number of characters; a longer one is cut.",
        "rpad('hi', 5, '??')",
        "hi???",
        |args, cx| pad(args, cx, false),
    ),
    function(
        "repeat",
        "repeat(text, n)",
        "The text n times.",
        "repeat('123', 2)",
        "123123",
        |args, cx| {
            let args = cx.take(args, &[Text, Int], 2)?;
            written(cx, args, |v, out| {
                let times = usize::try_from(number(&v[1])).unwrap_or(0);
                let once = text(&v[0]);
                check_text_size(once.len().saturating_mul(times))?;
                (0..times).for_each(|_| out.push_str(once));
                Ok(())
            })
        },
    ),
    function(
        "space",
        "space(n)",
        "n spaces.",
        "concat('[', space(2), ']')",
        "[  ]",
        |args, cx| {
            let args = cx.take(args, &[Int], 1)?;
            written(cx, args, |v, out| {
                let count = usize::try_from(number(&v[0])).unwrap_or(0);
                check_text_size(count)?;
                out.extend(std::iter::repeat_n(' ', count));
                Ok(())
            })
        },
    ),
    function(
        "reverse",
        "reverse(text, binary or array)",
        "The characters of a text, the bytes of a binary, or the elements of an array, from the last to the first.",
        "reverse('Spark SQL')",
        "LQS krapS",
        |args, cx| match args.first().map(|arg| arg.data_type.clone()) {
            Some(DataType::Array(element)) => {
                let args = cx.take(args, &[Any], 1)?;
                cx.strict(DataType::Array(element), args, |v| {
                    Ok(Value::Array(array(&v[0]).iter().rev().cloned().collect()))
                })
            }
            Some(DataType::Binary) => {
                let args = cx.take(args, &[Any], 1)?;
                cx.strict(DataType::Binary, args, |v| {
                    Ok(Value::Binary(bytes(&v[0]).iter().rev().copied().collect()))
                })
            }
            _ => {
                let args = cx.take(args, &[Text], 1)?;
                written(cx, args, |v, out| {
                    out.extend(text(&v[0]).chars().rev());
                    Ok(())
                })
            }
        },
    ),
];

fn lowercase(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        // The whole text at once: a final sigma depends on its neighbours.
        out.push_str(&text.to_lowercase());
    }
}

/// A small letter as the first of a word: few are others than in upper case, `ß` is `Ss`.
fn title_case(c: char, out: &mut String) {
    let beyond = |distance: u32| char::from_u32(u32::from(c) + distance).unwrap_or(c);
    match c {
        'ǆ' | 'ǉ' | 'ǌ' | 'ǳ' => out.push(char::from_u32(u32::from(c) - 1).unwrap_or(c)),
        'ა'..='ჿ' => out.push(c),
        'ᾀ'..='ᾇ' | 'ᾐ'..='ᾗ' | 'ᾠ'..='ᾧ' => out.push(beyond(8)),
        'ᾳ' | 'ῃ' | 'ῳ' => out.push(beyond(9)),
        'ŉ' => out.extend(c.to_uppercase()),
        _ => {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            for rest in upper {
                match rest {
                    'Ι' => out.push('\u{345}'),
                    rest => out.extend(rest.to_lowercase()),
                }
            }
        }
    }
}

/// Where a character begins, counted from 0; the end of the text when it has fewer.
pub(super) fn offset(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(offset, _)| offset)
}

/// The part of a STRING in characters, or of a BINARY in bytes.
fn substring(value: &Value, start: i32, count: i32) -> Value {
    match value {
        Value::String(whole) => match text_part(whole, start, count) {
            part if part.len() == whole.len() => value.clone(),
            part => string(part),
        },
        other => {
            let bytes = bytes(other);
            let (from, to) = part(bytes.len(), start, count);
            binary(&bytes[from..to])
        }
    }
}

/// The part of a text that Spark's `substring(text, start, count)` means.
pub(super) fn text_part(text: &str, start: i32, count: i32) -> &str {
    let (from, to) = part(text.chars().count(), start, count);
    let from_byte = offset(text, from);
    let rest = &text[from_byte..];
    &rest[..offset(rest, to - from)]
}

fn concat(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let all = |test: fn(&DataType) -> bool| {
        !args.is_empty()
            && args
                .iter()
                .all(|arg| test(&arg.data_type) || arg.data_type == DataType::Void)
            && args.iter().any(|arg| test(&arg.data_type))
    };
    if all(|data_type| matches!(data_type, DataType::Array(_))) {
        let (args, data_type) = cx.same_type(args)?;
        return cx.strict(data_type, args, |v| {
            Ok(Value::Array(
                v.iter().flat_map(array).cloned().collect::<Arc<[Value]>>(),
            ))
        });
    }
    if all(|data_type| *data_type == DataType::Binary) {
        let (args, data_type) = cx.same_type(args)?;
        return strict_scratch(cx, data_type, args, || {
            let mut out = Vec::new();
            Box::new(move |v| {
                out.clear();
                v.iter().for_each(|part| out.extend_from_slice(bytes(part)));
                Ok(binary(&out))
            })
        });
    }
    let args = cx.take_all(args, Text, 0)?;
    written(cx, args, |v, out| {
        v.iter().for_each(|part| out.push_str(text(part)));
        Ok(())
    })
}

fn concat_ws(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    if args.is_empty() {
        return Err(cx.error("expected at least 1 argument, got 0"));
    }
    let args = args
        .into_iter()
        .enumerate()
        .map(|(place, arg)| match &arg.data_type {
            DataType::Array(element)
                if place > 0 && matches!(**element, DataType::String | DataType::Void) =>
            {
                Ok(arg)
            }
            DataType::Array(element) if place > 0 && !coerce::is_nested(element) => {
                let texts = DataType::Array(Arc::new(DataType::String));
                Ok(coerce::cast_implicitly(arg, &texts, cx.settings))
            }
            _ => cx.coerce(arg, Text, place),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let nullable = args[0].nullable;
    scratch_with_nulls(cx, DataType::String, nullable, args, || {
        let mut out = String::new();
        Box::new(move |v| {
            let Value::String(separator) = &v[0] else {
                return Ok(Value::Null);
            };
            out.clear();
            let mut first = true;
            let parts = v[1..].iter().flat_map(|arg| match arg {
                Value::Array(elements) => &elements[..],
                one => std::slice::from_ref(one),
            });
            for part in parts.filter(|part| !part.is_null()) {
                if !first {
                    out.push_str(separator);
                }
                first = false;
                out.push_str(text(part));
            }
            Ok(string(&out))
        })
    })
}

/// `characters_first`: Spark's order in `trim(characters, text)`.
fn trim(
    args: Vec<Typed>,
    cx: &BindContext,
    left: bool,
    right: bool,
    characters_first: bool,
) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Text, Text], 1)?;
    if characters_first {
        args.reverse();
    }
    cx.strict(DataType::String, args, move |v| {
        let whole = text(&v[0]);
        let strip = v.get(1).map_or(" ", text);
        let mut kept = whole;
        if left {
            kept = kept.trim_start_matches(|c| strip.contains(c));
        }
        if right {
            kept = kept.trim_end_matches(|c| strip.contains(c));
        }
        Ok(if kept.len() == whole.len() {
            v[0].clone()
        } else {
            string(kept)
        })
    })
}

fn pad(args: Vec<Typed>, cx: &BindContext, left: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[TextOrBinary, Int, TextOrBinary], 2)?;
    if args[0].data_type == DataType::Binary
        && args
            .get(2)
            .is_none_or(|pad| pad.data_type == DataType::Binary)
    {
        return cx.strict(DataType::Binary, args, move |v| {
            let pad = v.get(2).map_or(&[0][..], bytes);
            pad_bytes(bytes(&v[0]), number(&v[1]), pad, left)
        });
    }
    let args = cx.take(args, &[Text, Int, Text], 2)?;
    written(cx, args, move |v, out| {
        let pad = v.get(2).map_or(" ", text);
        pad_text(text(&v[0]), number(&v[1]), pad, left, out)
    })
}

fn pad_text(
    whole: &str,
    length: i32,
    pad: &str,
    left: bool,
    out: &mut String,
) -> Result<(), RecordError> {
    let length = usize::try_from(length).unwrap_or(0);
    let missing = length.saturating_sub(whole.chars().count());
    if missing == 0 {
        out.push_str(&whole[..offset(whole, length)]);
        return Ok(());
    }
    check_text_size(missing.saturating_mul(4))?;
    if !left {
        out.push_str(whole);
    }
    out.extend(pad.chars().cycle().take(missing));
    if left {
        out.push_str(whole);
    }
    Ok(())
}

fn pad_bytes(whole: &[u8], length: i32, pad: &[u8], left: bool) -> Result<Value, RecordError> {
    let length = usize::try_from(length).unwrap_or(0);
    check_text_size(length)?;
    if whole.len() >= length || pad.is_empty() {
        return Ok(binary(&whole[..whole.len().min(length)]));
    }
    let fill = pad.iter().cycle().take(length - whole.len());
    let padded: Arc<[u8]> = if left {
        fill.chain(whole).copied().collect()
    } else {
        whole.iter().chain(fill).copied().collect()
    };
    Ok(Value::Binary(padded))
}
