//! The log in which a stream of Spark names the files of its folder, batch by batch: `_spark_metadata`. What lies in the folder
//! and is not named there was left by an attempt that failed, and no reader of Spark sees it.

use std::collections::HashSet;
use std::io;

use super::listing::{Found, Visitor};
use super::uri::unescaped;

/// The folder of the log.
pub(crate) const LOG: &str = "_spark_metadata";

/// A line of the log.
#[derive(serde::Deserialize)]
struct Entry {
    path: String,
    action: String,
}

/// The names of the files that count. A name is of one attempt alone, so that the folder may have been moved, or be reached in
/// another way than the paths in the log say.
pub(crate) struct Named(HashSet<String>);

impl Named {
    /// Reads the log, whose files have these names.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub(crate) fn read(
        names: &[String],
        content: impl Fn(&str) -> io::Result<Vec<u8>>,
    ) -> io::Result<Self> {
        let mut batches: Vec<(u64, bool, &str)> = names
            .iter()
            .filter_map(|name| {
                let number = name.strip_suffix(".compact");
                let batch = number.unwrap_or(name).parse().ok()?;
                Some((batch, number.is_some(), name.as_str()))
            })
            .collect();
        batches.sort_unstable();
        // One that is compact holds what all before it said.
        let whole = batches.iter().rposition(|(_, compact, _)| *compact);
        let mut named = HashSet::new();
        for (.., name) in batches.iter().skip(whole.unwrap_or(0)) {
            let wrong = |why: &str| {
                let text = format!("{LOG}/{name}, by which Spark knows the files there, {why}");
                io::Error::new(io::ErrorKind::InvalidData, text)
            };
            let text = String::from_utf8(content(name)?);
            let text = text.map_err(|_| wrong("is no text"))?;
            let mut lines = text.lines();
            if lines.next() != Some("v1") {
                return Err(wrong(
                    "is not of its version v1, the only one that is known here",
                ));
            }
            for line in lines.filter(|line| !line.is_empty()) {
                let entry: Entry = serde_json::from_str(line)
                    .map_err(|error| wrong(&format!("has a line that is no entry: {error}")))?;
                let name = unescaped(name_of(&entry.path));
                match entry.action.as_str() {
                    "add" => named.insert(name),
                    "delete" => named.remove(&name),
                    _ => return Err(wrong("says of a file neither `add` nor `delete`")),
                };
            }
        }
        Ok(Self(named))
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Shows a visitor the files alone that count.
pub(super) struct OfLog<'v> {
    pub(super) named: Named,
    pub(super) visitor: &'v mut dyn Visitor,
}

impl Visitor for OfLog<'_> {
    fn skips(&mut self, path: &str) -> bool {
        !self.named.0.contains(name_of(path)) || self.visitor.skips(path)
    }

    fn visit(&mut self, found: Found) {
        self.visitor.visit(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in a log of these files, in order.
    fn named(files: &[(&str, &str)]) -> io::Result<Vec<String>> {
        let names: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        let content = |name: &str| {
            let found = files.iter().find(|(other, _)| *other == name);
            Ok(found.unwrap().1.as_bytes().to_vec())
        };
        let mut named: Vec<_> = Named::read(&names, content)?.0.into_iter().collect();
        named.sort();
        Ok(named)
    }

    fn line(name: &str, action: &str) -> String {
        format!("\n{{\"path\":\"file:///out/{name}\",\"size\":1,\"action\":\"{action}\"}}")
    }

    #[test]
    fn the_newest_compact_batch_and_those_behind_it_say_what_counts() {
        let batch = |lines: &[String]| format!("v1{}", lines.concat());
        let (old, nine) = (
            batch(&[line("gone", "add")]),
            batch(&[line("a", "add"), line("b%20b", "add")]),
        );
        let (ten, eleven) = (batch(&[line("c", "add")]), batch(&[line("a", "delete")]));
        let files = [
            ("11", eleven.as_str()),
            ("9.compact", &nine),
            ("8", &old),
            (".8.crc", "\u{1}"),
            ("10", &ten),
            (".12.0815.tmp", "v1"),
        ];
        assert_eq!(named(&files).unwrap(), ["b b", "c"]);
        assert_eq!(named(&[]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_log_of_another_version_is_refused_and_not_guessed_at() {
        for (text, said) in [
            (
                "v2\n{}",
                "0, by which Spark knows the files there, is not of its version v1",
            ),
            ("v1\n{", "a line that is no entry"),
            (
                "v1\n{\"path\":\"a\",\"action\":\"move\"}",
                "neither `add` nor `delete`",
            ),
        ] {
            let error = named(&[("0", text)]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
