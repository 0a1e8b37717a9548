//! Tokens: who may look and who may change something, from a file that is read again when it changes.

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// A token has at least so many letters: what is shorter can be tried out.
const LETTERS_MIN: usize = 16;

/// A file of tokens is no longer than this.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A secret and whose it is.
struct Token {
    name: String,
    secret: String,
}

/// When a file was written, and which it is: a mounted Secret is another file after a change.
type Stamp = (i64, i64, i64, i64, u64, u64);

/// What was read last.
struct Read {
    stamp: Option<Stamp>,
    tokens: Result<Vec<Token>, String>,
}

/// The tokens of a file.
pub(super) struct Tokens {
    path: PathBuf,
    read: Mutex<Read>,
}

impl Tokens {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// When the file cannot be read or holds none.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let read = Read::now(path);
        match &read.tokens {
            Ok(_) => Ok(Self {
                path: path.to_owned(),
                read: Mutex::new(read),
            }),
            Err(why) => Err(why.clone()),
        }
    }

    /// Whose token this is; None when nobody's.
    ///
    /// # Errors
    /// When the file has changed and cannot be used any more: then no token is known.
    pub(super) fn owner(&self, given: &str) -> Result<Option<String>, String> {
        let mut read = self.read.lock();
        if stamp(&self.path) != read.stamp || read.stamp.is_none() {
            *read = Read::now(&self.path);
            match &read.tokens {
                Ok(_) => tracing::info!("the tokens in {} were read again", self.path.display()),
                Err(why) => tracing::error!(why, "no token is taken any more"),
            }
        }
        let tokens = read.tokens.as_ref().map_err(Clone::clone)?;
        // All are compared, so that the time does not say which was right.
        let mut owner = None;
        for token in tokens {
            if same(token.secret.as_bytes(), given.as_bytes()) {
                owner = Some(token.name.clone());
            }
        }
        Ok(owner)
    }
}

impl Read {
    fn now(path: &Path) -> Self {
        let stamp = stamp(path);
        Self {
            stamp,
            tokens: read(path),
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let known = fs::metadata(path).ok()?;
    Some((
        known.mtime(),
        known.mtime_nsec(),
        known.ctime(),
        known.ctime_nsec(),
        known.ino(),
        known.len(),
    ))
}

fn read(path: &Path) -> Result<Vec<Token>, String> {
    let shown = path.display();
    let unread = |error: std::io::Error| format!("the token file {shown} cannot be read: {error}");
    if fs::metadata(path).map_err(unread)?.len() > FILE_BYTES_MAX {
        return Err(format!("the token file {shown} is longer than 64 KiB"));
    }
    let text = fs::read_to_string(path).map_err(unread)?;
    parse(&text).map_err(|why| format!("the token file {shown} cannot be used: {why}"))
}

/// The first token of a file, for a command that asks a job.
///
/// # Errors
/// When the file cannot be read or holds none.
pub(crate) fn first(path: &Path) -> Result<String, String> {
    let mut tokens = read(path)?;
    Ok(tokens.swap_remove(0).secret)
}

/// A token a line, before it perhaps a name; at least one. No message quotes what stands there.
fn parse(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, secret) = match line.split_once([' ', '\t']) {
            Some((name, secret)) => (name, secret.trim()),
            None => ("token", line),
        };
        let number = number + 1;
        if secret.len() < LETTERS_MIN {
            return Err(format!(
                "the token in line {number} has less than {LETTERS_MIN} letters; `openssl rand -hex 24` makes a good one"
            ));
        }
        if !secret.bytes().all(|letter| letter.is_ascii_graphic()) {
            return Err(format!(
                "line {number} is no token: write TOKEN or NAME TOKEN, of plain letters"
            ));
        }
        tokens.push(Token {
            name: name.to_owned(),
            secret: secret.to_owned(),
        });
    }
    if tokens.is_empty() {
        return Err("it holds no token: write one a line, TOKEN or NAME TOKEN".to_owned());
    }
    Ok(tokens)
}

/// Compares in a time that depends on the lengths only.
fn same(known: &[u8], given: &[u8]) -> bool {
    if known.len() != given.len() {
        return false;
    }
    let differing = known
        .iter()
        .zip(given)
        .fold(0_u8, |differing, (a, b)| black_box(differing | (a ^ b)));
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_tokens_with_and_without_names() {
        let tokens = parse("# ours\n\n0123456789abcdef\nanna  fedcba9876543210\n").unwrap();
        let read: Vec<_> = tokens.iter().map(|t| (&*t.name, &*t.secret)).collect();
        assert_eq!(
            read,
            [("token", "0123456789abcdef"), ("anna", "fedcba9876543210")]
        );
    }

    #[test]
    fn what_is_wrong_in_it_is_said_without_the_secret() {
        for (text, why) in [
            ("", "holds no token"),
            ("# only this\n", "holds no token"),
            ("short-one\n", "line 1 has less than 16"),
            ("\nanna short\n", "line 2 has less than 16"),
            ("anna with two parts of it", "line 1 is no token"),
            ("ümlaut-0123456789abcdef", "line 1 is no token"),
        ] {
            let said = parse(text).err().unwrap();
            assert!(said.contains(why), "{said}");
            assert!(!said.contains("short") && !said.contains("parts"), "{said}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(Tokens::open(&path).is_err());
        fs::write(&path, "0123456789abcdef").unwrap();
        let tokens = Tokens::open(&path).unwrap();
        assert_eq!(tokens.owner("0123456789abcdef"), Ok(Some("token".into())));
        assert_eq!(tokens.owner("0123456789abcdeX"), Ok(None));
        assert_eq!(tokens.owner(""), Ok(None));
        fs::write(&path, "anna a-longer-one-than-before").unwrap();
        assert_eq!(tokens.owner("0123456789abcdef"), Ok(None));
        let anna = Ok(Some("anna".to_owned()));
        assert_eq!(tokens.owner("a-longer-one-than-before"), anna);
        fs::remove_file(&path).unwrap();
        assert!(tokens.owner("a-longer-one-than-before").is_err());
        fs::write(&path, "anna a-longer-one-than-before").unwrap();
        assert_eq!(tokens.owner("a-longer-one-than-before"), anna);
    }
}
