//! LIKE, ILIKE and RLIKE.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use crate::expr::access::text;
use crate::expr::body::{Outcome, ScratchFn};
use crate::expr::functions::java_regex::Regex;

/// A LIKE pattern, ready to match.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    shape: Shape,
    /// Whether letters match in any case.
    any_case: bool,
}

#[derive(Clone, Debug)]
enum Shape {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Parts(Vec<Part>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Letter(char),
    /// `_`
    One,
    /// `%`
    Many,
}

impl Pattern {
    /// Reads a pattern. Err says what is wrong with it.
    pub(crate) fn new(pattern: &str, escape: char, any_case: bool) -> Result<Self, &'static str> {
        let folded;
        let pattern = if any_case {
            folded = pattern.to_lowercase();
            &folded
        } else {
            pattern
        };
        let mut parts = Vec::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            parts.push(if letter == escape {
                match letters.next() {
                    Some(next) if next == '%' || next == '_' || next == escape => {
                        Part::Letter(next)
                    }
                    Some(_) => return Err("the escape character stands before an ordinary one"),
                    None => return Err("the escape character stands at its end"),
                }
            } else {
                match letter {
                    '%' => Part::Many,
                    '_' => Part::One,
                    letter => Part::Letter(letter),
                }
            });
        }
        parts.dedup_by(|a, b| *a == Part::Many && *b == Part::Many);
        Ok(Self {
            shape: shape(parts),
            any_case,
        })
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.any_case {
            self.matches_as_is(&text.to_lowercase())
        } else {
            self.matches_as_is(text)
        }
    }

    fn matches_as_is(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Equals(part) => text == part,
            Shape::StartsWith(part) => text.starts_with(part.as_str()),
            Shape::EndsWith(part) => text.ends_with(part.as_str()),
            Shape::Contains(part) => text.contains(part.as_str()),
            Shape::Parts(parts) => matches_parts(parts, text),
        }
    }
}

fn shape(parts: Vec<Part>) -> Shape {
    let plain = |parts: &[Part]| {
        parts
            .iter()
            .map(|part| match part {
                Part::Letter(letter) => Some(*letter),
                _ => None,
            })
            .collect::<Option<String>>()
    };
    let special = match parts.as_slice() {
        [Part::Many, middle @ .., Part::Many] => plain(middle).map(Shape::Contains),
        [start @ .., Part::Many] => plain(start).map(Shape::StartsWith),
        [Part::Many, end @ ..] => plain(end).map(Shape::EndsWith),
        all => plain(all).map(Shape::Equals),
    };
    special.unwrap_or(Shape::Parts(parts))
}

/// After a `%` that led nowhere, only the last one need be tried again: linear space, no recursion.
fn matches_parts(parts: &[Part], text: &str) -> bool {
    let (mut part, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let mut letters = rest.chars();
        let next = letters.next();
        let advanced = match (parts.get(part), next) {
            (Some(Part::Many), _) => {
                retry = Some((part + 1, rest));
                part += 1;
                continue;
            }
            (Some(Part::One), Some(_)) => true,
            (Some(Part::Letter(wanted)), Some(letter)) => *wanted == letter,
            (None, None) => return true,
            (Some(_), None) => return false,
            (None, Some(_)) => false,
        };
        if advanced {
            part += 1;
            rest = letters.as_str();
        } else if let Some((after, from)) = retry {
            let mut letters = from.chars();
            if letters.next().is_none() {
                return false;
            }
            rest = letters.as_str();
            retry = Some((after, rest));
            part = after;
        } else {
            return false;
        }
    }
}

/// LIKE with a pattern that is known when the job is checked.
pub(crate) fn like_constant(pattern: &Pattern, negated: bool) -> ScratchFn {
    let pattern = pattern.clone();
    Box::new(move |v| Ok(Value::Boolean(pattern.matches(text(&v[0])) != negated)))
}

/// LIKE with a pattern of the row; the last one is kept.
pub(crate) fn like(escape: char, any_case: bool, negated: bool) -> ScratchFn {
    let mut last: Option<(String, Pattern)> = None;
    Box::new(move |v| {
        let given = text(&v[1]);
        if last.as_ref().is_none_or(|(text, _)| text != given) {
            let pattern = Pattern::new(given, escape, any_case).map_err(|why| {
                RecordError::expression(format!("the pattern of LIKE is malformed: {why}"))
                    .with_content(given)
            })?;
            last = Some((given.to_owned(), pattern));
        }
        Ok(last.as_ref().map_or(Value::Null, |(_, pattern)| {
            Value::Boolean(pattern.matches(text(&v[0])) != negated)
        }))
    })
}

fn search(regex: &Regex, given: &str, negated: bool) -> Outcome {
    regex
        .of(given)
        .is_match(given)
        .map(|found| Value::Boolean(found != negated))
        .map_err(|_| {
            RecordError::expression("the regular expression takes too many steps for this text")
                .with_content(given)
        })
}

/// RLIKE with a pattern that is known when the job is checked.
pub(crate) fn rlike_constant(regex: &Regex, negated: bool) -> ScratchFn {
    let regex = regex.clone();
    Box::new(move |v| search(&regex, text(&v[0]), negated))
}

/// RLIKE with a pattern of the row; the last one is kept.
pub(crate) fn rlike(negated: bool) -> ScratchFn {
    let mut last: Option<(String, Regex)> = None;
    Box::new(move |v| {
        let given = text(&v[1]);
        if last.as_ref().is_none_or(|(text, _)| text != given) {
            let compiled = Regex::new(given).map_err(|_| {
                RecordError::expression("the regular expression is malformed").with_content(given)
            })?;
            last = Some((given.to_owned(), compiled));
        }
        match &last {
            Some((_, regex)) => search(regex, text(&v[0]), negated),
            None => Ok(Value::Null),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_the_whole_text() {
        let like =
            |text: &str, pattern: &str| Pattern::new(pattern, '\\', false).unwrap().matches(text);
        assert!(like("spark", "spark"));
        assert!(like("spark", "sp%"));
        assert!(like("spark", "%rk"));
        assert!(like("spark", "%par%"));
        assert!(like("spark", "s_a_k"));
        assert!(like("spark", "s%a%k"));
        assert!(like("aXbXc", "a%X%c"));
        assert!(like("mississippi", "m%iss%ip%i"));
        assert!(!like("spark", "park"));
        assert!(!like("mississippi", "m%iss%ipx%i"));
        assert!(like("", "%"));
        assert!(!like("", "_"));
        assert!(like("größe", "gr__e"));
        assert!(like("50%", "50\\%"));
        assert!(!like("500", "50\\%"));
        assert!(like("a\nb", "a%b"));
        assert!(Pattern::new("a\\b", '\\', false).is_err());
        assert!(Pattern::new("a\\", '\\', false).is_err());
    }
}
