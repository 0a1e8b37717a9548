//! Dates and times in formats of text: how Spark's readers take them and its writers show them, with the patterns of
//! the options `dateFormat`, `timestampFormat` and `timestampNTZFormat`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::expr::calendar::{self, MICROS_PER_DAY, Zone};
use crate::expr::functions::time_pattern::Pattern;
use crate::expr::time_text;

/// The options that say how dates and times are written.
pub(crate) const NAMES: [&str; 3] = ["dateFormat", "timestampFormat", "timestampNTZFormat"];

/// The patterns of a table, where it has some, and the zone of times that name none.
#[derive(Clone, Debug)]
pub struct Times {
    /// The session's time zone, or that of the option `timeZone`.
    pub zone: Zone,
    date: Option<Arc<Pattern>>,
    timestamp: Option<Arc<Pattern>>,
    local: Option<Arc<Pattern>>,
}

impl Times {
    /// Without patterns: what Spark's cast reads is a date or a time.
    pub fn new(zone: Zone) -> Self {
        Self {
            zone,
            date: None,
            timestamp: None,
            local: None,
        }
    }

    /// With the patterns that `option` gives; `parsing` wants such that texts can be read by.
    ///
    /// # Errors
    /// The option and what is wrong with its pattern.
    pub fn with<'t>(
        zone: Zone,
        parsing: bool,
        option: impl Fn(&str) -> Option<&'t str>,
    ) -> Result<Self, (&'static str, String)> {
        let pattern = |name: &'static str| {
            option(name)
                .map(|text| {
                    let pattern = Pattern::new(text)?;
                    if parsing {
                        pattern.parses()?;
                    }
                    Ok(Arc::new(pattern))
                })
                .transpose()
                .map_err(|why: String| (name, format!("option `{name}`: {why}")))
        };
        let zone = match option("timeZone") {
            None => zone,
            Some(name) => calendar::zone(name).ok_or_else(|| {
                let why = format!(
                    "option `timeZone`: no zone `{name}`: write a region such as `Europe/Berlin`, or an offset such as `+02:00`"
                );
                ("timeZone", why)
            })?,
        };
        Ok(Self {
            zone,
            date: pattern(NAMES[0])?,
            timestamp: pattern(NAMES[1])?,
            local: pattern(NAMES[2])?,
        })
    }

    /// Whether dates are read by a pattern.
    pub(crate) fn has_date_pattern(&self) -> bool {
        self.date.is_some()
    }

    /// The days of a text.
    pub(crate) fn read_date(&self, content: &str) -> Option<i32> {
        let Some(pattern) = &self.date else {
            return time_text::parse_date(&without_gmt(content));
        };
        let days = pattern.parse(content)?.local.div_euclid(MICROS_PER_DAY);
        i32::try_from(days).ok()
    }

    /// The days of a text, or those that it counts itself, as Spark once wrote dates to JSON: by the calendar of old.
    pub(crate) fn read_date_or_days(&self, content: &str) -> Option<i32> {
        self.read_date(content).or_else(|| {
            let days = content.parse().ok().filter(|_| self.date.is_none());
            days.map(calendar::of_julian)
        })
    }

    /// The instant of a text.
    pub(crate) fn read_timestamp(&self, content: &str) -> Option<i64> {
        let Some(pattern) = &self.timestamp else {
            return time_text::parse_timestamp(&without_gmt(content), self.zone);
        };
        let parsed = pattern.parse(content)?;
        let zone = parsed.zone.unwrap_or(self.zone);
        calendar::utc(parsed.local, zone)
    }

    /// The time on the clock of a text.
    pub(crate) fn read_local(&self, content: &str) -> Option<i64> {
        let Some(pattern) = &self.local else {
            return time_text::parse_local(content);
        };
        let parsed = pattern.parse(content)?;
        parsed.zone.is_none().then_some(parsed.local)
    }

    /// Appends a date by its pattern; false where there is none.
    pub(crate) fn show_date(&self, out: &mut String, days: i32) -> bool {
        if let Some(pattern) = &self.date {
            pattern.format_date(out, days);
        }
        self.date.is_some()
    }

    /// Appends an instant by its pattern; false where there is none.
    pub(crate) fn show_timestamp(&self, out: &mut String, micros: i64) -> bool {
        show(self.timestamp.as_deref(), out, micros, self.zone)
    }

    /// Appends a time on the clock by its pattern; false where there is none.
    pub(crate) fn show_local(&self, out: &mut String, micros: i64) -> bool {
        show(self.local.as_deref(), out, micros, Zone::Fixed(0))
    }
}

fn show(pattern: Option<&Pattern>, out: &mut String, micros: i64, zone: Zone) -> bool {
    if let Some(pattern) = pattern {
        pattern.format(out, micros, zone);
    }
    pattern.is_some()
}

/// Spark's readers take `2000-01-01T00:00GMT+01:00` as it was once written.
fn without_gmt(content: &str) -> Cow<'_, str> {
    // Looking for one byte is cheap; nearly no text has it.
    if content.as_bytes().contains(&b'G') && content.contains("GMT") {
        Cow::Owned(content.replace("GMT", ""))
    } else {
        Cow::Borrowed(content)
    }
}
