//! The manual of the format's options.

use crate::table::OptionKind::{Boolean, OneOf, Refused, Text};
use crate::table::{OptionSpec, option};

/// The options of messages and lines that are one object each. The default of `mode` is the connector's.
pub const OPTIONS: &[OptionSpec] = &[
    READ_OPTIONS[0],
    option(
        "multiLine",
        Refused,
        "",
        "each record is one JSON object, whatever white space stands in it",
    ),
    option(
        "primitivesAsString",
        Refused,
        "",
        "declare the columns as STRING, a column takes any JSON value as its text",
    ),
    option(
        "columnNameOfCorruptRecord",
        Refused,
        "",
        "records that do not decode go the way of `onError`, with their original bytes",
    ),
];

/// The options of files, for connectors to add to theirs. The default of `mode` is the connector's.
pub const READ_OPTIONS: [OptionSpec; 19] = [
    option(
        "mode",
        OneOf(&["FAILFAST", "PERMISSIVE", "DROPMALFORMED"]),
        "",
        "What a value that does not fit its column becomes: an error of the record, NULL, or a skipped record",
    ),
    option(
        "columnNameOfCorruptRecord",
        Text,
        "_corrupt_record",
        "The STRING column that takes the text of a record that does not fit, where it is declared and `mode` is PERMISSIVE",
    ),
    option(
        "dateFormat",
        Text,
        "",
        "The pattern of dates, such as `dd/MM/yyyy`; without it what a cast to DATE takes",
    ),
    option(
        "timestampFormat",
        Text,
        "",
        "The pattern of times, such as `dd/MM/yyyy HH:mm:ss`; without it what a cast to TIMESTAMP takes",
    ),
    option(
        "timestampNTZFormat",
        Text,
        "",
        "The pattern of times without zone; without it what a cast to TIMESTAMP_NTZ takes, as long as it names no zone",
    ),
    option(
        "timeZone",
        Text,
        "",
        "The zone of times that name none, such as `Europe/Berlin`; by default the job's",
    ),
    option(
        "allowComments",
        Boolean,
        "false",
        "Whether `/* */` and `//` may stand where white space may",
    ),
    option(
        "allowUnquotedFieldNames",
        Boolean,
        "false",
        "Whether names of fields may stand without quotes",
    ),
    option(
        "allowSingleQuotes",
        Boolean,
        "true",
        "Whether strings may stand in single quotes",
    ),
    option(
        "allowNumericLeadingZeros",
        Boolean,
        "false",
        "Whether numbers may begin with zeros: `007`",
    ),
    option(
        "allowBackslashEscapingAnyCharacter",
        Boolean,
        "false",
        "Whether a backslash may stand before any character",
    ),
    option(
        "allowUnquotedControlChars",
        Boolean,
        "false",
        "Whether tabs, line ends and other control characters may stand in strings",
    ),
    option(
        "allowNonNumericNumbers",
        Boolean,
        "true",
        "Whether `NaN`, `INF` and `Infinity` are numbers, also as strings",
    ),
    option(
        "locale",
        OneOf(&["en", "en-US"]),
        "en-US",
        "The language of names of months and days: English is the only one",
    ),
    option(
        "primitivesAsString",
        Refused,
        "",
        "it is about guessing columns; declare them as STRING, a column takes any JSON value as its text",
    ),
    option(
        "prefersDecimal",
        Refused,
        "",
        "it is about guessing columns; declare them as DECIMAL",
    ),
    option(
        "dropFieldIfAllNull",
        Refused,
        "",
        "it is about guessing columns; leave out those that you do not need",
    ),
    option(
        "samplingRatio",
        Refused,
        "",
        "it is about guessing columns; declare them",
    ),
    option(
        "inferSchema",
        Refused,
        "",
        "a stream cannot guess its columns; declare them",
    ),
];

/// The options of writing.
pub const WRITE_OPTIONS: [OptionSpec; 5] = [
    option(
        "ignoreNullFields",
        Boolean,
        "true",
        "Whether fields that are NULL are left out",
    ),
    option("dateFormat", Text, "yyyy-MM-dd", "The pattern of dates"),
    option(
        "timestampFormat",
        Text,
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "The pattern of times",
    ),
    option(
        "timestampNTZFormat",
        Text,
        "yyyy-MM-dd'T'HH:mm:ss.SSS",
        "The pattern of times without zone",
    ),
    option(
        "timeZone",
        Text,
        "",
        "The zone in which times are written, such as `Europe/Berlin`; by default the job's",
    ),
];
