//! Functions of text with regular expressions.

use fancy_regex::Captures;
use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Int, Text};
use super::forms::{failed, int, strict_scratch, string};
use super::java_regex::{Patterns, after, captures, find};
use super::strings::offset;
use super::{BindContext, Function, function};
use crate::expr::access::{int as number, text};
use crate::expr::body::Outcome;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "regexp_like",
        "regexp_like(text, pattern) or text RLIKE pattern",
        "Whether a part of the text matches the regular expression.",
        "regexp_like('card 4711', '[0-9]{4}$')",
        "true",
        |args, cx| {
            matching(args, cx, &[Text, Text], DataType::Boolean, |regex, v| {
                regex
                    .is_match(text(&v[0]))
                    .map(Value::Boolean)
                    .map_err(|_| failed("the regular expression needs too many steps"))
            })
        },
    )
    .aliases(&["rlike", "regexp"]),
    function(
        "regexp_count",
        "regexp_count(text, pattern)",
        "How often the regular expression matches.",
        "regexp_count('Steven Jones and Stephen Smith', 'Ste(v|ph)en')",
        "2",
        |args, cx| {
            matching(args, cx, &[Text, Text], DataType::Int, |regex, v| {
                let whole = text(&v[0]);
                let (mut count, mut from) = (0, Some(0));
                while let Some(start) = from {
                    let Some(found) = find(regex, whole, start)? else {
                        break;
                    };
                    count += 1;
                    from = after(whole, found.start(), found.end());
                }
                Ok(int(count))
            })
        },
    ),
    function(
        "regexp_substr",
        "regexp_substr(text, pattern)",
        "The first part that matches the regular expression; NULL where none does.",
        "regexp_substr('Steven Jones and Stephen Smith', 'Ste(v|ph)en')",
        "Steven",
        |args, cx| {
            let nullable = |typed: Typed| Typed {
                nullable: true,
                ..typed
            };
            matching(args, cx, &[Text, Text], DataType::String, |regex, v| {
                let found = find(regex, text(&v[0]), 0)?;
                // As Spark, which takes an empty match for none.
                let found = found.filter(|found| !found.as_str().is_empty());
                Ok(found.map_or(Value::Null, |found| string(found.as_str())))
            })
            .map(nullable)
        },
    ),
    function(
        "regexp_instr",
        "regexp_instr(text, pattern)",
        "Where the regular expression first matches, counted from 1; 0 where it does not.",
        "regexp_instr('user@spark.org', '@[^.]*')",
        "5",
        |args, cx| {
            matching(args, cx, &[Text, Text, Int], DataType::Int, |regex, v| {
                let whole = text(&v[0]);
                Ok(int(find(regex, whole, 0)?.map_or(0, |found| {
                    whole[..found.start()].chars().count() + 1
                })))
            })
        },
    ),
    function(
        "regexp_extract",
        "regexp_extract(text, pattern[, group])",
        "What a group (by default the first, 0 for the whole) of the first match holds; empty where nothing matches.",
        "regexp_extract('100-200', '([0-9]+)-([0-9]+)', 2)",
        "200",
        |args, cx| {
            let params = [Text, Text, Int];
            check_group(&args, cx)?;
            matching(args, cx, &params, DataType::String, |regex, v| {
                let group = v.get(2).map_or(1, number);
                let group = group_index(regex.captures_len(), group)?;
                let found = captures(regex, text(&v[0]), 0)?;
                let held = found.as_ref().and_then(|found| found.get(group));
                Ok(string(held.map_or("", |held| held.as_str())))
            })
        },
    ),
    function(
        "regexp_extract_all",
        "regexp_extract_all(text, pattern[, group])",
        "What a group (by default the first, 0 for the whole) of each match holds.",
        "regexp_extract_all('100-200, 300-400', '([0-9]+)-([0-9]+)', 1)",
        "[100, 300]",
        |args, cx| {
            let data_type = DataType::Array(DataType::String.into());
            check_group(&args, cx)?;
            matching(args, cx, &[Text, Text, Int], data_type, |regex, v| {
                let group = v.get(2).map_or(1, number);
                let group = group_index(regex.captures_len(), group)?;
                let mut all = Vec::new();
                each(regex, text(&v[0]), 0, |found, _| {
                    all.push(string(found.get(group).map_or("", |held| held.as_str())));
                    Ok(())
                })?;
                Ok(Value::Array(all.into()))
            })
        },
    ),
    function(
        "regexp_replace",
        "regexp_replace(text, pattern, replacement[, start])",
        "The text with each match replaced, from a character counted from 1; `$1` is what the first group holds.",
        "regexp_replace('100-200', '([0-9]+)', 'num$1')",
        "num100-num200",
        replace,
    ),
    function(
        "split",
        "split(text, pattern[, limit])",
        "The parts between matches of the regular expression, at most `limit` where it is positive.",
        "split('oneAtwoBthreeC', '[ABC]')",
        "[one, two, three, ]",
        |args, cx| {
            let data_type = DataType::Array(DataType::String.into());
            matching(args, cx, &[Text, Text, Int], data_type, |regex, v| {
                let limit = v.get(2).map_or(-1, number);
                let mut parts = Vec::new();
                let whole = text(&v[0]);
                if text(&v[1]).is_empty() && !whole.is_empty() {
                    characters(whole, limit, &mut parts);
                } else {
                    split(regex, whole, limit, &mut parts)?;
                }
                Ok(Value::Array(parts.into()))
            })
        },
    ),
];

