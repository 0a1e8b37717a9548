//! How alike two texts are, LIKE as a function, and a text as a literal.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::Text;
use super::forms::written;
use super::{BindContext, Function, function};
use crate::expr::access::text;
use crate::expr::operators;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "like",
        "like(text, pattern[, escape])",
        "text LIKE pattern ESCAPE escape, as a function.",
        "like('Spark', '_park')",
        "true",
        |args, cx| like(args, cx, false),
    ),
    function(
        "ilike",
        "ilike(text, pattern[, escape])",
        "text ILIKE pattern ESCAPE escape, as a function: letters match in any case.",
        "ilike('Spark', '_PARK')",
        "true",
        |args, cx| like(args, cx, true),
    ),
    function(
        "jaro_winkler_similarity",
        "jaro_winkler_similarity(a, b)",
        "How alike two texts are by Jaro and Winkler: 0.0 for nothing in common to 1.0 for the same.",
        "jaro_winkler_similarity('MARTHA', 'MARHTA')",
        "0.9611111111111111",
        |args, cx| {
            let args = cx.take(args, &[Text, Text], 2)?;
            cx.scratch(DataType::Double, args, || {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                Box::new(move |v| {
                    a.clear();
                    b.clear();
                    a.extend(text(&v[0]).chars());
                    b.extend(text(&v[1]).chars());
                    Ok(Value::Double(jaro_winkler(&a, &b)))
                })
            })
        },
    ),
    function(
        "quote",
        "quote(text)",
        "The text in single quotes, with a backslash before each single quote in it.",
        "quote('Don\\'t')",
        "'Don\\'t'",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            written(cx, args, |v, out| {
                out.push('\'');
                for c in text(&v[0]).chars() {
                    if c == '\'' {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('\'');
                Ok(())
            })
        },
    ),
];

fn like(mut args: Vec<Typed>, cx: &BindContext, any_case: bool) -> Result<Typed, JobError> {
    if !(2..=3).contains(&args.len()) {
        return Err(cx.error("expected a text, a pattern and perhaps an escape character"));
    }
    let escape = args.split_off(2).pop();
    let escape = match &escape {
        None => None,
        Some(typed) => Some(
            typed
                .constant_text()
                .ok_or_else(|| cx.error("the escape character must be a constant"))?,
        ),
    };
    match <[Typed; 2]>::try_from(args) {
        Ok([value, pattern]) => {
            operators::like(value, pattern, escape, any_case, false, cx.settings, cx.at)
        }
        Err(_) => Err(cx.error("expected a text and a pattern")),
    }
}

/// How much a common beginning of up to four characters counts.
const PREFIX_WEIGHT: f64 = 0.1;

#[allow(clippy::cast_precision_loss)]
fn jaro_winkler(a: &[char], b: &[char]) -> f64 {
    if a == b {
        return 1.0;
    }
    let Some(jaro) = jaro(a, b) else {
        return 0.0;
    };
    let same = a.iter().zip(b).take(4).take_while(|(a, b)| a == b).count();
    jaro + same as f64 * PREFIX_WEIGHT * (1.0 - jaro)
}

/// None where no character of one is near the same character of the other.
#[allow(clippy::cast_precision_loss)]
fn jaro(a: &[char], b: &[char]) -> Option<f64> {
    let near = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut of_a = Vec::new();
    for (place, c) in a.iter().enumerate() {
        let first = place.saturating_sub(near);
        let last = (place + near + 1).min(b.len());
        if let Some(found) = (first..last).find(|i| !taken[*i] && b[*i] == *c) {
            taken[found] = true;
            of_a.push(*c);
        }
    }
    if of_a.is_empty() {
        return None;
    }
    let of_b = b.iter().zip(&taken).filter(|(_, taken)| **taken);
    let moved = of_a.iter().zip(of_b).filter(|(a, (b, _))| *a != *b).count() / 2;
    let matches = of_a.len() as f64;
    let sum =
        matches / a.len() as f64 + matches / b.len() as f64 + (matches - moved as f64) / matches;
    Some(sum / 3.0)
}
