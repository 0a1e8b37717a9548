//! `get_json_object`: what a path such as `$.a[0].b` finds in a JSON text, as Spark answers.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::codecs::json::compact::{Beyond, compact};

/// Longest path: each step is a call within a call, and what a path reaches is read once for each.
const STEPS_MAX: usize = 256;

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `.name` or `['name']`.
    Name(String),
    /// `[n]`.
    Index(usize),
    /// `[*]`.
    Elements,
    /// `.*`: finds nothing, as in Spark.
    Fields,
}

/// The steps after `$`; None for what is no path, or too long.
pub(super) fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        (steps.len() < STEPS_MAX).then_some(())?;
        if let Some(after) = rest.strip_prefix(".*") {
            steps.push(Step::Fields);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            (end > 0).then_some(())?;
            steps.push(Step::Name(after[..end].to_owned()));
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix("['") {
            let end = after.find("']")?;
            (end > 0).then_some(())?;
            steps.push(Step::Name(after[..end].to_owned()));
            rest = &after[end + 2..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']')?;
            steps.push(match &after[..end] {
                "*" => Step::Elements,
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Step::Index(digits.parse().ok()?)
                }
                _ => return None,
            });
            rest = &after[end + 1..];
        } else {
            return None;
        }
    }
    Some(steps)
}

/// How what was found is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A text without its quotes.
    Raw,
    /// As JSON.
    Quoted,
    /// As JSON, arrays without their brackets.
    Flat,
}

/// Appends what the path finds; false where it finds nothing, or the text is not JSON.
pub(super) fn find(json: &str, steps: &[Step], out: &mut String) -> bool {
    let Ok(root) = serde_json::from_str::<&RawValue>(json) else {
        return false;
    };
    append_found(root.get(), steps, out)
}

fn append_found(json: &str, steps: &[Step], out: &mut String) -> bool {
    let mut found = Found {
        out,
        count: 0,
        style: Style::Raw,
        beyond: Beyond::Escaped,
    };
    walk(json, steps, &mut found);
    found.count > 0
}

/// Appends the text of one JSON value: a text without its quotes, anything else as JSON; false for null.
pub(super) fn append_text(json: &str, out: &mut String) -> bool {
    json != "null" && append_found(json, &[], out)
}

struct Found<'o> {
    out: &'o mut String,
    count: usize,
    style: Style,
    beyond: Beyond,
}

fn walk(json: &str, steps: &[Step], found: &mut Found<'_>) {
    let first = json.bytes().next().unwrap_or(b' ');
    match (first, steps) {
        (b'[', []) if found.style == Style::Flat => {
            each_within_arrays(json, &mut |value| write(value, found));
        }
        (_, []) => write(json, found),
        (b'{', [Step::Name(name), rest @ ..]) => {
            let mut value = None;
            each_field(json, &mut |key, json| {
                if value.is_none() && key == name {
                    value = Some(json);
                }
            });
            if let Some(value) = value.filter(|value| *value != "null") {
                walk(value, rest, found);
            }
        }
        (b'[', [Step::Elements, Step::Elements, rest @ ..]) => {
            within(found, (Style::Flat, found.beyond), true, |found| {
                each_element(json, &mut |_, element| walk(element, rest, found));
            });
        }
        (b'[', [Step::Elements, rest @ ..]) => {
            let style = match found.style {
                Style::Flat => Style::Flat,
                Style::Raw | Style::Quoted => Style::Quoted,
            };
            let always = found.style == Style::Quoted;
            // Spark collects these as characters, and all else as bytes.
            let beyond = match found.style {
                Style::Quoted => found.beyond,
                Style::Raw | Style::Flat => Beyond::Plain,
            };
            within(found, (style, beyond), always, |found| {
                each_element(json, &mut |_, element| walk(element, rest, found));
            });
        }
        (b'[', [Step::Index(wanted), rest @ ..]) => {
            let rest_of_elements = matches!(rest.first(), Some(Step::Elements));
            each_element(json, &mut |index, element| {
                if index == *wanted {
                    if rest_of_elements && found.style == Style::Raw {
                        found.style = Style::Quoted;
                        walk(element, rest, found);
                        found.style = Style::Raw;
                    } else {
                        walk(element, rest, found);
                    }
                }
            });
        }
        _ => {}
    }
}

/// What is found within becomes an array; one alone stands for itself unless `always`.
fn within(
    found: &mut Found<'_>,
    (style, beyond): (Style, Beyond),
    always: bool,
    walk: impl FnOnce(&mut Found<'_>),
) {
    let mut inner_out = String::new();
    let mut inner = Found {
        out: &mut inner_out,
        count: 0,
        style,
        beyond,
    };
    walk(&mut inner);
    let count = inner.count;
    if count == 0 && !(always && style == Style::Quoted) {
        return;
    }
    separate(found);
    if always || count > 1 {
        found.out.push('[');
        found.out.push_str(&inner_out);
        found.out.push(']');
    } else {
        found.out.push_str(&inner_out);
    }
}

fn separate(found: &mut Found<'_>) {
    if found.count > 0 {
        found.out.push(',');
    }
    found.count += 1;
}

fn write(json: &str, found: &mut Found<'_>) {
    separate(found);
    if found.style == Style::Raw && json.starts_with('"') {
        match serde_json::from_str::<Cow<'_, str>>(json) {
            Ok(text) => found.out.push_str(&text),
            Err(_) => found.out.push_str(json),
        }
    } else {
        compact(json, found.beyond, found.out);
    }
}

