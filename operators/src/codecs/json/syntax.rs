//! What a table's JSON may look like beyond RFC 8259.

/// The options that loosen the syntax, as Spark names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// `/* */` and `//`: `allowComments`.
    pub comments: bool,
    /// Names of fields without quotes: `allowUnquotedFieldNames`.
    pub bare_names: bool,
    /// Strings in single quotes: `allowSingleQuotes`.
    pub single_quotes: bool,
    /// `007`: `allowNumericLeadingZeros`.
    pub leading_zeros: bool,
    /// A backslash before any character: `allowBackslashEscapingAnyCharacter`.
    pub any_escape: bool,
    /// Line ends and the like in strings: `allowUnquotedControlChars`.
    pub control_characters: bool,
    /// `NaN`, `+INF`, `-INF` and `Infinity`, also as strings: `allowNonNumericNumbers`.
    pub non_numeric: bool,
}

impl Default for Syntax {
    /// Spark's defaults: single quotes, and numbers that are none.
    fn default() -> Self {
        Self {
            comments: false,
            bare_names: false,
            single_quotes: true,
            leading_zeros: false,
            any_escape: false,
            control_characters: false,
            non_numeric: true,
        }
    }
}

impl Syntax {
    /// What options say; None for one that is not given.
    pub fn with(flag: impl Fn(&str) -> Option<bool>) -> Self {
        let default = Self::default();
        let or = |name: &str, otherwise: bool| flag(name).unwrap_or(otherwise);
        Self {
            comments: or("allowComments", default.comments),
            bare_names: or("allowUnquotedFieldNames", default.bare_names),
            single_quotes: or("allowSingleQuotes", default.single_quotes),
            leading_zeros: or("allowNumericLeadingZeros", default.leading_zeros),
            any_escape: or("allowBackslashEscapingAnyCharacter", default.any_escape),
            control_characters: or("allowUnquotedControlChars", default.control_characters),
            non_numeric: or("allowNonNumericNumbers", default.non_numeric),
        }
    }
}
