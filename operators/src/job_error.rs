//! Errors of a job file: where, what was expected, and the nearest known name.

use std::fmt;

use crate::secrets;

/// A place in the job file; line and column count from 1, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line, from 1; 0 where the text did not come from a file (`--set`).
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// An error that the author of the job can mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// Where.
    pub at: Location,
    /// What is wrong and what was expected. Never holds the value of a `${...}`.
    pub message: String,
    /// What to write instead, where it can be guessed.
    pub help: Option<String>,
}

impl JobError {
    /// An error at a place.
    pub fn new(at: Location, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            help: None,
        }
    }

    /// The same error with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error with the nearest of the known names as advice, if one is near enough and it has no advice yet.
    #[must_use]
    pub fn nearest<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.or_help(nearest(given, known).map(|name| format!("did you mean `{name}`?")))
    }

    /// The same error with this advice, where it has none yet.
    #[must_use]
    pub(crate) fn or_help(mut self, help: Option<impl Into<String>>) -> Self {
        if self.help.is_none() {
            self.help = help.map(Into::into);
        }
        self
    }

    /// The error as it is shown: `file:line:column: message`, the line with a caret and without its secrets, the advice.
    pub fn render(&self, file: &str, text: &str) -> String {
        let mut out = if self.at.line == 0 {
            format!("{file}: {}", self.message)
        } else {
            format!(
                "{file}:{}:{}: {}",
                self.at.line, self.at.column, self.message
            )
        };
        if let Some(line) = (self.at.line as usize)
            .checked_sub(1)
            .and_then(|index| text.lines().nth(index))
        {
            let gutter = self.at.line.to_string();
            let blank = " ".repeat(gutter.len());
            // Tabs stay tabs, so that the caret stands under its character however wide a tab is shown.
            let (line, before) = secrets::hide(line, self.at.column.saturating_sub(1) as usize);
            let lead: String = line
                .chars()
                .take(before)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            out.push_str(&format!(
                "\n{blank} |\n{gutter} | {line}\n{blank} | {lead}^"
            ));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("\n  help: {help}"));
        }
        out
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JobError {}

/// The known name nearest to what was given: case-insensitive edit distance (Levenshtein with transpositions), at most a
/// third of its length.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let limit = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&given, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Optimal string alignment distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let swap = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let error = JobError::new(Location { line: 2, column: 8 }, "unknown column `totl`")
            .nearest("totl", ["BillNo", "total"]);
        assert_eq!(
            error.render("a.sql", "-- x\nSELECT totl FROM t"),
            "a.sql:2:8: unknown column `totl`\n  |\n2 | SELECT totl FROM t\n  |        ^\n  help: did you mean `total`?"
        );
    }

    #[test]
    fn a_far_name_is_not_proposed() {
        assert_eq!(nearest("subscribe", ["topic", "assign"]), None);
        assert_eq!(
            nearest("subscirbe", ["subscribe", "assign"]),
            Some("subscribe")
        );
    }
}
