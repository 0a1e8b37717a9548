//! `sentences`: a text as sentences, each as its words. Where one ends is as Java has it, for every language alike.

use std::sync::{Arc, LazyLock};

use fancy_regex::Regex;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::Text;
use super::forms::{failed, string};
use super::java_regex::{captures, too_hard};
use super::{BindContext, Function, function};
use crate::expr::access::text;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "sentences",
    "sentences(text[, language[, country]])",
    "The sentences of a text, each as an array of its words, without what stands between them. Language and country change nothing.",
    "sentences('Hi there! Good morning.')",
    "[[Hi, there], [Good, morning]]",
    bind,
)];

fn bind(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text, Text, Text], 1)?;
    let nullable = args[0].nullable;
    let words = DataType::Array(Arc::new(DataType::String));
    cx.with_nulls(DataType::Array(Arc::new(words)), nullable, args, |v| {
        if v[0].is_null() {
            return Ok(Value::Null);
        }
        let mut rest = text(&v[0]);
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (sentence, after) = rest.split_at(end(rest)?);
            all.push(Value::Array(words_of(sentence)?.into()));
            rest = after;
        }
        Ok(Value::Array(all.into()))
    })
}

/// What the patterns are made of: names, and what each stands for, in terms of those before it.
const PARTS: &[(&str, &str)] = &[
    // Marks on a character change nothing.
    ("MARKS", r"[\p{Mn}\p{Me}\p{Cf}]*"),
    ("SPACE", r"(?:[\t\n\x0C\r\x{2028}\p{Zs}]MARKS)"),
    ("PARAGRAPH", r"\x{2029}"),
    ("DANDA", r"(?:[\x{964}\x{965}]MARKS)"),
    // What ends a sentence, what may end one, and what may stand behind that.
    ("STOP", r"(?:[!?\x{3002}\x{FF01}\x{FF1F}]MARKS)"),
    ("POINT", r"(?:[.\x{FF0E}]MARKS)"),
    ("CLOSING", r#"(?:[\p{Pe}\p{Pf}"']MARKS)"#),
    // What a sentence begins with: what may stand before its first letter, and what is no letter A to Z but begins one.
    ("OPENING", r#"(?:[\p{Ps}\p{Pi}"']MARKS)"#),
    (
        "OTHER",
        r#"[^\p{Ll}A-Z\p{N}\t\n\x0C\r\x{2028}\x{2029}\p{Zs}\p{Ps}\p{Pi}\p{Pe}\p{Pf}"'!?.\x{3002}\x{FF01}\x{FF1F}\x{FF0E}\p{Mn}\p{Me}\p{Cf}]"#,
    ),
    // Characters of the Japanese scripts stand together with their own kind.
    (
        "HAN",
        r"[\x{3005}\x{3400}-\x{4DB5}\x{4E00}-\x{9FA5}\x{F900}-\x{FA6A}]",
    ),
    ("KATAKANA", r"[\x{3099}-\x{309C}\x{30A1}-\x{30FE}]"),
    ("HIRAGANA", r"[\x{3041}-\x{309E}\x{30FC}]"),
    ("LETTER", r"(?:[[\p{L}\p{Mc}]--[HANKATAKANAHIRAGANA]]MARKS)"),
    ("DIGIT", r"(?:\p{N}MARKS)"),
    // Single signs within a word and within a number, before one, and behind one.
    (
        "WORD",
        r#"(?:LETTER+(?:[\p{Pd}\x{AD}\x{2027}"'.]MARKSLETTER+)*DANDA?)"#,
    ),
    ("NUMBER", r#"(?:DIGIT+(?:["',\x{66B}.]MARKSDIGIT+)*)"#),
    ("BEFORE", r"(?:[[\p{Sc}#.]--\x{A2}]MARKS)"),
    ("BEHIND", r"(?:[%&\x{A2}\x{66A}\x{2030}\x{2031}]MARKS)"),
    ("MIXED", r"(?:NUMBERWORD)*(?:NUMBERBEHIND?)?"),
];

/// A sentence ends behind its first group: at the end of a paragraph, behind a danda or a stop, and behind a point where
/// the next one begins.
static END: LazyLock<Result<Regex, String>> = LazyLock::new(|| {
    compiled(concat!(
        r"(PARAGRAPH|DANDASPACE*|STOP(?:STOP|POINT|CLOSING)*SPACE*PARAGRAPH?|POINT(?:POINT|CLOSING)*SPACE*PARAGRAPH)",
        r"|(POINT(?:POINT|CLOSING)*SPACE*)(?:OPENING*OTHER|OPENING+[A-Z])",
        r"|(POINT(?:POINT|CLOSING)*SPACE+)[A-Z]",
    ))
});

/// What stands together in a sentence: words and numbers without a space between, characters of one script; else each
/// character for itself.
static PIECE: LazyLock<Result<Regex, String>> = LazyLock::new(|| {
    compiled(
        r"WORDMIXED|(?:NUMBERWORD)+MIXED|NUMBERBEHIND?|BEFOREMIXED|HAN+|KATAKANA+|HIRAGANA+|(?s:.)MARKS",
    )
});

/// Java asks the first half of a character that takes two in UTF-16, which is no letter.
static BEGINS_WORD: LazyLock<Result<Regex, String>> =
    LazyLock::new(|| compiled(r"\A[[\p{L}\p{Nd}]&&[\x{0}-\x{FFFF}]]"));

fn compiled(pattern: &str) -> Result<Regex, String> {
    let whole = PARTS
        .iter()
        .rev()
        .fold(pattern.to_owned(), |all, (name, part)| {
            all.replace(name, part)
        });
    Regex::new(&whole).map_err(|error| error.to_string())
}

fn known(compiled: &LazyLock<Result<Regex, String>>) -> Result<&Regex, RecordError> {
    compiled.as_ref().map_err(|error| failed(error.as_str()))
}

/// Bytes of the first sentence.
fn end(text: &str) -> Result<usize, RecordError> {
    let groups = captures(known(&END)?, text, 0)?;
    let end = groups.and_then(|groups| groups.iter().skip(1).flatten().next().map(|g| g.end()));
    Ok(end.unwrap_or(text.len()))
}

/// The pieces that begin with a letter or a digit.
fn words_of(sentence: &str) -> Result<Vec<Value>, RecordError> {
    let begins_word = known(&BEGINS_WORD)?;
    let mut words = Vec::new();
    for piece in known(&PIECE)?.find_iter(sentence) {
        let piece = piece.map_err(too_hard)?.as_str();
        if begins_word.is_match(piece).map_err(too_hard)? {
            words.push(string(piece));
        }
    }
    Ok(words)
}