type Regex = fancy_regex::Regex;

/// A function of a text and a regular expression: the first two arguments.
fn matching(
    args: Vec<Typed>,
    cx: &BindContext,
    params: &[super::Param],
    data_type: DataType,
    call: fn(&Regex, &[Value]) -> Outcome,
) -> Result<Typed, JobError> {
    let args = cx.take(args, params, 2)?;
    let patterns = patterns(&args, cx)?;
    strict_scratch(cx, data_type, args, move || {
        let mut patterns = patterns.clone();
        Box::new(move |v| call(patterns.get(&v[1], text(&v[0]))?, v))
    })
}

fn patterns(args: &[Typed], cx: &BindContext) -> Result<Patterns, JobError> {
    Patterns::of(&args[1])
        .map_err(|error| cx.error(format!("the regular expression is not valid: {error}")))
}

/// Refuses a constant group that a constant expression does not have.
fn check_group(args: &[Typed], cx: &BindContext) -> Result<(), JobError> {
    let Some(pattern) = args.get(1).filter(|arg| arg.data_type == DataType::String) else {
        return Ok(());
    };
    let patterns = patterns(&[pattern.clone(), pattern.clone()], cx)?;
    let group = match args.get(2).map(Typed::constant) {
        None => 1,
        Some(Some(Value::Int(group))) => *group,
        Some(_) => return Ok(()),
    };
    match patterns.fixed() {
        Some(regex) => group_index(regex.captures_len(), group)
            .map(|_| ())
            .map_err(|error| cx.error(error.reason)),
        None => Ok(()),
    }
}

/// `count` includes the whole match as group 0.
fn group_index(count: usize, group: i32) -> Result<usize, RecordError> {
    match usize::try_from(group) {
        Ok(index) if index < count => Ok(index),
        _ => Err(
            failed(format!("the group must be between 0 and {}", count - 1))
                .with_content(group.to_string()),
        ),
    }
}

/// Calls `see` with each match as Java finds them: an empty match may follow right after another.
fn each<'t>(
    regex: &Regex,
    whole: &'t str,
    from: usize,
    mut see: impl FnMut(&Captures<'t>, (usize, usize)) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut from = Some(from);
    while let Some(start) = from {
        let Some(found) = captures(regex, whole, start)? else {
            break;
        };
        let Some((start, end)) = found.get(0).map(|all| (all.start(), all.end())) else {
            break;
        };
        see(&found, (start, end))?;
        from = after(whole, start, end);
    }
    Ok(())
}

fn replace(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text, Text, Text, Int], 3)?;
    let patterns = patterns(&args, cx)?;
    if let Some(Value::Int(start)) = args.get(3).and_then(Typed::constant)
        && *start < 1
    {
        return Err(cx.error(format!("the start is counted from 1, got {start}")));
    }
    strict_scratch(cx, DataType::String, args, move || {
        let mut patterns = patterns.clone();
        let mut out = String::new();
        Box::new(move |v| {
            let (whole, replacement) = (text(&v[0]), text(&v[2]));
            let regex = patterns.get(&v[1], whole)?;
            let skipped = match v.get(3).map_or(1, number) {
                start @ 1.. => offset(whole, usize::try_from(start - 1).unwrap_or(0)),
                _ => return Err(failed("regexp_replace: the start is counted from 1")),
            };
            if skipped == whole.len() && skipped > 0 {
                return Ok(v[0].clone());
            }
            out.clear();
            out.push_str(&whole[..skipped]);
            if replace_all(regex, &whole[skipped..], replacement, &mut out)? {
                Ok(Value::String(SmolStr::new(&out)))
            } else {
                Ok(v[0].clone())
            }
        })
    })
}

