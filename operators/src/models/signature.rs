//! What a model takes and gives: its features by name, and which of its outputs is the score. Pure.

use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::schema::{DataType, Field};

use super::options::ModelOptions;
use super::proto;
use crate::job_error::nearest;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// 32 bits.
    Float,
    /// 64 bits.
    Double,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// True or false.
    Boolean,
    /// A text.
    Text,
    /// Whatever this version does not know, and what is no tensor.
    Other,
}

impl Element {
    /// By its number in the format.
    pub(super) fn of(number: u64) -> Self {
        match number {
            1 => Self::Float,
            6 => Self::Int,
            7 => Self::Long,
            8 => Self::Text,
            9 => Self::Boolean,
            11 => Self::Double,
            _ => Self::Other,
        }
    }

    /// The type that an expression for it is cast to.
    pub(crate) fn data_type(self) -> Option<DataType> {
        Some(match self {
            Self::Float => DataType::Float,
            Self::Double => DataType::Double,
            Self::Int => DataType::Int,
            Self::Long => DataType::BigInt,
            Self::Boolean => DataType::Boolean,
            Self::Text => DataType::String,
            Self::Other => return None,
        })
    }

    fn is_real(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }
}

/// An input or an output of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    /// Its name.
    pub(crate) name: SmolStr,
    /// The type of its elements.
    pub(crate) element: Element,
    /// Its sizes; -1 for one that is not fixed.
    pub(crate) dims: Vec<i64>,
}

impl Port {
    /// How many values one row has in it; None where the file does not fix that.
    fn width(&self) -> Option<usize> {
        let rest = self.dims.get(1..).unwrap_or_default();
        rest.iter()
            .try_fold(1_usize, |all, dim| Some(all * usize::try_from(*dim).ok()?))
    }
}

/// A value that the model wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Feature {
    /// Its name; empty where the file names none.
    pub(crate) name: SmolStr,
    /// Its type.
    pub(crate) element: Element,
    /// Which input takes it.
    pub(crate) input: usize,
    /// Its place in there.
    pub(crate) place: usize,
}

/// What a model takes and gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature {
    /// The inputs.
    pub(crate) inputs: Vec<Port>,
    /// How many values each input takes.
    pub(crate) widths: Vec<usize>,
    /// The outputs.
    pub(crate) outputs: Vec<Port>,
    /// The values that it wants, in its own order.
    pub(crate) features: Vec<Feature>,
    /// Which output holds the score, and at which place of a row; None for the last of one or two.
    pub(crate) score: Result<(usize, Option<usize>), String>,
}

impl Signature {
    /// Reads it from the bytes of a file.
    ///
    /// # Errors
    /// When they are no model that can be used; the sentence says why and what to do.
    pub(crate) fn read(bytes: &[u8], options: &ModelOptions) -> Result<Self, String> {
        let facts = proto::read(bytes).ok_or("it is no ONNX model, or not the whole of one")?;
        for (what, ports) in [("input", &facts.inputs), ("output", &facts.outputs)] {
            let other = ports.iter().find(|port| port.element == Element::Other);
            if let Some(port) = other {
                return Err(format!(
                    "its {what} `{}` is no tensor of a type that is known here{}",
                    port.name,
                    if what == "output" {
                        ": export a classifier with zipmap off, so that it gives its probabilities as a tensor"
                    } else {
                        " (FLOAT, DOUBLE, INT, BIGINT, BOOLEAN, STRING)"
                    }
                ));
            }
        }
        if facts.inputs.is_empty() {
            return Err("it has no inputs".to_owned());
        }
        let names = facts
            .metadata
            .iter()
            .find(|(key, _)| key == "feature_names")
            .map(|(_, value)| listed(value));
        let (features, widths) = features(&facts.inputs, names.as_deref(), options.positional)?;
        let score = score(&facts.outputs, options);
        Ok(Self {
            inputs: facts.inputs,
            widths,
            outputs: facts.outputs,
            features,
            score,
        })
    }

