//! Functions of text: finding, replacing and comparing.

use std::collections::HashMap;
use std::iter;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Binary, Int, Long, Text, TextOrBinary};
use super::forms::{error_or_null, failed, int, part, strict_scratch, string, written};
use super::strings::{offset, text_part};
use super::{BindContext, Function, function};
use crate::expr::access::{bytes, int as number, long, text};
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "contains",
        "contains(text, part)",
        "Whether the part stands in the text; also of BINARY.",
        "contains('Spark SQL', 'Spark')",
        "true",
        |args, cx| {
            test(args, cx, |whole, part| {
                part.is_empty() || whole.windows(part.len()).any(|window| window == part)
            })
        },
    ),
    function(
        "startswith",
        "startswith(text, part)",
        "Whether the text begins with the part; also of BINARY.",
        "startswith('Spark SQL', 'Spark')",
        "true",
        |args, cx| test(args, cx, |whole, part| whole.starts_with(part)),
    ),
    function(
        "endswith",
        "endswith(text, part)",
        "Whether the text ends with the part; also of BINARY.",
        "endswith('Spark SQL', 'SQL')",
        "true",
        |args, cx| test(args, cx, |whole, part| whole.ends_with(part)),
    ),
    function(
        "locate",
        "locate(part, text[, start]) or position(part IN text)",
        "Where the part first stands at or after a character, counted from 1; 0 where it does not.",
        "locate('bar', 'foobarbar', 5)",
        "7",
        locate,
    )
    .aliases(&["position"]),
    function(
        "instr",
        "instr(text, part)",
        "Where the part first stands, counted from 1; 0 where it does not.",
        "instr('SparkSQL', 'SQL')",
        "6",
        |args, cx| {
            let args = cx.take(args, &[Text, Text], 2)?;
            cx.strict(DataType::Int, args, |v| {
                Ok(int(find_from(text(&v[0]), text(&v[1]), 1)))
            })
        },
    ),
    function(
        "replace",
        "replace(text, search[, replacement])",
        "The text with each occurrence replaced, or removed.",
        "replace('ABCabc', 'abc', 'DEF')",
        "ABCDEF",
        |args, cx| {
            let args = cx.take(args, &[Text, Text, Text], 2)?;
            written(cx, args, |v, out| {
                let (whole, search) = (text(&v[0]), text(&v[1]));
                let replacement = v.get(2).map_or("", text);
                if search.is_empty() {
                    out.push_str(whole);
                    return Ok(());
                }
                for (i, piece) in whole.split(search).enumerate() {
                    if i > 0 {
                        out.push_str(replacement);
                    }
                    out.push_str(piece);
                }
                Ok(())
            })
        },
    ),
    function(
        "translate",
        "translate(text, from, to)",
        "The text with each character of `from` replaced by the one at its place in `to`, or removed where `to` ends.",
        "translate('AaBbCc', 'abc', '123')",
        "A1B2C3",
        |args, cx| {
            let args = cx.take(args, &[Text, Text, Text], 3)?;
            written(cx, args, |v, out| {
                translate(text(&v[0]), text(&v[1]), text(&v[2]), out);
                Ok(())
            })
        },
    ),
    function(
        "overlay",
        "overlay(text, replacement, position[, length])",
        "The text with a part replaced: at a character counted from 1, as long as the replacement or as given.",
        "overlay('Spark SQL', 'CORE', 7)",
        "Spark CORE",
        |args, cx| {
            let binary = |place: usize| {
                args.get(place)
                    .is_some_and(|arg: &Typed| arg.data_type == DataType::Binary)
            };
            if binary(0) && binary(1) {
                return overlay_bytes(args, cx);
            }
            let args = cx.take(args, &[Text, Text, Int, Int], 3)?;
            written(cx, args, |v, out| {
                let (whole, new, position) = (text(&v[0]), text(&v[1]), number(&v[2]));
                let length = match v.get(3).map_or(-1, number) {
                    given @ 0.. => given,
                    _ => i32::try_from(new.chars().count()).unwrap_or(i32::MAX),
                };
                out.push_str(text_part(whole, 1, position.saturating_sub(1)));
                out.push_str(new);
                out.push_str(text_part(whole, position.saturating_add(length), i32::MAX));
                Ok(())
            })
        },
    ),
    function(
        "substring_index",
        "substring_index(text, delimiter, count)",
        "What stands before the count-th delimiter; when negative, after the count-th from the end.",
        "substring_index('www.apache.org', '.', 2)",
        "www.apache",
        |args, cx| {
            let args = cx.take(args, &[Text, Text, Int], 3)?;
            cx.strict(DataType::String, args, |v| {
                Ok(string(before_delimiter(
                    text(&v[0]),
                    text(&v[1]),
                    number(&v[2]),
                )))
            })
        },
    ),
    function(
        "split_part",
        "split_part(text, delimiter, n)",
        "The n-th part between delimiters, from the end when negative; empty where there are fewer. 0 is an error.",
        "split_part('11.12.13', '.', 3)",
        "13",
        |args, cx| {
            let args = cx.take(args, &[Text, Text, Int], 3)?;
            cx.strict(DataType::String, args, |v| {
                split_part(text(&v[0]), text(&v[1]), number(&v[2]))
            })
        },
    ),
    function(
        "elt",
        "elt(n, a, b, ...)",
        "The n-th of the texts after n, counted from 1.",
        "elt(2, 'scala', 'java')",
        "java",
        elt,
    ),
    function(
        "find_in_set",
        "find_in_set(text, list)",
        "The place of the text in a list with commas, counted from 1; 0 where it is not there or holds a comma.",
        "find_in_set('ab', 'abc,b,ab,c,def')",
        "3",
        |args, cx| {
            let args = cx.take(args, &[Text, Text], 2)?;
            cx.strict(DataType::Int, args, |v| {
                let word = text(&v[0]);
                let place = text(&v[1])
                    .split(',')
                    .position(|item| item == word)
                    .filter(|_| !word.contains(','));
                Ok(int(place.map_or(0, |place| place + 1)))
            })
        },
    ),
    function(
        "ascii",
        "ascii(text)",
        "The code point of the first character; 0 for an empty text.",
        "ascii('222')",
        "50",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.strict(DataType::Int, args, |v| {
                let code = text(&v[0]).chars().next().map_or(0, u32::from);
                Ok(Value::Int(i32::try_from(code).unwrap_or(0)))
            })
        },
    ),
    function(
        "chr",
        "chr(code)",
        "The character of a code between 0 and 255 (a larger one counts modulo 256); empty when negative.",
        "chr(65)",
        "A",
        |args, cx| {
            let args = cx.take(args, &[Long], 1)?;
            cx.strict(DataType::String, args, |v| {
                let code = long(&v[0]);
                let Ok(byte) = u8::try_from(code & 0xff) else {
                    return Ok(string(""));
                };
                if code < 0 {
                    return Ok(string(""));
                }
                Ok(string(char::from(byte).encode_utf8(&mut [0; 4])))
            })
        },
    )
    .aliases(&["char"]),
    function(
        "mask",
        "mask(text[, upper[, lower[, digit[, other]]]])",
        "The text with upper case, lower case, digits and other characters replaced; NULL keeps a kind as it is.",
        "mask('AbCD123-@$#')",
        "XxXXnnn-@$#",
        mask,
    ),
    function(
        "soundex",
        "soundex(text)",
        "The Soundex code of a word.",
        "soundex('Miller')",
        "M460",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.strict(DataType::String, args, |v| Ok(soundex(&v[0])))
        },
    ),
    function(
        "levenshtein",
        "levenshtein(a, b[, most])",
        "How many characters must change to make one text the other; -1 where more than `most`.",
        "levenshtein('kitten', 'sitting')",
        "3",
        |args, cx| {
            let args = cx.take(args, &[Text, Text, Int], 2)?;
            strict_scratch(cx, DataType::Int, args, || {
                let (mut b, mut row) = (Vec::new(), Vec::new());
                Box::new(move |v| {
                    let distance = levenshtein(text(&v[0]), text(&v[1]), &mut b, &mut row);
                    let distance = i32::try_from(distance).unwrap_or(i32::MAX);
                    let most = v.get(2).map_or(i32::MAX, number);
                    Ok(Value::Int(if distance > most { -1 } else { distance }))
                })
            })
        },
    ),
    function(
        "luhn_check",
        "luhn_check(digits)",
        "Whether the digits, such as a card number, pass the Luhn check.",
        "luhn_check('8112189876')",
        "true",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.strict(DataType::Boolean, args, |v| {
                Ok(Value::Boolean(luhn(text(&v[0]))))
            })
        },
    ),
];