/// Whether there was a match.
fn replace_all(
    regex: &Regex,
    whole: &str,
    replacement: &str,
    out: &mut String,
) -> Result<bool, RecordError> {
    let mut done = 0;
    let mut any = false;
    if replacement.contains(['$', '\\']) {
        let groups = regex.captures_len();
        each(regex, whole, 0, |found, (start, end)| {
            out.push_str(&whole[done..start]);
            expand(replacement, found, groups, out)?;
            (done, any) = (end, true);
            Ok(())
        })?;
    } else {
        let mut from = Some(0);
        while let Some(start) = from {
            let Some(found) = find(regex, whole, start)? else {
                break;
            };
            out.push_str(&whole[done..found.start()]);
            out.push_str(replacement);
            (done, any) = (found.end(), true);
            from = after(whole, found.start(), found.end());
        }
    }
    out.push_str(&whole[done..]);
    Ok(any)
}

/// Java's replacement: `$1`, `${name}`, and `\` before a character that stands for itself.
fn expand(
    replacement: &str,
    found: &Captures<'_>,
    groups: usize,
    out: &mut String,
) -> Result<(), RecordError> {
    let mut rest = replacement;
    while let Some(special) = rest.find(['$', '\\']) {
        out.push_str(&rest[..special]);
        let escaped = rest[special..].starts_with('\\');
        rest = &rest[special + 1..];
        if escaped {
            let Some(c) = rest.chars().next() else {
                return Err(failed("the replacement ends with a lone \\"));
            };
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            out.push_str(found.name(name).map_or("", |held| held.as_str()));
            rest = after;
        } else {
            let (group, digits) = group_number(rest, groups)?;
            out.push_str(found.get(group).map_or("", |held| held.as_str()));
            rest = &rest[digits..];
        }
    }
    out.push_str(rest);
    Ok(())
}

/// As many digits as still name a group.
fn group_number(text: &str, groups: usize) -> Result<(usize, usize), RecordError> {
    let mut group = None;
    let mut digits = 0;
    for byte in text.bytes().take_while(u8::is_ascii_digit) {
        let next = group.unwrap_or(0) * 10 + usize::from(byte - b'0');
        if group.is_some() && next >= groups {
            break;
        }
        group = Some(next);
        digits += 1;
    }
    match group {
        Some(group) if group < groups => Ok((group, digits)),
        Some(_) => Err(failed("the replacement names a group that does not exist")),
        None => Err(failed("$ in the replacement needs a group; \\$ is a $")),
    }
}

/// Each character for itself, the last part taking the rest.
fn characters(whole: &str, limit: i32, parts: &mut Vec<Value>) {
    let most = match usize::try_from(limit) {
        Ok(limit @ 1..) => limit,
        _ => usize::MAX,
    };
    let mut rest = whole;
    while let Some(c) = rest.chars().next() {
        if parts.len() + 1 == most {
            break;
        }
        parts.push(string(&rest[..c.len_utf8()]));
        rest = &rest[c.len_utf8()..];
    }
    if !rest.is_empty() {
        parts.push(string(rest));
    }
}

/// As Java's `String.split`, trailing empty parts kept.
fn split(
    regex: &Regex,
    whole: &str,
    limit: i32,
    parts: &mut Vec<Value>,
) -> Result<(), RecordError> {
    let most = match usize::try_from(limit) {
        Ok(limit @ 1..) => limit,
        _ => usize::MAX,
    };
    let (mut done, mut from) = (0, Some(0));
    while let Some(start) = from {
        if parts.len() + 1 >= most {
            break;
        }
        let Some(found) = find(regex, whole, start)? else {
            break;
        };
        from = after(whole, found.start(), found.end());
        // An empty match at the beginning makes no empty first part.
        if found.end() == 0 {
            continue;
        }
        parts.push(string(&whole[done..found.start()]));
        done = found.end();
    }
    parts.push(string(&whole[done..]));
    Ok(())
}