/// Calls `see` with each value that is no array, in arrays that lie in each other as deep as they like: the text is a record's, so
/// there is one loop and no call within a call.
fn each_within_arrays<'j>(json: &'j str, see: &mut dyn FnMut(&'j str)) {
    let between = |c: char| c.is_ascii_whitespace() || matches!(c, '[' | ']' | ',');
    let mut rest = json.trim_start_matches(between);
    while !rest.is_empty() {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else {
            return;
        };
        see(value.get());
        rest = rest[values.byte_offset()..].trim_start_matches(between);
    }
}

/// Calls `see` with the key and the JSON of each field; false where the JSON is no object.
pub(super) fn each_field<'j>(json: &'j str, see: &mut dyn FnMut(&str, &'j str)) -> bool {
    struct Fields<'s, 'j>(&'s mut dyn FnMut(&str, &'j str));

    impl<'j> Visitor<'j> for Fields<'_, 'j> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Key<'j>>()? {
                let value: &'j RawValue = map.next_value()?;
                (self.0)(&key.0, value.get());
            }
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Fields(see)).is_ok() && deserializer.end().is_ok()
}

/// A key that is borrowed unless it has escapes.
#[derive(Deserialize)]
struct Key<'j>(#[serde(borrow)] Cow<'j, str>);

/// Calls `see` with the index and the JSON of each element; false where the JSON is no array.
pub(super) fn each_element<'j>(json: &'j str, see: &mut dyn FnMut(usize, &'j str)) -> bool {
    struct Elements<'s, 'j>(&'s mut dyn FnMut(usize, &'j str));

    impl<'j> Visitor<'j> for Elements<'_, 'j> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<(), A::Error> {
            let mut index = 0;
            while let Some(element) = seq.next_element::<&'j RawValue>()? {
                (self.0)(index, element.get());
                index += 1;
            }
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_seq(Elements(see)).is_ok() && deserializer.end().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(json: &str, path: &str) -> Option<String> {
        let mut out = String::new();
        find(json, &parse(path)?, &mut out).then_some(out)
    }

    #[test]
    fn a_path_finds_what_spark_finds() {
        let json = r#"{"a": {"b": [1, {"c": "x y"}, null], "d": "q\"uote"}, "e": null, "f": 1.50,
            "g": [{"h": "i"}, {"h": "j"}], "k": [[1, 2], [3]],
            "l": [[[1, "a],"], [[{"m": [2]} , null]], []], [[3.50]]]}"#;
        for (path, expected) in [
            ("$.f", Some("1.5")),
            ("$.a.b", Some(r#"[1,{"c":"x y"},null]"#)),
            ("$.a.b[0]", Some("1")),
            ("$.a.b[1].c", Some("x y")),
            ("$.a.b[2]", Some("null")),
            ("$.a.b[9]", None),
            ("$['a'].d", Some("q\"uote")),
            ("$.e", None),
            ("$.g[*].h", Some(r#"["i","j"]"#)),
            ("$.a.b[*].c", Some(r#""x y""#)),
            ("$.k[*][*]", Some("[1,2,3]")),
            ("$.l[*][*]", Some(r#"[1,"a],",{"m":[2]},null,3.5]"#)),
            ("$.k[*]", Some("[[1,2],[3]]")),
            ("$.g.h", None),
            ("$.missing", None),
            ("a", None),
            ("$.", None),
            ("$[x]", None),
        ] {
            assert_eq!(get(json, path).as_deref(), expected, "{path}");
        }
        assert_eq!(get("not json", "$.a"), None);
        assert_eq!(get("\"text\"", "$").as_deref(), Some("text"));
        assert_eq!(get("null", "$").as_deref(), Some("null"));
    }

    #[test]
    fn no_record_is_too_deep() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(get(&deep("1"), "$[*][*]").as_deref(), Some("[1]"));
        assert_eq!(
            get(&deep("1"), "$[*]").map(|found| found.len()),
            Some(99_999)
        );
        assert_eq!(get(&deep("1"), "$.a"), None);
        let path = |steps| format!("${}", "[0]".repeat(steps));
        let found = get(&deep("1"), &path(STEPS_MAX));
        assert_eq!(
            found,
            Some(deep("1")[STEPS_MAX..100_001 - STEPS_MAX].to_owned())
        );
        assert_eq!(get(&deep("1"), &path(50_000)), None);
    }
}
