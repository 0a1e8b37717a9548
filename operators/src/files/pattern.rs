//! Patterns of paths as Hadoop reads them: `*`, `?`, `[a-c]`, `[^a]`, `{a,b}`; none of them crosses a `/`.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::objects::Located;

/// Where a table reads: a folder without patterns, and below it a pattern for each level.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// What stands before the first pattern: the folder or file itself where there is none.
    pub(crate) base: PathBuf,
    /// One for each name below the base.
    pub(crate) levels: Vec<GlobMatcher>,
    /// As it was written.
    pub(crate) text: String,
}

impl Pattern {
    /// Takes a path of this machine apart.
    ///
    /// # Errors
    /// When it is none, and when a bracket or brace has no end.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::of(Located::here(text)?, text)
    }

    /// Takes a path apart that was written as `text`.
    ///
    /// # Errors
    /// When a bracket or brace has no end.
    pub(crate) fn of(plain: &str, text: &str) -> Result<Self, String> {
        let (mut base, mut levels) = (PathBuf::new(), Vec::new());
        for part in parts(plain) {
            if levels.is_empty() && !part.contains(['*', '?', '[', '{', '\\']) {
                base.push(part);
            } else {
                levels.push(names(part)?);
            }
        }
        if plain.starts_with('/') {
            base = Path::new("/").join(base);
        } else if base.as_os_str().is_empty() {
            base.push(".");
        }
        Ok(Self {
            base,
            levels,
            text: text.to_owned(),
        })
    }

    /// Whether files of this folder, or below it, may be files of the table.
    pub(crate) fn reads_below(&self, folder: &Path) -> bool {
        let absolute = |path: &Path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let mut plain = PathBuf::new();
            for part in path.components() {
                match part {
                    Component::ParentDir => drop(plain.pop()),
                    part => plain.push(part),
                }
            }
            plain
        };
        let (folder, base) = (absolute(folder), absolute(&self.base));
        // A file that is moved keeps its whole path below the folder.
        let moved = folder.join(base.strip_prefix("/").unwrap_or(&base));
        let Ok(below) = moved.strip_prefix(&base) else {
            return false;
        };
        below
            .components()
            .zip(&self.levels)
            .all(|(part, level)| level.is_match(part.as_os_str()))
    }
}

/// The names of a path; a `/` in braces divides no names, and is refused by [`names`].
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|part| !part.is_empty())
}

/// A pattern for one name.
///
/// # Errors
/// When it is none.
pub(crate) fn names(text: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{text}` is no pattern of names: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_folder_and_patterns_below_it() {
        let plain = Pattern::parse("/data/in/").unwrap();
        assert_eq!(
            (plain.base.to_str(), plain.levels.len()),
            (Some("/data/in"), 0)
        );
        let glob = Pattern::parse("in/2026-*/part-[0-3].{json,txt}").unwrap();
        assert_eq!((glob.base.to_str(), glob.levels.len()), (Some("in"), 2));
        assert!(glob.levels[1].is_match("part-2.json"));
        assert!(!glob.levels[1].is_match("part-7.json"));
        assert!(!glob.levels[1].is_match("part-2.csv"));
        assert!(Pattern::parse("in/[a").unwrap_err().contains("`[a`"));
    }

    #[test]
    fn an_archive_inside_the_folder_is_noticed() {
        let reads = |pattern: &str, folder: &str| {
            Pattern::parse(pattern)
                .unwrap()
                .reads_below(Path::new(folder))
        };
        assert!(reads("in", "in/archive"));
        assert!(reads("in/*", "in/archive"));
        assert!(reads("in", "other/../in"));
        assert!(!reads("in", "archive"));
        assert!(!reads("in/day=*", "in/archive"));
    }
}