/// `overlay` of bytes.
fn overlay_bytes(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Binary, Binary, Int, Int], 3)?;
    cx.strict(DataType::Binary, args, |v| {
        let (whole, new, position) = (bytes(&v[0]), bytes(&v[1]), number(&v[2]));
        let length = match v.get(3).map_or(-1, number) {
            given @ 0.. => given,
            _ => i32::try_from(new.len()).unwrap_or(i32::MAX),
        };
        let before = part(whole.len(), 1, position.saturating_sub(1));
        let after = part(whole.len(), position.saturating_add(length), i32::MAX);
        let parts = [&whole[before.0..before.1], new, &whole[after.0..after.1]];
        Ok(Value::Binary(parts.concat().into()))
    })
}

/// A list of at most so many bytes is searched for each character.
const SEARCHED: usize = 64;

/// `text` with each character of `from` replaced by the one at its place in `to`, or left out where that is NUL or `to` has
/// ended. Of a character that stands in `from` twice the first counts.
fn translate(text: &str, from: &str, to: &str, out: &mut String) {
    let pairs = || from.chars().zip(to.chars().chain(iter::repeat('\0')));
    let known = (from.len() > SEARCHED).then(|| {
        let mut known = HashMap::new();
        for (old, new) in pairs() {
            known.entry(old).or_insert(new);
        }
        known
    });
    out.extend(text.chars().filter_map(|c| {
        let new = match &known {
            Some(known) => known.get(&c).copied(),
            None => pairs().find(|(old, _)| *old == c).map(|(_, new)| new),
        };
        match new {
            Some('\0') => None,
            new => Some(new.unwrap_or(c)),
        }
    }));
}