    /// Whether it takes texts: which ones it knows is not known, so a run of none may fail.
    pub(crate) fn has_text(&self) -> bool {
        let mut features = self.features.iter();
        features.any(|feature| feature.element == Element::Text)
    }

    /// For each value that is given, by name, where the model wants it.
    ///
    /// # Errors
    /// When the names are not those of the model.
    pub(crate) fn places(&self, given: &[SmolStr], positional: bool) -> Result<Vec<usize>, String> {
        let wanted = self.features.len();
        if positional {
            return if given.len() == wanted {
                Ok((0..wanted).collect())
            } else {
                Err(format!(
                    "takes {} by their order, got {}",
                    counted(wanted, "value"),
                    given.len()
                ))
            };
        }
        let known = || self.features.iter().map(|feature| feature.name.as_str());
        let mut places = Vec::with_capacity(wanted);
        for (index, name) in given.iter().enumerate() {
            if given[..index].contains(name) {
                return Err(format!("the feature `{name}` is given twice"));
            }
            let Some(place) = known().position(|known| known == name) else {
                let near = nearest(name, known());
                let near = near.map_or_else(
                    || format!("; its features are {}", shortened(known())),
                    |near| format!("; did you mean `{near}`?"),
                );
                return Err(format!("takes no feature `{name}`{near}"));
            };
            places.push(place);
        }
        let missing = known().find(|known| !given.iter().any(|name| name == known));
        match missing {
            None => Ok(places),
            Some(missing) => {
                let near = nearest(missing, given.iter().map(SmolStr::as_str));
                let near = near.map_or_else(String::new, |near| {
                    format!(", which is perhaps what `{near}` should be")
                });
                Err(format!(
                    "takes the feature `{missing}` too, which is not given{near}"
                ))
            }
        }
    }

    /// What `predict_all` gives.
    pub(crate) fn all(&self) -> Vec<Field> {
        let field = |port: &Port| {
            let element = port.element.data_type().unwrap_or(DataType::Void);
            let data_type = if port.width() == Some(1) {
                element
            } else {
                DataType::Array(std::sync::Arc::new(element))
            };
            Field::nullable(port.name.clone(), data_type)
        };
        self.outputs.iter().map(field).collect()
    }

    /// Why another model cannot take the place of this one, if it cannot: names and types of inputs and outputs must be the
    /// same; their order need not.
    pub(crate) fn differs(&self, new: &Self, positional: bool) -> Option<String> {
        let given: Vec<SmolStr> = self.features.iter().map(|f| f.name.clone()).collect();
        let places = match new.places(&given, positional) {
            Ok(places) => places,
            Err(why) => return Some(format!("it {why}")),
        };
        for (old, place) in self.features.iter().zip(places) {
            let element = new.features.get(place).map(|feature| feature.element);
            if element != Some(old.element) {
                return Some(format!(
                    "its feature `{}` is of another type than before",
                    old.name
                ));
            }
        }
        let same = |a: &Port, b: &Port| a.name == b.name && a.element == b.element;
        for old in &self.outputs {
            if !new.outputs.iter().any(|port| same(port, old)) {
                return Some(format!(
                    "it has no output `{}` of the type that the one in force has; its outputs are {}",
                    old.name,
                    shortened(new.outputs.iter().map(|port| port.name.as_str()))
                ));
            }
        }
        if self.all() != new.all() && new.outputs.len() == self.outputs.len() {
            return Some("its outputs have another order or another shape".to_owned());
        }
        match (&self.score, &new.score) {
            (Ok(_), Err(why)) => Some(why.clone()),
            _ => None,
        }
    }
}

fn shortened<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.get(..12) {
        Some(some) if names.len() > 12 => format!("{}, …", some.join(", ")),
        _ => names.join(", "),
    }
}

/// `["a", "b"]` or `a, b`.
fn listed(text: &str) -> Vec<String> {
    serde_json::from_str(text)
        .unwrap_or_else(|_| text.split(',').map(|name| name.trim().to_owned()).collect())
}

