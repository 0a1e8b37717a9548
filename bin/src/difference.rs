//! What differs between the rows that a test expects and those that came, for people to read.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Differences of one kind that are shown; the others are counted.
const SHOWN_MAX: usize = 20;

/// One row: its text as it stands in its file, and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The number of the line in its file, from 1; for rows that came the number of the row.
    pub(crate) number: usize,
    text: String,
    meaning: Value,
}

impl Line {
    /// A line of JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(number: usize, text: &str) -> Result<Self, String> {
        let meaning =
            serde_json::from_str(&exact_numbers(text)).map_err(|error| error.to_string())?;
        Ok(Self {
            number,
            text: text.to_owned(),
            meaning: without_nulls(meaning),
        })
    }

    fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.meaning.as_object().into_iter().flatten()
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.meaning.get(name)
    }

    /// How many fields are the same, out of how many there are in either.
    fn likeness(&self, other: &Self) -> (usize, usize) {
        let same = |(name, value): &(&String, &Value)| other.field(name) == Some(value);
        let equal = self.fields().filter(same).count();
        let more = other
            .fields()
            .filter(|(name, _)| self.field(name).is_none());
        (equal, self.fields().count() + more.count())
    }
}

/// A member that is NULL means the same as one that is absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Before a number that is written as a text: no text of a job begins so.
const NUMBER: &str = "\\u0000";

/// JSON with its numbers as texts, each in the one form that numbers of its value have: `1`, `1.0` and `1e0` are one, and
/// decimals of 38 digits keep them all.
fn exact_numbers(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = json.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        if c != '-' && !c.is_ascii_digit() {
            quoted = c == '"';
            out.push(c);
            continue;
        }
        let mut end = at + 1;
        while let Some((at, _)) =
            rest.next_if(|(_, c)| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        {
            end = at + 1;
        }
        let _ = write!(out, "\"{NUMBER}{}\"", plain_number(&json[at..end]));
    }
    out
}

/// The digits of a number without leading and trailing zeros, and the power of ten behind them.
fn plain_number(text: &str) -> String {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let all = all.trim_start_matches('0');
    let short = all.trim_end_matches('0');
    if short.is_empty() {
        return "0".to_owned();
    }
    let behind = i64::try_from(all.len() - short.len()).unwrap_or(0)
        - i64::try_from(fraction.len()).unwrap_or(0);
    format!("{sign}{short}e{}", exponent.saturating_add(behind))
}

/// What differs.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    same: usize,
    changed: Vec<(Line, Line)>,
    missing: Vec<Line>,
    unexpected: Vec<Line>,
    /// The first row that stands elsewhere, where all rows are the same and their order counts.
    moved: Option<(Line, Line)>,
}

impl Difference {
    /// Compares; the order counts only where `ordered`.
    pub(crate) fn of(expected: Vec<Line>, came: Vec<Line>, ordered: bool) -> Self {
        let moved = expected
            .iter()
            .zip(&came)
            .find(|(expected, came)| expected.meaning != came.meaning)
            .map(|(expected, came)| (expected.clone(), came.clone()));
        let mut difference = Self {
            unexpected: came,
            ..Self::default()
        };
        for line in expected {
            let same = difference
                .unexpected
                .iter()
                .position(|came| came.meaning == line.meaning);
            match same {
                Some(place) => {
                    difference.unexpected.remove(place);
                    difference.same += 1;
                }
                None => difference.missing.push(line),
            }
        }
        difference.pair();
        if ordered && difference.none() {
            difference.moved = moved;
        }
        difference
    }

    /// A row that is missing and one that was not expected are one that changed where at least half of their fields agree.
    fn pair(&mut self) {
        for line in std::mem::take(&mut self.missing) {
            let best = self
                .unexpected
                .iter()
                .enumerate()
                .map(|(place, came)| (line.likeness(came), place))
                .filter(|((equal, all), _)| *equal > 0 && equal * 2 >= *all)
                .max_by_key(|((equal, _), place)| (*equal, usize::MAX - place));
            match best {
                Some((_, place)) => {
                    let came = self.unexpected.remove(place);
                    self.changed.push((line, came));
                }
                None => self.missing.push(line),
            }
        }
    }

    /// Whether all is as expected.
    pub(crate) fn none(&self) -> bool {
        self.changed.is_empty()
            && self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.moved.is_none()
    }

