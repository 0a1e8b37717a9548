//! Texts as dates and times, by a pattern, as strictly as Java's `DateTimeFormatter`.

use super::time_pattern::{Item, MONTHS};
use crate::expr::calendar::{self, MICROS_PER_SECOND, Zone, civil, days, days_of_month};

/// A time of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// What clocks show, in microseconds since 1970-01-01T00:00:00.
    pub(crate) local: i64,
    /// The zone, if the text has one.
    pub(crate) zone: Option<Zone>,
}

/// The time that a text means; None where it does not fit.
pub(super) fn parse(items: &[Item], text: &str) -> Option<Parsed> {
    let mut fields = Fields::default();
    let rest = parse_items(items, text, &mut fields)?;
    if rest.is_empty() {
        fields.resolve()
    } else {
        None
    }
}

/// What a text says.
#[derive(Clone, Debug, Default)]
struct Fields {
    before_christ: bool,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    /// 0 to 11.
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    micros: Option<i64>,
    zone: Option<Zone>,
}

impl Fields {
    fn resolve(self) -> Option<Parsed> {
        let year = i32::try_from(self.year.unwrap_or(1970)).ok()?;
        let year = if self.before_christ { 1 - year } else { year };
        let date = match (self.day_of_year, self.month, self.day) {
            (Some(day), month, of_month) => {
                let most = 337 + i64::from(days_of_month(year, 2));
                (1..=most).contains(&day).then_some(())?;
                let date = days(year, 1, 1)? + i32::try_from(day - 1).ok()?;
                // What else the text says must be true of that day.
                let (_, in_month, on_day) = civil(date);
                let agrees = month.is_none_or(|month| month == i64::from(in_month))
                    && of_month.is_none_or(|day| day == i64::from(on_day));
                agrees.then_some(date)?
            }
            (None, month, day) => days(
                year,
                u32::try_from(month.unwrap_or(1)).ok()?,
                u32::try_from(day.unwrap_or(1)).ok()?,
            )?,
        };
        let afternoon = i64::from(self.afternoon.unwrap_or(false)) * 12;
        let hour = match (self.hour, self.half_hour) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour + afternoon,
            (None, None) => afternoon,
        };
        let seconds = hour * 3600 + self.minute.unwrap_or(0) * 60 + self.second.unwrap_or(0);
        let of_day = seconds * MICROS_PER_SECOND + self.micros.unwrap_or(0);
        let local = calendar::moment(date, of_day)?;
        Some(Parsed {
            local,
            zone: self.zone,
        })
    }
}

fn parse_items<'t>(items: &[Item], text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let mut rest = text;
    for (place, item) in items.iter().enumerate() {
        rest = match item {
            Item::Literal(literal) => {
                let head = rest.get(..literal.len())?;
                head.eq_ignore_ascii_case(literal).then_some(())?;
                &rest[literal.len()..]
            }
            Item::Optional(inner) => {
                let mut tried = fields.clone();
                match parse_items(inner, rest, &mut tried) {
                    Some(after) => {
                        *fields = tried;
                        after
                    }
                    None => rest,
                }
            }
            Item::Field(letter, count) => {
                parse_field(*letter, *count, &items[place + 1..], rest, fields)?
            }
        };
    }
    Some(rest)
}