fn test(
    args: Vec<Typed>,
    cx: &BindContext,
    test: fn(&[u8], &[u8]) -> bool,
) -> Result<Typed, JobError> {
    let args = cx.take(args, &[TextOrBinary, TextOrBinary], 2)?;
    let args = if args.iter().all(|arg| arg.data_type == DataType::Binary) {
        args
    } else {
        cx.take(args, &[Text, Text], 2)?
    };
    if args[0].data_type == DataType::String && cx.name == "contains" {
        return cx.strict(DataType::Boolean, args, |v| {
            Ok(Value::Boolean(text(&v[0]).contains(text(&v[1]))))
        });
    }
    cx.strict(DataType::Boolean, args, move |v| {
        Ok(Value::Boolean(test(bytes(&v[0]), bytes(&v[1]))))
    })
}

/// Where the part stands at or after a character, all counted from 1; 0 where it does not.
fn find_from(whole: &str, part: &str, start: usize) -> usize {
    if part.is_empty() {
        return 1;
    }
    let from = offset(whole, start - 1);
    match whole[from..].find(part) {
        Some(found) => whole[..from + found].chars().count() + 1,
        None => 0,
    }
}

fn locate(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text, Text, Int], 2)?;
    let nullable = args[..2].iter().any(|arg| arg.nullable);
    cx.with_nulls(DataType::Int, nullable, args, |v| {
        // As Hive and Spark: a NULL start is no start at all, before the texts are looked at.
        let start = match v.get(2) {
            Some(Value::Null) => 0,
            Some(start) => number(start),
            None => 1,
        };
        if v.get(2).is_some_and(Value::is_null) {
            return Ok(Value::Int(0));
        }
        if v[0].is_null() || v[1].is_null() {
            return Ok(Value::Null);
        }
        Ok(match usize::try_from(start) {
            Ok(start @ 1..) => int(find_from(text(&v[1]), text(&v[0]), start)),
            _ => Value::Int(0),
        })
    })
}

/// Occurrences may overlap, as in Spark.
fn before_delimiter<'t>(whole: &'t str, delimiter: &str, count: i32) -> &'t str {
    if delimiter.is_empty() || count == 0 {
        return "";
    }
    let (bytes, sought) = (whole.as_bytes(), delimiter.as_bytes());
    let places = || {
        bytes
            .windows(sought.len())
            .enumerate()
            .filter(|(_, window)| *window == sought)
            .map(|(place, _)| place)
    };
    let nth = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    if count > 0 {
        places().nth(nth).map_or(whole, |place| &whole[..place])
    } else {
        let total = places().count();
        match total.checked_sub(nth + 1) {
            Some(index) => places()
                .nth(index)
                .map_or(whole, |place| &whole[place + sought.len()..]),
            None => whole,
        }
    }
}

