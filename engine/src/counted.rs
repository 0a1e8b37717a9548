//! How many of something, in words: `1 partition`, `3 partitions`.

use std::fmt::Display;

/// A number and the word behind it, which is given for one.
///
/// ```
/// use thalweg_engine::counted::counted;
///
/// assert_eq!(counted(1, "partition"), "1 partition");
/// assert_eq!(counted("1,204", "query"), "1,204 queries");
/// ```
pub fn counted(number: impl Display, one: &str) -> String {
    let number = number.to_string();
    if number == "1" {
        return format!("1 {one}");
    }
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {one}s"),
    }
}