/// The features of inputs that are one wide, or of one input by the names that the metadata gives.
fn features(
    inputs: &[Port],
    names: Option<&[String]>,
    positional: bool,
) -> Result<(Vec<Feature>, Vec<usize>), String> {
    let by_input = |(index, port): (usize, &Port)| Feature {
        name: port.name.clone(),
        element: port.element,
        input: index,
        place: 0,
    };
    if let Some(batch) = inputs
        .iter()
        .find(|port| port.dims.first().is_some_and(|first| *first > 1))
    {
        return Err(format!(
            "its input `{}` takes {} rows at once: export it for one row, or any number",
            batch.name, batch.dims[0]
        ));
    }
    if names.is_none() && inputs.iter().all(|port| port.width() == Some(1)) {
        return Ok((
            inputs.iter().enumerate().map(by_input).collect(),
            vec![1; inputs.len()],
        ));
    }
    let [input] = inputs else {
        return Err(
            "it has several inputs, and some take several values: one input of all features, or one for each, can be \
             matched by name"
                .to_owned(),
        );
    };
    let width = match (input.width(), names) {
        (Some(width), Some(names)) if names.len() != width => {
            return Err(format!(
                "its metadata names {} features in `feature_names`, and its input `{}` takes {width}",
                names.len(),
                input.name
            ));
        }
        (Some(width), _) => width,
        (None, Some(names)) => names.len(),
        (None, None) => {
            return Err(format!(
                "how many values its input `{}` takes stands neither in its shape nor in `feature_names` of its metadata",
                input.name
            ));
        }
    };
    if names.is_none() && !positional {
        return Err(format!(
            "its input `{}` takes {width} values without names: write them into its metadata as `feature_names`, or give \
             them by their order with the option positional 'true'",
            input.name
        ));
    }
    let name = |place: usize| names.and_then(|names| names.get(place)).map(SmolStr::new);
    let features = (0..width).map(|place| Feature {
        name: name(place).unwrap_or_default(),
        element: input.element,
        input: 0,
        place,
    });
    Ok((features.collect(), vec![width]))
}

/// Which output is the score: the one of real numbers; of two values the last, the probability of the positive class.
fn score(outputs: &[Port], options: &ModelOptions) -> Result<(usize, Option<usize>), String> {
    let place = options.output_place;
    let index = match &options.output {
        Some(name) => {
            let found = outputs.iter().position(|port| port.name == *name);
            found.ok_or_else(|| {
                let known = || outputs.iter().map(|port| port.name.as_str());
                let near = nearest(name, known())
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                format!(
                    "it has no output `{name}`; its outputs are {}{near}",
                    shortened(known())
                )
            })?
        }
        None => {
            let mut real = (0..outputs.len()).filter(|i| outputs[*i].element.is_real());
            match (real.next(), real.next()) {
                (Some(one), None) => one,
                (None, _) => {
                    return Err("none of its outputs is a number with a fraction: predict_all gives what it has".to_owned());
                }
                _ => {
                    let names = outputs.iter().map(|port| port.name.as_str());
                    return Err(format!(
                        "several of its outputs are numbers ({}): the option output says which is the score",
                        shortened(names)
                    ));
                }
            }
        }
    };
    if !outputs[index].element.is_real() {
        return Err(format!(
            "its output `{}` is no number with a fraction: predict_all gives it",
            outputs[index].name
        ));
    }
    match (outputs[index].width(), place) {
        (Some(width), Some(place)) if place >= width => Err(format!(
            "its output `{}` has {width} values, so outputPlace goes up to {}",
            outputs[index].name,
            width - 1
        )),
        (Some(width), None) => Ok((index, Some(place_of(width, &outputs[index].name)?))),
        (_, place) => Ok((index, place)),
    }
}

