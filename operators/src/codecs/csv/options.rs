//! The manual of the format's options.

use crate::table::OptionKind::{Boolean, OneOf, Text};
use crate::table::{OptionSpec, option, refused};

/// The options of reading that only this format has; `mode`, the patterns of times and the like it shares with JSON.
pub const READ_OPTIONS: [OptionSpec; 18] = [
    option(
        "sep",
        Text,
        ",",
        ";",
        "What stands between values, one character or several; `\\t` is a tab",
    ),
    option("delimiter", Text, ",", ";", "The same as `sep`"),
    option(
        "quote",
        Text,
        "\"",
        "'",
        "What encloses values; empty for nothing",
    ),
    option(
        "escape",
        Text,
        "\\",
        "\"",
        "What makes a quote inside a quoted value a character of it; empty for nothing",
    ),
    option(
        "charToEscapeQuoteEscaping",
        Text,
        "",
        "\\",
        "What makes an `escape` before a quote a character; by default `escape` itself, and nothing where that is the quote",
    ),
    option(
        "comment",
        Text,
        "",
        "#",
        "A character: lines that begin with it are no records",
    ),
    option(
        "ignoreLeadingWhiteSpace",
        Boolean,
        "false",
        "true",
        "Whether white space before values is cut off",
    ),
    option(
        "ignoreTrailingWhiteSpace",
        Boolean,
        "false",
        "true",
        "Whether white space behind values is cut off",
    ),
    option("nullValue", Text, "", "NULL", "The text that is NULL"),
    option(
        "emptyValue",
        Text,
        "",
        "(empty)",
        "What a value in quotes without content is read as",
    ),
    option(
        "nanValue",
        Text,
        "NaN",
        "nan",
        "The text of a number that is none",
    ),
    option(
        "positiveInf",
        Text,
        "Inf",
        "inf",
        "The text of the positive infinity",
    ),
    option(
        "negativeInf",
        Text,
        "-Inf",
        "-inf",
        "The text of the negative infinity",
    ),
    option(
        "maxColumns",
        Text,
        "20480",
        "100",
        "How many values a record may have",
    ),
    option(
        "maxCharsPerColumn",
        Text,
        "-1",
        "10000",
        "How many characters a value may have; -1 for any number",
    ),
    option(
        "unescapedQuoteHandling",
        OneOf(&[
            "STOP_AT_CLOSING_QUOTE",
            "STOP_AT_DELIMITER",
            "BACK_TO_DELIMITER",
            "SKIP_VALUE",
            "RAISE_ERROR",
        ]),
        "STOP_AT_DELIMITER",
        "RAISE_ERROR",
        "What a quote in a quoted value means that is not escaped: the value goes on to the closing quote; it was not quoted and \
         ends at the delimiter; what was read is taken apart at its delimiters; the value is NULL; the record is an error",
    ),
    refused(
        "preferDate",
        "it is about guessing columns; declare them as DATE or TIMESTAMP",
    ),
    refused(
        "enableDateTimeParsingFallback",
        "texts that do not fit the pattern are no dates; leave the pattern out to read them as a cast does",
    ),
];

/// The options of files.
pub const FILE_OPTIONS: [OptionSpec; 4] = [
    option(
        "header",
        Boolean,
        "false",
        "true",
        "Whether the first record of a file names the columns and is none itself",
    ),
    option(
        "enforceSchema",
        Boolean,
        "true",
        "false",
        "Whether the names in the header need not be the declared ones. With `false` a file with others is an error of one record",
    ),
    option(
        "multiLine",
        Boolean,
        "false",
        "true",
        "Whether a value in quotes may go over several lines",
    ),
    option(
        "lineSep",
        Text,
        "",
        "\r\n",
        "What ends a record, one character or two; by default any of \\n, \\r\\n and \\r",
    ),
];

/// The options of writing that only this format has; the patterns of times it shares with JSON.
pub const WRITE_OPTIONS: [OptionSpec; 12] = [
    READ_OPTIONS[0],
    READ_OPTIONS[1],
    READ_OPTIONS[2],
    READ_OPTIONS[3],
    READ_OPTIONS[4],
    option(
        "comment",
        Text,
        "#",
        "!",
        "A character: a record whose first value begins with it has that value in quotes",
    ),
    option(
        "quoteAll",
        Boolean,
        "false",
        "true",
        "Whether every value is written in quotes",
    ),
    option(
        "escapeQuotes",
        Boolean,
        "true",
        "false",
        "Whether a value with a quote in it is written in quotes",
    ),
    option("nullValue", Text, "", "NULL", "What is written for NULL"),
    option(
        "emptyValue",
        Text,
        "\"\"",
        "(empty)",
        "What is written for a text without content",
    ),
    option(
        "ignoreLeadingWhiteSpace",
        Boolean,
        "true",
        "true",
        "Whether white space before values is cut off",
    ),
    option(
        "ignoreTrailingWhiteSpace",
        Boolean,
        "true",
        "true",
        "Whether white space behind values is cut off",
    ),
];
