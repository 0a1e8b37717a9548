//! Patterns of digits: `S$99,999.99PR`, what they read and what they write.

use crate::expr::text::append_decimal;

/// How a sign is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// `S`: `+` or `-`.
    Both,
    /// `MI`: `-`, or nothing.
    Minus,
}

/// Digits between two separators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    digits: usize,
    /// It begins with 0: so many digits, no fewer.
    exact: bool,
}

/// A pattern of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    before: Option<Sign>,
    dollar: bool,
    whole: Vec<Run>,
    point: bool,
    fraction: usize,
    after: Option<Sign>,
    /// `PR`: a negative number stands in `<` and `>`.
    brackets: bool,
}

impl Pattern {
    /// Reads a pattern; the error continues "the pattern ..".
    pub(super) fn parse(pattern: &str) -> Result<Self, &'static str> {
        let upper = pattern.to_ascii_uppercase();
        let mut rest = upper.as_str();
        let before = sign(&mut rest);
        let dollar = strip(&mut rest, "$");
        let mut whole = Vec::new();
        let run = digits(&mut rest);
        let leads = run.digits > 0;
        if leads {
            whole.push(run);
        }
        while leads && rest.starts_with([',', 'G']) {
            rest = &rest[1..];
            let run = digits(&mut rest);
            if run.digits == 0 {
                return Err("has a separator of thousands that no digits follow");
            }
            whole.push(run);
        }
        let point = strip(&mut rest, ".") || strip(&mut rest, "D");
        let fraction = if point { digits(&mut rest).digits } else { 0 };
        let brackets = strip(&mut rest, "PR");
        let after = if brackets { None } else { sign(&mut rest) };
        if !rest.is_empty() {
            return Err("is not [S or MI][$] digits [. digits] [S, MI or PR]");
        }
        if whole.is_empty() && fraction == 0 {
            return Err("has no digits");
        }
        if before.is_some() && before == after {
            return Err("has its sign twice");
        }
        Ok(Self {
            before,
            dollar,
            whole,
            point,
            fraction,
            after,
            brackets,
        })
    }

    /// How many digits it has, and how many of them after the point.
    pub(super) fn size(&self) -> (u8, u8) {
        let size = |digits: usize| u8::try_from(digits).unwrap_or(u8::MAX);
        (size(self.places() + self.fraction), size(self.fraction))
    }

    fn places(&self) -> usize {
        self.whole.iter().map(|run| run.digits).sum()
    }

    /// The unscaled number that a text of the pattern writes.
    pub(super) fn read(&self, text: &str) -> Option<i128> {
        let mut rest = text;
        let opened = self.brackets && strip(&mut rest, "<");
        let mut negative = self.before.is_some_and(|sign| sign.read(&mut rest));
        if self.dollar && !rest.is_empty() && !strip(&mut rest, "$") {
            return None;
        }
        let mut number = 0_i128;
        let mut read = 0;
        if !self.whole.is_empty() {
            read += groups(&mut rest, &self.whole, &mut number)?;
        }
        let point = self.point && strip(&mut rest, ".");
        let mut fraction = 0;
        if self.fraction > 0 && (point || self.whole.is_empty()) {
            let run = Run {
                digits: self.fraction,
                exact: false,
            };
            fraction = groups(&mut rest, &[run], &mut number)?;
        }
        if !point && fraction > 0 {
            return None;
        }
        negative ^= self.after.is_some_and(|sign| sign.read(&mut rest));
        let closed = opened && strip(&mut rest, ">");
        if !rest.is_empty() || opened != closed || read + fraction == 0 {
            return None;
        }
        for _ in fraction..self.fraction {
            number *= 10;
        }
        Some(if negative ^ closed { -number } else { number })
    }

    /// Writes a number; `#` for every digit where it has more of them than the pattern.
    pub(super) fn write(&self, unscaled: i128, scale: u8, out: &mut String) {
        let mut plain = String::new();
        append_decimal(&mut plain, unscaled, scale);
        let negative = unscaled < 0;
        let plain = plain.trim_start_matches('-');
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let places = self.places();
        let (whole, fraction) = if whole.len() > places || fraction.len() > self.fraction {
            ("#".repeat(places), "#".repeat(self.fraction))
        } else {
            let zeros = "0".repeat(self.fraction - fraction.len());
            (format!("{whole:>places$}"), format!("{fraction}{zeros}"))
        };
        if self.brackets && negative {
            out.push('<');
        }
        match self.before {
            Some(_) if negative => out.push('-'),
            Some(Sign::Both) => out.push('+'),
            Some(Sign::Minus) => out.push(' '),
            None => {}
        }
        if self.dollar {
            out.push('$');
        }
        self.write_whole(&whole, out);
        if self.point {
            if out.ends_with(' ') {
                out.pop();
                out.push('0');
            }
            out.push('.');
            out.push_str(&fraction);
        }
        self.finish(negative, out);
        lone_point(out);
        if out.is_empty() || out == "+" || out == "-" {
            "0".clone_into(out);
        }
    }

    fn write_whole(&self, digits: &str, out: &mut String) {
        let mut digits = digits.chars();
        for (place, run) in self.whole.iter().enumerate() {
            if place > 0 {
                match out.chars().last() {
                    Some(last) if last.is_ascii_digit() => out.push(','),
                    _ => space(out),
                }
            }
            for digit in digits.by_ref().take(run.digits) {
                match digit {
                    ' ' if run.exact => out.push('0'),
                    ' ' => space(out),
                    digit => out.push(digit),
                }
            }
        }
    }

    /// The sign behind the digits.
    fn finish(&self, negative: bool, out: &mut String) {
        if self.brackets {
            lone_point(out);
            if negative {
                behind(out, '>');
            } else {
                out.push_str("  ");
            }
        }
        match self.after {
            None => {}
            Some(Sign::Minus) if !negative => out.push(' '),
            Some(_) => {
                lone_point(out);
                behind(out, if negative { '-' } else { '+' });
            }
        }
    }
}

