//! The options of CREATE MODEL: their manual, and their values once checked.

use std::path::PathBuf;

use crate::job_error::{JobError, Location};
use crate::objects::Located;
use crate::table::{OptionKind, OptionSpec, Options, option};

/// The manual.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "path",
        OptionKind::Text,
        "",
        "models/fraud",
        "The model's file, or a folder of versions: then the newest `.onnx` in it by the order of versions in names (`fraud-9.onnx` before `fraud-10.onnx`). Watched while the job runs. Needed.",
    ),
    option(
        "positional",
        OptionKind::Boolean,
        "false",
        "true",
        "Give the features by their order instead of by name: for a model whose file names none.",
    ),
    option(
        "output",
        OptionKind::Text,
        "",
        "probabilities",
        "The output that holds the score; without it the only one of FLOAT or DOUBLE.",
    ),
    option(
        "outputPlace",
        OptionKind::Whole(0, 1_000_000),
        "",
        "1",
        "Which value of that output is the score, from 0; without it the only one, or of two the last: the probability of the positive class.",
    ),
    option(
        "golden",
        OptionKind::Text,
        "",
        "models/fraud.golden.jsonl",
        "A file of JSON lines that every model must pass before it is used: `features`, and what must come of them: `score` (within `goldenTolerance`), `min`, `max`.",
    ),
    option(
        "goldenTolerance",
        OptionKind::Text,
        "0.000001",
        "0.001",
        "How far a score may be from the `score` of a golden row.",
    ),
    option(
        "canary",
        OptionKind::Text,
        "",
        "models/fraud-9.onnx",
        "A second model, file or folder, that scores a share of the records instead.",
    ),
    option(
        "canaryShare",
        OptionKind::Text,
        "",
        "5%",
        "The share of the keys that the canary scores, such as '5%'. With `canary`.",
    ),
    option(
        "canaryKey",
        OptionKind::Text,
        "",
        "card",
        "The column by whose xxhash64 a record goes to the canary or not. It must be in sight where `predict` is called. With `canary`.",
    ),
    option(
        "shadow",
        OptionKind::Text,
        "",
        "models/fraud-10.onnx",
        "A third model, file or folder, that scores every record too; its answers are only recorded, in metrics or by `predict_shadow`.",
    ),
];

/// The options with their types.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ModelOptions {
    pub(crate) path: PathBuf,
    pub(crate) positional: bool,
    pub(crate) output: Option<String>,
    pub(crate) output_place: Option<usize>,
    pub(crate) golden: Option<PathBuf>,
    pub(crate) tolerance: f64,
    pub(crate) canary: Option<Canary>,
    pub(crate) shadow: Option<PathBuf>,
}

/// The model of a share of the records.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Canary {
    pub(crate) path: PathBuf,
    /// Of 10,000 keys.
    pub(crate) share: u64,
    /// The column whose hash decides.
    pub(crate) key: String,
}

impl ModelOptions {
    /// Checks what was written.
    ///
    /// # Errors
    /// For the first that is wrong, at its place.
    pub(crate) fn read(options: &Options, at: Location) -> Result<Self, JobError> {
        options.verify("onnx", OPTIONS)?;
        let text = |name: &str| options.get(name).map(str::to_owned);
        let path = |name: &str| match options.get(name).map(Located::here) {
            None => Ok(None),
            Some(Ok(path)) => Ok(Some(PathBuf::from(path))),
            Some(Err(why)) => Err(JobError::new(options.at(name, at), why)),
        };
        let Some(file) = path("path")?.filter(|file| !file.as_os_str().is_empty()) else {
            return Err(JobError::new(at, "a model needs the option path")
                .help("write OPTIONS (path 'models/fraud.onnx')"));
        };
        let wrong = |name: &str, what: &str| {
            JobError::new(options.at(name, at), format!("option `{name}` {what}"))
        };
        let tolerance = match options.get("goldenTolerance") {
            None => 1e-6,
            Some(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|tolerance: &f64| *tolerance >= 0.0)
                .ok_or_else(|| wrong("goldenTolerance", "takes a number such as '0.001'"))?,
        };
        let canary = match (path("canary")?, text("canaryShare"), text("canaryKey")) {
            (Some(path), Some(text), Some(key)) => Some(Canary {
                path,
                share: share(&text)
                    .ok_or_else(|| wrong("canaryShare", "takes a share such as '5%' or '0.5 %'"))?,
                key,
            }),
            (Some(_), None, _) => {
                return Err(wrong("canary", "needs canaryShare")
                    .help("write canaryShare '5%', the share of the keys that it scores"));
            }
            (Some(_), _, None) => {
                return Err(wrong("canary", "needs canaryKey").help(
                    "write canaryKey 'card': the column whose hash decides which model scores a record",
                ));
            }
            (None, None, None) => None,
            (None, share, _) => {
                let name = if share.is_some() {
                    "canaryShare"
                } else {
                    "canaryKey"
                };
                return Err(wrong(name, "has no effect without canary"));
            }
        };
        let place = options.whole("outputPlace");
        Ok(Self {
            path: file,
            positional: options.flag("positional", false),
            output: text("output"),
            output_place: place.and_then(|place| usize::try_from(place).ok()),
            golden: path("golden")?,
            tolerance,
            canary,
            shadow: path("shadow")?,
        })
    }
}

/// `5%` as 500 of 10,000.
fn share(text: &str) -> Option<u64> {
    let percent: f64 = text.trim().strip_suffix('%')?.trim().parse().ok()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (percent > 0.0 && percent <= 100.0).then(|| (percent * 100.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    fn read(given: &[(&str, &str)]) -> Result<ModelOptions, JobError> {
        let table = given
            .iter()
            .fold(Table::using("m", "onnx"), |table, (name, value)| {
                table.option(*name, *value)
            });
        ModelOptions::read(&table.options, Location { line: 1, column: 1 })
    }

    #[test]
    fn an_unknown_option_is_refused_with_the_nearest_name() {
        let error = read(&[("path", "a.onnx"), ("canari", "b.onnx")]).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `canary`?"));
    }

    #[test]
    fn a_canary_needs_its_share_and_its_key() {
        let options = [
            ("path", "a.onnx"),
            ("canary", "b.onnx"),
            ("canaryShare", "2.5 %"),
            ("canaryKey", "card"),
        ];
        assert_eq!(read(&options).unwrap().canary.unwrap().share, 250);
        assert!(
            read(&options[..3])
                .unwrap_err()
                .message
                .contains("canaryKey")
        );
        assert!(
            read(&options[..2])
                .unwrap_err()
                .message
                .contains("canaryShare")
        );
        assert!(read(&[("path", "a"), ("canaryShare", "5%")]).is_err());
        for wrong in ["5", "0%", "101 %", "some"] {
            assert_eq!(share(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_model_needs_a_path() {
        assert!(read(&[]).unwrap_err().message.contains("path"));
    }
}
