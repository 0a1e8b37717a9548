//! `${NAME}`, `${NAME:-default}` and `${file:/path}` inside quoted strings.
//!
//! What was put in never shows: [`Substituter::redact`] takes it out of every text that the user, a log or a page gets.

use std::cell::RefCell;
use std::io::Read;

use crate::job_error::{JobError, Location};

/// Longest file that `${file:...}` reads, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What to do with a name that has neither a value nor a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// An error that names it.
    Refuse,
    /// The text stays as it is written: for a check that connects to nothing.
    Keep,
}

/// A string after substitution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Substituted {
    /// The text with everything put in.
    pub(crate) text: String,
    /// Whether anything was.
    pub(crate) changed: bool,
    /// A name that had no value and was kept.
    pub(crate) unresolved: Option<String>,
}

/// Puts values in and remembers them, so that they can be hidden.
pub(crate) struct Substituter<'e> {
    environment: &'e dyn Fn(&str) -> Option<String>,
    hidden: RefCell<Vec<(String, String)>>,
}

impl<'e> Substituter<'e> {
    pub(crate) fn new(environment: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            environment,
            hidden: RefCell::new(Vec::new()),
        }
    }

    /// Replaces every `${...}` of a string. `${` before anything but a name or `file:` is plain text.
    pub(crate) fn apply(
        &self,
        text: &str,
        at: Location,
        missing: Missing,
    ) -> Result<Substituted, JobError> {
        let mut out = Substituted {
            text: String::with_capacity(text.len()),
            changed: false,
            unresolved: None,
        };
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let body = &rest[start + 2..];
            let is_file = body.starts_with("file:");
            if !is_file && !body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                out.text.push_str(&rest[..start + 2]);
                rest = body;
                continue;
            }
            out.text.push_str(&rest[..start]);
            let Some(end) = body.find('}') else {
                return Err(JobError::new(at, "`${` without its `}`")
                    .help("write ${NAME} or ${NAME:-default}"));
            };
            let name = &body[..end];
            let shown = format!(
                "${{{}}}",
                name.split_once(":-").map_or(name, |(name, _)| name)
            );
            let value = if let Some(path) = name.strip_prefix("file:") {
                read(path).map_err(|reason| {
                    JobError::new(at, format!("{shown} cannot be read: {reason}"))
                        .help("the path is that of a file with the value alone in it")
                })
            } else {
                self.variable(name, at)?
            };
            match (value, missing) {
                (Ok(value), _) => {
                    out.text.push_str(&value);
                    out.changed = true;
                    if !value.is_empty() {
                        self.hidden.borrow_mut().push((value, shown));
                    }
                }
                (Err(_), Missing::Keep) => {
                    out.text.push_str(&rest[start..start + 2 + end + 1]);
                    out.changed = true;
                    out.unresolved = Some(shown);
                }
                (Err(error), Missing::Refuse) => return Err(error),
            }
            rest = &body[end + 1..];
        }
        out.text.push_str(rest);
        Ok(out)
    }

    /// The outer error is of the writing, the inner one of a name without a value.
    fn variable(&self, written: &str, at: Location) -> Result<Result<String, JobError>, JobError> {
        let (name, default) = match written.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (written, None),
        };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(JobError::new(at, format!("`${{{name}}}` is not a name"))
                .help("write ${NAME}, ${NAME:-default} or ${file:/path}; a name has letters, digits and _"));
        }
        Ok((self.environment)(name)
            .or_else(|| default.map(str::to_owned))
            .ok_or_else(|| {
                JobError::new(at, format!("${{{name}}} has no value and no default")).help(format!(
                    "set the environment variable {name}, or write ${{{name}:-default}}; where the characters themselves are meant, two strings side by side, which are one: '$' '{{{name}}}'"
                ))
            }))
    }

    /// What was put in so far, and how it is shown instead.
    pub(crate) fn hidden(&self) -> Vec<(String, String)> {
        self.hidden.borrow().clone()
    }

    /// Takes substituted values out of an error.
    pub(crate) fn redact(&self, mut error: JobError) -> JobError {
        error.message = self.hide(&error.message);
        error.help = error.help.map(|help| self.hide(&help));
        error
    }

    /// Takes substituted values out of a text: long ones wherever they stand, short ones where they stand as a literal.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, shown) in self.hidden.borrow().iter() {
            if value.chars().count() >= 4 {
                text = text.replace(value, shown);
            } else {
                for quote in ['\'', '`', '"'] {
                    text = text.replace(
                        &format!("{quote}{value}{quote}"),
                        &format!("{quote}{shown}{quote}"),
                    );
                }
            }
        }
        text
    }
}

fn read(path: &str) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    // Editors and `echo` end a file with a newline that is not part of the secret.
    let kept = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(kept);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Location = Location { line: 3, column: 7 };

    fn environment(name: &str) -> Option<String> {
        match name {
            "KAFKA" => Some("broker-7.example:9092".to_owned()),
            "STORE" => Some("12".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_name_is_replaced_and_its_default_used_only_when_it_has_no_value() {
        let substituter = Substituter::new(&environment);
        let apply = |text| substituter.apply(text, AT, Missing::Refuse).unwrap().text;
        assert_eq!(apply("${KAFKA}"), "broker-7.example:9092");
        assert_eq!(apply("${KAFKA:-localhost:9092}"), "broker-7.example:9092");
        assert_eq!(apply("a ${NONE:-b} c"), "a b c");
        assert_eq!(apply("${NONE:-}"), "");
    }

    #[test]
    fn a_dollar_and_brace_of_a_regular_expression_stays() {
        let substituter = Substituter::new(&environment);
        let kept = substituter.apply("^a${2}$", AT, Missing::Refuse).unwrap();
        assert_eq!((kept.text.as_str(), kept.changed), ("^a${2}$", false));
    }

    #[test]
    fn a_missing_name_is_an_error_that_names_it() {
        let error = Substituter::new(&environment)
            .apply("${PASSWRD}", AT, Missing::Refuse)
            .unwrap_err();
        assert_eq!(error.message, "${PASSWRD} has no value and no default");
        assert_eq!(error.at, AT);
    }

    #[test]
    fn a_check_without_a_connection_keeps_what_it_cannot_know() {
        let kept = Substituter::new(&environment)
            .apply("${PASSWRD}", AT, Missing::Keep)
            .unwrap();
        assert_eq!(kept.text, "${PASSWRD}");
        assert_eq!(kept.unresolved.as_deref(), Some("${PASSWRD}"));
    }

    #[test]
    fn a_secret_is_read_from_a_file_without_its_last_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "hunter2\n").unwrap();
        let text = Substituter::new(&environment)
            .apply(
                &format!("${{file:{}}}", path.display()),
                AT,
                Missing::Refuse,
            )
            .unwrap();
        assert_eq!(text.text, "hunter2");
    }

    #[test]
    fn what_was_put_in_never_shows() {
        let substituter = Substituter::new(&environment);
        substituter
            .apply("${KAFKA} ${STORE}", AT, Missing::Refuse)
            .unwrap();
        assert_eq!(
            substituter.hide("cannot cast 'broker-7.example:9092' or '12' to INT at 12"),
            "cannot cast '${KAFKA}' or '${STORE}' to INT at 12"
        );
    }
}