fn split_part(whole: &str, delimiter: &str, n: i32) -> crate::expr::body::Outcome {
    if n == 0 {
        return Err(failed("split_part: the parts are counted from 1, not 0"));
    }
    let nth = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    let part = if delimiter.is_empty() {
        (nth == 0).then_some(whole)
    } else if n > 0 {
        whole.split(delimiter).nth(nth)
    } else {
        // From the left, because delimiters may overlap and the leftmost counts.
        whole
            .split(delimiter)
            .count()
            .checked_sub(nth + 1)
            .and_then(|index| whole.split(delimiter).nth(index))
    };
    Ok(string(part.unwrap_or("")))
}

fn elt(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    if args.len() < 2 {
        return Err(cx.error(format!("expected at least 2 arguments, got {}", args.len())));
    }
    let mut args = args;
    let texts = args.split_off(1);
    let mut args = cx.take(args, &[Int], 1)?;
    let all_binary = texts.iter().all(|arg| arg.data_type == DataType::Binary);
    let param = if all_binary { TextOrBinary } else { Text };
    let texts = cx.take_all(texts, param, 1)?;
    let data_type = texts[0].data_type.clone();
    args.extend(texts);
    let ansi = cx.settings.ansi;
    cx.with_nulls(data_type, true, args, move |v| {
        if v[0].is_null() {
            return Ok(Value::Null);
        }
        match usize::try_from(number(&v[0])) {
            Ok(n @ 1..) if n < v.len() => Ok(v[n].clone()),
            _ => error_or_null(ansi, || {
                format!(
                    "elt: there are {} texts, and none has the number asked for",
                    v.len() - 1
                )
            }),
        }
    })
}

fn mask(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text; 5], 1)?;
    for (place, arg) in args.iter().enumerate().skip(1) {
        let fits = arg.constant().is_some_and(|value| match value {
            Value::String(text) => text.chars().count() == 1,
            other => other.is_null(),
        });
        if !fits {
            return Err(cx.error(format!(
                "argument {} must be a constant of one character, or NULL",
                place + 1
            )));
        }
    }
    let nullable = args[0].nullable;
    let character = |place: usize, default: Option<char>| match args.get(place) {
        Some(arg) => arg.constant_text().and_then(|text| text.chars().next()),
        None => default,
    };
    let [upper, lower, digit, other] = [
        character(1, Some('X')),
        character(2, Some('x')),
        character(3, Some('n')),
        character(4, None),
    ];
    let text_only = args.into_iter().take(1).collect();
    let mut typed = written(cx, text_only, move |v, out| {
        out.extend(text(&v[0]).chars().map(|c| {
            let new = if c.is_uppercase() {
                upper
            } else if c.is_lowercase() {
                lower
            } else if c.is_numeric() {
                digit
            } else {
                other
            };
            new.unwrap_or(c)
        }));
        Ok(())
    })?;
    typed.nullable &= nullable;
    Ok(typed)
}

fn soundex(value: &Value) -> Value {
    const CODES: &[u8; 26] = b"01230127022455012623017202";
    let code = |letter: u8| CODES[usize::from(letter - b'A')];
    let word = bytes(value);
    let first = word.first().map_or(0, u8::to_ascii_uppercase);
    if !first.is_ascii_uppercase() {
        return value.clone();
    }
    let mut out = [first, b'0', b'0', b'0'];
    let (mut filled, mut last) = (1, code(first));
    for letter in &word[1..] {
        let letter = letter.to_ascii_uppercase();
        if !letter.is_ascii_uppercase() {
            last = b'0';
            continue;
        }
        let code = code(letter);
        // H and W do not part letters of one code.
        if code == b'7' {
            continue;
        }
        if code != b'0' && code != last {
            out[filled] = code;
            filled += 1;
            if filled == out.len() {
                break;
            }
        }
        last = code;
    }
    string(std::str::from_utf8(&out).unwrap_or_default())
}

fn levenshtein(a: &str, b: &str, letters: &mut Vec<char>, row: &mut Vec<usize>) -> usize {
    letters.clear();
    letters.extend(b.chars());
    row.clear();
    row.extend(0..=letters.len());
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in letters.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[letters.len()]
}

fn luhn(digits: &str) -> bool {
    let mut sum = 0_u32;
    for (i, byte) in digits.bytes().rev().enumerate() {
        if !byte.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(byte - b'0');
        let doubled = if i % 2 == 1 { digit * 2 } else { digit };
        sum = (sum + if doubled > 9 { doubled - 9 } else { doubled }) % 10;
    }
    !digits.is_empty() && sum == 0
}
