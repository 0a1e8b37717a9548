//! Which option holds a secret, and a line of a job file without its secrets.

use crate::job_error::nearest;

/// What the name of such an option has in it.
const NAMED: [&str; 9] = [
    "password",
    "account.key",
    "secret",
    "jaas",
    "token",
    "credential",
    "key.pem",
    "oauthbearer",
    "user.info",
];

/// Words that a secret's name, or a value that holds one, is made of: also when they are misspelt.
const WORDS: [&str; 9] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "jaas",
    "token",
    "credential",
    "credentials",
    "authorization",
];

/// What stands in place of a secret.
pub(crate) const HIDDEN: &str = "******";

/// Whether an option of this name may hold one.
pub(crate) fn named(option: &str) -> bool {
    let option = option.to_ascii_lowercase();
    NAMED.iter().any(|word| option.contains(word))
}

/// Whether a name may be meant for one of a secret, however it is spelt.
pub(crate) fn meant(name: &str) -> bool {
    named(name)
        || name
            .split(|c: char| !c.is_alphanumeric())
            .flat_map(humps)
            .any(|part| nearest(part, WORDS).is_some())
}

/// The words of `awsSecretKey`.
fn humps(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let mut small = false;
        let end = rest.find(|c: char| {
            let begins = small && c.is_uppercase();
            small = c.is_lowercase();
            begins
        });
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        Some(word).filter(|word| !word.is_empty())
    })
}

/// Whether a value tells by itself that it holds one: a login in an address, `password=...` in a text.
fn tells(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let address = value.split_once("://");
    address.is_some_and(|(_, rest)| rest.contains(['@', '?']))
        || (value.contains(['=', ':']) && WORDS.iter().any(|word| value.contains(word)))
}

/// A line of a job file as a message may show it, and how many characters stand before what was at `column` (from 0).
///
/// The line may be wrong in any way, so nothing is asked of it: what is in quotes behind such a name is hidden, also where
/// the quotes do not match.
pub(crate) fn hide(line: &str, column: usize) -> (String, usize) {
    let mut shown = String::with_capacity(line.len());
    let mut before = column;
    let mut name = String::new();
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let quoted = matches!(first, '\'' | '"' | '`');
        let end = if quoted {
            closing(&chars, at)
        } else if in_word(first) {
            at + chars[at..].iter().take_while(|c| in_word(**c)).count()
        } else {
            at + 1
        };
        let text: String = chars[at..end].iter().collect();
        // Between a name and its value stands nothing, or `=`.
        let hidden = if first == '\'' || first == '"' {
            meant(&name) || tells(&text)
        } else {
            in_word(first) && name.contains('.') && meant(&name)
        };
        if hidden {
            // What touches the closing quote is a part of it: a quote in the secret that was not doubled.
            let end = if quoted { touching(&chars, end) } else { end };
            let kept = shown.chars().count();
            shown.push_str(HIDDEN);
            if column >= at {
                let behind = column.checked_sub(end);
                before = behind.map_or(kept, |behind| shown.chars().count() + behind);
            }
            at = end;
            continue;
        }
        shown.push_str(&text);
        if quoted || in_word(first) {
            name = text.trim_matches(['\'', '"', '`']).to_owned();
        } else if !first.is_whitespace() && first != '=' && first != ':' {
            name.clear();
        }
        if column >= at {
            before = shown.chars().count() - (end - at) + (column - at);
        }
        at = end;
    }
    (shown, before)
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || "._-".contains(c)
}

/// Behind the closing quote of the text that begins here, or the end of the line.
fn closing(chars: &[char], begin: usize) -> usize {
    let quote = chars[begin];
    let mut at = begin + 1;
    while let Some(&c) = chars.get(at) {
        if c == '\\' {
            at += 2;
        } else if c != quote {
            at += 1;
        } else if chars.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    chars.len()
}

/// Behind what stands right after a closing quote.
fn touching(chars: &[char], end: usize) -> usize {
    let apart = |c: &char| c.is_whitespace() || ",;)".contains(*c);
    match chars.get(end) {
        Some(next) if !apart(next) => {
            let rest = &chars[end..];
            // Up to the next quote, which closes it; without one as far as the word goes.
            let closed = rest.iter().position(|c| *c == chars[end.saturating_sub(1)]);
            end + closed.map_or_else(
                || rest.iter().take_while(|c| !apart(c)).count(),
                |quote| quote + 1,
            )
        }
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        hide(line, 0).0
    }

    #[test]
    fn what_stands_behind_the_name_of_a_secret_is_hidden_however_it_is_written() {
        for line in [
            "kafka.sasl.password 'hunter2', topic 'out')",
            "kafka.sasl.password = 'hunter2'",
            "'kafka.sasl.password' \"hunter2\"",
            "kafka.sasl.pasword 'hunter2')",
            "kafka.sasl.passwd 'hunter2')",
            "awsSecrtKey 'hunter2', region 'a')",
            "kafka.sasl.password hunter2)",
            "kafka.sasl.password 'x' 'hunter2', topic 'out'",
            "kafka.sasl.password 'hunter2",
            "kafka.sasl.password 'it''s hunter2')",
            "kafka.sasl.password 'it's-hunter2')",
            "kafka.sasl.jaas.config 'x required username=\"me\" password=\"hunter2\";'",
            "kafka.sasl.jass.konfig 'x required username=\"me\" password=\"hunter2\";'",
            "fs.s3a.secret.key 'hunter2'",
            "url 'https://me:hunter2@example.org/in'",
            "url 'https://example.org/in?key=hunter2'",
            "headers 'Authorization: Bearer hunter2'",
            "SET checkpointOptions = 'fs.s3a.secret.key=hunter2';",
        ] {
            let shown = shown(line);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains(HIDDEN), "{shown}");
        }
    }

    #[test]
    fn everything_else_is_shown_as_it_is() {
        for line in [
            "CREATE TABLE t (token STRNG, key STRING) USING kafak OPTIONS (",
            "  kafka.bootstrap.servers 'a:1,b:2', subscribe 'invoices', startingOffsets 'earlyest', key 'BillNo');",
            "SELECT 'a''b' AS x, \"c\" FROM `d e` WHERE token = 5",
            "topic 'out', url 'https://example.org:8080/in'",
            "-- it's",
            "",
        ] {
            assert_eq!(shown(line), line);
        }
    }

    #[test]
    fn the_caret_moves_with_what_is_hidden_before_it() {
        let line = "password 'a long secret', tpic 'out'";
        let column = line.find("tpic").unwrap();
        let (shown, before) = hide(line, column);
        assert_eq!(&shown[before..], "tpic 'out'");
        let (shown, before) = hide(line, line.find("long").unwrap());
        assert_eq!(&shown[before..], "******, tpic 'out'");
        assert_eq!(hide(line, 4).1, 4);
        assert_eq!(hide("a 'b'", 5).1, 5);
    }
}
