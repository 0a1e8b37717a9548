//! Golden rows: what a model must score before it is used.

use std::path::Path;

use serde::Deserialize;
use smol_str::SmolStr;
use thalweg_engine::row::Value;

use super::options::ModelOptions;
use super::place;
use super::signature::{Element, Signature};

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    features: serde_json::Map<String, serde_json::Value>,
    score: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

/// Scores values that go to these places of the model's features.
type Score<'s> = &'s mut dyn FnMut(&[Value], &[usize]) -> Result<f64, String>;

/// Scores every row of the file.
///
/// # Errors
/// For the first row that cannot be read or does not come out as it must.
pub(super) fn pass(
    file: &Path,
    signature: &Signature,
    options: &ModelOptions,
    score: Score<'_>,
) -> Result<(), String> {
    let shown = file.display();
    let bytes = place::content(file).map_err(|why| format!("the golden rows: {why}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("the golden rows {shown} are no text in UTF-8: {error}"))?;
    let lines = text.lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let at = |why: String| format!("golden row {} of {shown}: {why}", number + 1);
        let golden: Golden = serde_json::from_str(line).map_err(|error| at(error.to_string()))?;
        let names: Vec<SmolStr> = golden.features.keys().map(SmolStr::new).collect();
        // An object of JSON has no order.
        let places = signature
            .places(&names, false)
            .map_err(|why| at(format!("the model {why}")))?;
        let values = golden.features.values().zip(&places);
        let values: Option<Vec<Value>> = values
            .map(|(value, place)| value_of(value, signature.features[*place].element))
            .collect();
        let values = values.ok_or_else(|| at("a feature is of another type".to_owned()))?;
        let scored = score(&values, &places).map_err(at)?;
        let apart = |wanted: f64| (scored - wanted).abs() > options.tolerance || scored.is_nan();
        if let Some(wanted) = golden.score
            && apart(wanted)
        {
            return Err(at(format!("it scores {scored}, and must score {wanted}")));
        }
        if let Some(min) = golden.min
            && (scored.is_nan() || scored < min)
        {
            return Err(at(format!(
                "it scores {scored}, and must score at least {min}"
            )));
        }
        if let Some(max) = golden.max
            && (scored.is_nan() || scored > max)
        {
            return Err(at(format!(
                "it scores {scored}, and must score at most {max}"
            )));
        }
    }
    Ok(())
}

fn value_of(value: &serde_json::Value, element: Element) -> Option<Value> {
    #[allow(clippy::cast_possible_truncation)]
    Some(match (element, value) {
        (_, serde_json::Value::Null) => Value::Null,
        (Element::Float, value) => Value::Float(value.as_f64()? as f32),
        (Element::Double, value) => Value::Double(value.as_f64()?),
        (Element::Int, value) => Value::Int(i32::try_from(value.as_i64()?).ok()?),
        (Element::Long, value) => Value::BigInt(value.as_i64()?),
        (Element::Boolean, value) => Value::Boolean(value.as_bool()?),
        (Element::Text, value) => Value::from(value.as_str()?),
        (Element::Other, _) => return None,
    })
}