    /// In words; the lines are those of `file`.
    pub(crate) fn report(&self, file: &str) -> String {
        let mut out = String::new();
        let counts: Vec<String> = [
            ("changed", self.changed.len()),
            ("missing", self.missing.len()),
            ("unexpected", self.unexpected.len()),
            ("as expected", self.same),
        ]
        .iter()
        .filter(|(what, count)| *count > 0 || *what == "as expected")
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
        let _ = writeln!(out, "  {file}: {}", counts.join(", "));
        for (expected, came) in self.changed.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "    changed, line {}", expected.number);
            let _ = writeln!(out, "      expected  {}", expected.text);
            let _ = writeln!(out, "      came      {}", came.text);
            let _ = writeln!(out, "      in        {}", names(expected, came));
        }
        more(&mut out, self.changed.len());
        for line in self.missing.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "    missing, line {}", line.number);
            let _ = writeln!(out, "      expected  {}", line.text);
        }
        more(&mut out, self.missing.len());
        for line in self.unexpected.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "    unexpected, row {}", line.number);
            let _ = writeln!(out, "      came      {}", line.text);
        }
        more(&mut out, self.unexpected.len());
        if let Some((expected, came)) = &self.moved {
            let _ = writeln!(
                out,
                "    in another order, from line {} on",
                expected.number
            );
            let _ = writeln!(out, "      expected  {}", expected.text);
            let _ = writeln!(out, "      came      {}", came.text);
        }
        out
    }
}

/// The fields in which two rows differ.
fn names(expected: &Line, came: &Line) -> String {
    let mut names: Vec<&str> = expected
        .fields()
        .filter(|(name, value)| came.field(name) != Some(*value))
        .map(|(name, _)| name.as_str())
        .collect();
    let new = came
        .fields()
        .filter(|(name, _)| expected.field(name).is_none());
    names.extend(new.map(|(name, _)| name.as_str()));
    names.join(", ")
}

fn more(out: &mut String, count: usize) {
    if count > SHOWN_MAX {
        let _ = writeln!(out, "    and {} more", count - SHOWN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<Line> {
        text.iter()
            .enumerate()
            .map(|(index, text)| Line::read(index + 1, text).unwrap())
            .collect()
    }

    fn report(expected: &[&str], came: &[&str], ordered: bool) -> String {
        let difference = Difference::of(lines(expected), lines(came), ordered);
        if difference.none() {
            return String::new();
        }
        difference.report("t.expected.jsonl")
    }

    #[test]
    fn a_row_is_changed_missing_or_unexpected() {
        assert_eq!(
            report(
                &[
                    r#"{"w":"a","n":1}"#,
                    r#"{"w":"b","n":2}"#,
                    r#"{"w":"c","n":9}"#
                ],
                &[r#"{"w":"b","n":3}"#, r#"{"n":1,"w":"a"}"#, r#"{"x":true}"#],
                false
            ),
            "\x20 t.expected.jsonl: 1 changed, 1 missing, 1 unexpected, 1 as expected
    changed, line 2
      expected  {\"w\":\"b\",\"n\":2}
      came      {\"w\":\"b\",\"n\":3}
      in        n
    missing, line 3
      expected  {\"w\":\"c\",\"n\":9}
    unexpected, row 3
      came      {\"x\":true}
"
        );
    }

    #[test]
    fn numbers_are_compared_by_value_and_every_digit_counts() {
        let same = |a, b| report(&[a], &[b], false).is_empty();
        assert!(same(
            r#"{"a":1,"b":[0.10,-0.0]}"#,
            r#"{"a":1.0,"b":[1e-1,0]}"#
        ));
        assert!(same(r#"{"a":1500}"#, r#"{"a":1.5e3}"#));
        assert!(!same(
            r#"{"a":99999999999999999999999999999999999998}"#,
            r#"{"a":99999999999999999999999999999999999999}"#
        ));
        assert!(!same(r#"{"a":"1"}"#, r#"{"a":1}"#));
        assert!(!same(r#"{"a":"x\"1"}"#, r#"{"a":"x\"1.0"}"#));
    }

    #[test]
    fn an_absent_field_is_null() {
        assert_eq!(report(&[r#"{"a":1,"b":null}"#], &[r#"{"a":1}"#], true), "");
        assert_ne!(report(&[r#"{"a":[null]}"#], &[r#"{"a":[]}"#], true), "");
    }

    #[test]
    fn order_counts_where_the_query_sorts() {
        let (a, b) = (r#"{"a":1}"#, r#"{"a":2}"#);
        assert_eq!(report(&[a, b], &[b, a], false), "");
        assert!(report(&[a, b], &[b, a], true).contains("in another order, from line 1 on"));
        assert!(report(&[a, a], &[a], false).contains("1 missing"));
    }
}