impl Sign {
    /// Takes a sign; whether it is a minus.
    fn read(self, rest: &mut &str) -> bool {
        if self == Self::Both && strip(rest, "+") {
            return false;
        }
        strip(rest, "-")
    }
}

fn strip(rest: &mut &str, what: &str) -> bool {
    match rest.strip_prefix(what) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn sign(rest: &mut &str) -> Option<Sign> {
    if strip(rest, "S") {
        Some(Sign::Both)
    } else if strip(rest, "MI") {
        Some(Sign::Minus)
    } else {
        None
    }
}

fn digits(rest: &mut &str) -> Run {
    let after = rest.trim_start_matches(['0', '9']);
    let run = Run {
        digits: rest.len() - after.len(),
        exact: rest.starts_with('0'),
    };
    *rest = after;
    run
}

/// Reads digits in groups parted by commas, which fit the runs from the last one on; gives how many digits there were.
fn groups(rest: &mut &str, runs: &[Run], number: &mut i128) -> Option<usize> {
    let mut sizes = vec![0_usize];
    while let Some(c) = rest.chars().next() {
        if let Some(digit) = c.to_digit(10) {
            *number = number.checked_mul(10)?.checked_add(i128::from(digit))?;
            *sizes.last_mut()? += 1;
        } else if c == ',' {
            sizes.push(0);
        } else if !c.is_whitespace() {
            break;
        }
        *rest = &rest[c.len_utf8()..];
    }
    let mut given = sizes.iter().rev();
    let fits = runs.iter().rev().all(|run| {
        let size = given.next().copied().unwrap_or(0);
        if run.exact {
            size == run.digits
        } else {
            size <= run.digits
        }
    });
    (fits && given.next().is_none()).then(|| sizes.iter().sum())
}

/// A space, in front of a sign or bracket at the end.
fn space(out: &mut String) {
    let end = out.trim_end_matches(['+', '-', '<']).len();
    out.insert(end, ' ');
}

/// A sign or bracket, in front of the spaces at the end.
fn behind(out: &mut String, sign: char) {
    let end = out.trim_end_matches(' ').len();
    out.insert(end, sign);
}

/// A point that no digit follows becomes a space.
fn lone_point(out: &mut String) {
    if let Some(at) = out.find('.')
        && matches!(out.as_bytes().get(at + 1), None | Some(b' '))
    {
        out.replace_range(at..=at, " ");
    }
}