/// How many digits the fields that follow without anything between take.
fn reserved(following: &[Item]) -> usize {
    following
        .iter()
        .map_while(|item| match item {
            Item::Field(letter, count @ 2..) if "MLdDhHkKms".contains(*letter) && *count < 3 => {
                Some(*count)
            }
            _ => None,
        })
        .sum()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn take_number(text: &str, length: usize) -> Option<(i64, &str)> {
    (length > 0 && digits(text) >= length).then_some(())?;
    Some((text[..length].parse().ok()?, &text[length..]))
}

fn parse_field<'t>(
    letter: char,
    count: usize,
    following: &[Item],
    text: &'t str,
    fields: &mut Fields,
) -> Option<&'t str> {
    match letter {
        'y' => return parse_year(count, following, text, fields),
        'M' | 'L' if count >= 3 => {
            let (month, rest) = parse_name(&MONTHS, count, text)?;
            fields.month = Some(i64::try_from(month).ok()? + 1);
            return Some(rest);
        }
        'G' | 'a' => {
            let head = text.get(..2)?;
            let first = ["BC", "PM"]
                .iter()
                .any(|name| head.eq_ignore_ascii_case(name));
            let known = ["AD", "BC", "AM", "PM"];
            let place = known
                .iter()
                .position(|name| head.eq_ignore_ascii_case(name))?;
            ((letter == 'G') == (place < 2)).then_some(())?;
            if letter == 'G' {
                fields.before_christ = first;
            } else {
                fields.afternoon = Some(first);
            }
            return Some(&text[2..]);
        }
        'S' => {
            let length = digits(text).min(count);
            let (number, rest) = take_number(text, length)?;
            let scale = 10_i64.pow(9 - u32::try_from(length).ok()?);
            fields.micros = Some(number * scale / 1000);
            return Some(rest);
        }
        'V' | 'O' | 'X' | 'x' | 'Z' => return parse_zone(letter, count, text, fields),
        _ => {}
    }
    let length = if count == 1 {
        digits(text).saturating_sub(reserved(following)).min(9)
    } else {
        count
    };
    let (number, rest) = take_number(text, length)?;
    let (range, slot) = match letter {
        'M' | 'L' => (1..=12, &mut fields.month),
        'd' => (1..=31, &mut fields.day),
        'D' => (1..=366, &mut fields.day_of_year),
        'H' => (0..=23, &mut fields.hour),
        'k' => (1..=24, &mut fields.hour),
        'K' => (0..=11, &mut fields.half_hour),
        'h' => (1..=12, &mut fields.half_hour),
        'm' => (0..=59, &mut fields.minute),
        _ => (0..=59, &mut fields.second),
    };
    range.contains(&number).then_some(())?;
    *slot = Some(match letter {
        'k' => number % 24,
        'h' => number % 12,
        _ => number,
    });
    Some(rest)
}

fn parse_year<'t>(
    count: usize,
    following: &[Item],
    text: &'t str,
    fields: &mut Fields,
) -> Option<&'t str> {
    if count == 2 {
        let (year, rest) = take_number(text, 2)?;
        fields.year = Some(2000 + year);
        return Some(rest);
    }
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let length = digits(unsigned)
        .saturating_sub(reserved(following))
        .max(count)
        .min(9);
    // More digits than letters need a plus, and a plus needs more digits.
    let plus = text.starts_with('+');
    let fits = if count == 1 {
        !plus
    } else {
        plus == (length > count) || sign < 0
    };
    fits.then_some(())?;
    let (year, rest) = take_number(unsigned, length)?;
    fields.year = Some(sign * year);
    Some(rest)
}

fn parse_name<'t>(names: &[&str], count: usize, text: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(place, name)| {
        let name = if count == 4 { name } else { &name[..3] };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (place, &text[name.len()..]))
    })
}

fn parse_zone<'t>(
    letter: char,
    count: usize,
    text: &'t str,
    fields: &mut Fields,
) -> Option<&'t str> {
    if letter == 'V' {
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || "/_+-:".contains(c)))
            .unwrap_or(text.len());
        fields.zone = Some(calendar::zone(&text[..end])?);
        return Some(&text[end..]);
    }
    let zulu = letter == 'X' || letter == 'Z' && count == 5;
    if zulu && text.starts_with(['Z', 'z']) {
        fields.zone = Some(Zone::Fixed(0));
        return Some(&text[1..]);
    }
    let gmt = letter == 'O' || letter == 'Z' && count == 4;
    let offset = if gmt { text.strip_prefix("GMT")? } else { text };
    if gmt && !offset.starts_with(['+', '-']) {
        fields.zone = Some(Zone::Fixed(0));
        return Some(offset);
    }
    offset.starts_with(['+', '-']).then_some(())?;
    let end = 1 + offset[1..]
        .find(|c: char| !(c.is_ascii_digit() || c == ':'))
        .unwrap_or(offset.len() - 1);
    let written = &offset[..end];
    let colons = gmt || (letter == 'Z' && count == 5) || (letter != 'Z' && matches!(count, 3 | 5));
    (letter == 'O' || written.contains(':') == colons).then_some(())?;
    fields.zone = Some(calendar::zone(written)?);
    Some(&offset[end..])
}