/// Which value of a row is the score, where it is not said.
///
/// # Errors
/// When it has more than two.
pub(crate) fn place_of(width: usize, output: &str) -> Result<usize, String> {
    match width {
        1 => Ok(0),
        2 => Ok(1),
        _ => Err(format!(
            "its output `{output}` has {width} values: the option outputPlace says which is the score, or predict_all gives \
             all"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, element: Element, dims: &[i64]) -> Port {
        Port {
            name: name.into(),
            element,
            dims: dims.to_vec(),
        }
    }

    fn signature(inputs: Vec<Port>, names: Option<&[&str]>) -> Result<Signature, String> {
        let names = names.map(|names| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let (features, widths) = features(&inputs, names.as_deref(), false)?;
        let outputs = vec![port("score", Element::Float, &[-1, 1])];
        Ok(Signature {
            score: score(&outputs, &ModelOptions::default()),
            inputs,
            widths,
            outputs,
            features,
        })
    }

    fn wide() -> Vec<Port> {
        vec![port("features", Element::Float, &[-1, 3])]
    }

    fn names(names: &[&str]) -> Vec<SmolStr> {
        names.iter().copied().map(SmolStr::new).collect()
    }

    #[test]
    fn features_are_matched_by_name_in_any_order() {
        let signature = signature(wide(), Some(&["amount", "count", "speed"])).unwrap();
        let places = signature.places(&names(&["speed", "amount", "count"]), false);
        assert_eq!(places.unwrap(), [2, 0, 1]);
    }

    #[test]
    fn a_name_that_differs_is_refused_with_the_nearest() {
        let signature = signature(wide(), Some(&["amount", "count", "speed"])).unwrap();
        let wrong = |given: &[&str]| signature.places(&names(given), false).unwrap_err();
        let misspelt = wrong(&["speed", "ammount", "count"]);
        assert_eq!(
            misspelt,
            "takes no feature `ammount`; did you mean `amount`?"
        );
        let missing = wrong(&["speed", "count"]);
        assert!(
            missing.contains("takes the feature `amount` too"),
            "{missing}"
        );
        let twice = wrong(&["speed", "speed", "count"]);
        assert!(twice.contains("given twice"), "{twice}");
    }

    #[test]
    fn values_without_names_are_taken_by_order_only_when_that_is_asked_for() {
        let refused = signature(wide(), None).unwrap_err();
        assert!(refused.contains("positional 'true'"), "{refused}");
        let (features, _) = features(&wide(), None, true).unwrap();
        assert_eq!(features.len(), 3);
    }

    #[test]
    fn inputs_of_one_value_each_are_features_by_their_own_names() {
        let inputs = vec![
            port("amount", Element::Float, &[-1, 1]),
            port("channel", Element::Text, &[-1, 1]),
        ];
        let signature = signature(inputs, None).unwrap();
        assert_eq!(signature.features[1].name, "channel");
        assert_eq!(signature.features[1].input, 1);
    }

    #[test]
    fn the_score_is_the_probability_of_the_positive_class_or_the_only_number() {
        let none = ModelOptions::default();
        let classes = |width| {
            [
                port("label", Element::Long, &[-1]),
                port("probabilities", Element::Float, &[-1, width]),
            ]
        };
        assert_eq!(score(&classes(2), &none), Ok((1, Some(1))));
        assert_eq!(score(&classes(-1), &none), Ok((1, None)));
        assert!(
            score(&classes(3), &none)
                .unwrap_err()
                .contains("outputPlace")
        );
        let third = ModelOptions {
            output_place: Some(2),
            ..ModelOptions::default()
        };
        assert_eq!(score(&classes(3), &third), Ok((1, Some(2))));
        let one = [port("variable", Element::Float, &[-1, 1])];
        assert_eq!(score(&one, &none), Ok((0, Some(0))));
    }

    #[test]
    fn only_a_model_of_the_same_names_and_types_takes_the_place_of_another() {
        let old = signature(wide(), Some(&["amount", "count", "speed"])).unwrap();
        let turned = signature(wide(), Some(&["speed", "count", "amount"])).unwrap();
        assert_eq!(old.differs(&turned, false), None);
        let other = signature(wide(), Some(&["speed", "count", "total"])).unwrap();
        assert!(old.differs(&other, false).unwrap().contains("`amount`"));
    }
}
