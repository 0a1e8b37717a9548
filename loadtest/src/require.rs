//! What a measurement has to reach: a limit for a figure, or for its ratio to the floor's.

use crate::document::Contender;

/// `[ratio:]figure<=number` or `>=`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Requirement {
    ratio: bool,
    figure: String,
    at_most: bool,
    number: f64,
}

impl std::str::FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at_most = text.contains("<=");
        let (figure, number) = text
            .split_once(if at_most { "<=" } else { ">=" })
            .ok_or_else(|| format!("'{text}' has neither <= nor >="))?;
        let number = number
            .trim()
            .parse()
            .map_err(|_| format!("'{number}' is not a number"))?;
        let ratio = figure.starts_with("ratio:");
        Ok(Requirement {
            ratio,
            figure: figure.trim_start_matches("ratio:").trim().to_owned(),
            at_most,
            number,
        })
    }
}

impl Requirement {
    /// `None` if it holds, otherwise what was found.
    pub(crate) fn broken(&self, contender: &Contender) -> Option<String> {
        let found = if self.ratio {
            &contender.ratio
        } else {
            &contender.median
        }
        .get(&self.figure);
        let holds = |value: f64| {
            if self.at_most {
                value <= self.number
            } else {
                value >= self.number
            }
        };
        let kind = if self.ratio { "ratio of " } else { "" };
        let sign = if self.at_most { "<=" } else { ">=" };
        match found {
            Some(value) if holds(*value) => None,
            Some(value) => Some(format!(
                "{}: {kind}{} is {value:.3}, required {sign} {}",
                contender.name, self.figure, self.number
            )),
            None => Some(format!(
                "{}: {kind}{} was not measured",
                contender.name, self.figure
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    #[test]
    fn a_requirement_says_what_was_found_or_that_nothing_was() {
        let mut contender = Contender {
            name: "engine".into(),
            command: String::new(),
            rounds: Vec::new(),
            median: Figures::from([("rss_peak_mb".into(), 30.0)]),
            ratio: Figures::from([("p50_ms".into(), 1.1)]),
        };
        let check = |text: &str, contender: &Contender| {
            text.parse::<Requirement>().unwrap().broken(contender)
        };
        assert_eq!(check("ratio:p50_ms<=1.15", &contender), None);
        assert!(
            check("rss_peak_mb<=24", &contender)
                .unwrap()
                .contains("is 30.000")
        );
        assert_eq!(check("rss_peak_mb>=24", &contender), None);
        contender.median.clear();
        assert!(
            check("rss_peak_mb<=24", &contender)
                .unwrap()
                .contains("not measured")
        );
        assert!("p50".parse::<Requirement>().is_err());
    }
}
