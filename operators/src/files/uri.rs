//! Paths as Spark shows them, and the escapes in the names of folders.

use std::path::Path;

/// The URI of a path as Hadoop writes it, `file:/in/a.json`, with the characters escaped that Java escapes.
pub(crate) fn of_path(path: &str) -> String {
    // One of an object store has its scheme and is whole already.
    let (uri, path) = match path.split_once("://") {
        Some((scheme, path)) => (format!("{scheme}://"), path.to_owned()),
        None => {
            let absolute = std::path::absolute(Path::new(path));
            let absolute = absolute.map(|path| path.to_string_lossy().into_owned());
            (
                "file:".to_owned(),
                absolute.unwrap_or_else(|_| path.to_owned()),
            )
        }
    };
    uri + &escaped(&path)
}

/// A path or a name with the characters escaped that Java escapes: letters of all scripts stand as they are.
pub(crate) fn escaped(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for part in path.chars() {
        if part.is_control() || part.is_whitespace() || "\"#%<>?[\\]^`{|}".contains(part) {
            for byte in part.encode_utf8(&mut [0; 4]).bytes() {
                plain.push_str(&format!("%{byte:02X}"));
            }
        } else {
            plain.push(part);
        }
    }
    plain
}

/// A name of a URI with its escapes `%3A` undone, which are of bytes of UTF-8; in names of folders they are of characters
/// (`folder_values`).
pub(crate) fn unescaped(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%')
            .then(|| name.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        at += if code.is_some() { 3 } else { 1 };
        plain.push(code.unwrap_or(*byte));
    }
    String::from_utf8(plain).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names_are_escaped_as_java_and_hive_do() {
        assert_eq!(of_path("/in/a b%1.json"), "file:/in/a%20b%251.json");
        assert_eq!(of_path("s3://b/a b.json"), "s3://b/a%20b.json");
        // As Spark 4.3 answers for files of these names.
        let plain = "c!$&'()+,;=@~*äé€𝄞.csv";
        assert_eq!(escaped(plain), plain);
        assert_eq!(
            escaped("\"#%<>?[\\]^`{|}\t\u{7f}"),
            "%22%23%25%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%09%7F"
        );
        assert_eq!(escaped("\u{2028}\u{a0}"), "%E2%80%A8%C2%A0");
        assert_eq!(unescaped("10%3A30"), "10:30");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz"), "%zz");
    }
}
