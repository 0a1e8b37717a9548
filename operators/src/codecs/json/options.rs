//! The manual of the format's options.

use crate::table::OptionKind::{Boolean, OneOf, Text};
use crate::table::{OptionSpec, option, refused};

/// The options of messages and lines that are one object each. The default of `mode` is the connector's.
pub const OPTIONS: &[OptionSpec] = &[
    READ_OPTIONS[0],
    refused(
        "multiLine",
        "each record is one JSON object, whatever white space stands in it",
    ),
    refused(
        "primitivesAsString",
        "declare the columns as STRING, a column takes any JSON value as its text",
    ),
    refused(
        "columnNameOfCorruptRecord",
        "records that do not decode go the way of `onError`, with their original bytes",
    ),
];

/// The options of files, for connectors to add to theirs. The default of `mode` is the connector's.
pub const READ_OPTIONS: [OptionSpec; 19] = [
    option(
        "mode",
        OneOf(&["FAILFAST", "PERMISSIVE", "DROPMALFORMED"]),
        "",
        "DROPMALFORMED",
        "What a value that does not fit its column becomes: an error of the record, NULL, or a skipped record",
    ),
    option(
        "columnNameOfCorruptRecord",
        Text,
        "_corrupt_record",
        "broken",
        "The STRING column that takes the text of a record that does not fit, where it is declared and `mode` is PERMISSIVE",
    ),
    option(
        "dateFormat",
        Text,
        "",
        "dd/MM/yyyy",
        "The pattern of dates, such as `dd/MM/yyyy`; without it what a cast to DATE takes, or a number of days since 1970",
    ),
    option(
        "timestampFormat",
        Text,
        "",
        "dd/MM/yyyy HH:mm:ss",
        "The pattern of times, such as `dd/MM/yyyy HH:mm:ss`; without it what a cast to TIMESTAMP takes",
    ),
    option(
        "timestampNTZFormat",
        Text,
        "",
        "dd/MM/yyyy HH:mm",
        "The pattern of times without zone; without it what a cast to TIMESTAMP_NTZ takes, as long as it names no zone",
    ),
    option(
        "timeZone",
        Text,
        "",
        "Europe/Berlin",
        "The zone of times that name none, such as `Europe/Berlin` or `+02:00`; by default the job's",
    ),
    option(
        "allowComments",
        Boolean,
        "false",
        "true",
        "Whether `/* */` and `//` may stand where white space may",
    ),
    option(
        "allowUnquotedFieldNames",
        Boolean,
        "false",
        "true",
        "Whether names of fields may stand without quotes",
    ),
    option(
        "allowSingleQuotes",
        Boolean,
        "true",
        "false",
        "Whether strings may stand in single quotes",
    ),
    option(
        "allowNumericLeadingZeros",
        Boolean,
        "false",
        "true",
        "Whether numbers may begin with zeros: `007`",
    ),
    option(
        "allowBackslashEscapingAnyCharacter",
        Boolean,
        "false",
        "true",
        "Whether a backslash may stand before any character",
    ),
    option(
        "allowUnquotedControlChars",
        Boolean,
        "false",
        "true",
        "Whether tabs, line ends and other control characters may stand in strings",
    ),
    option(
        "allowNonNumericNumbers",
        Boolean,
        "true",
        "false",
        "Whether `NaN`, `+INF`, `-INF` and `Infinity` are numbers, also as strings",
    ),
    option(
        "locale",
        OneOf(&["en", "en-US"]),
        "en-US",
        "en",
        "The language of names of months and days: English is the only one",
    ),
    refused(
        "primitivesAsString",
        "it is about guessing columns; declare them as STRING, a column takes any JSON value as its text",
    ),
    refused(
        "prefersDecimal",
        "it is about guessing columns; declare them as DECIMAL",
    ),
    refused(
        "dropFieldIfAllNull",
        "it is about guessing columns; leave out those that you do not need",
    ),
    refused(
        "samplingRatio",
        "it is about guessing columns; declare them",
    ),
    refused(
        "inferSchema",
        "a stream cannot guess its columns; declare them",
    ),
];

/// The option of `to_json` that lays a text out.
pub const PRETTY: OptionSpec = option(
    "pretty",
    Boolean,
    "false",
    "true",
    "Whether the text has a line for each field",
);

/// What Spark knows of writing beside these.
pub const REFUSED_WRITING: [OptionSpec; 2] = [
    refused(
        "pretty",
        "each row is one line, so that readers know where it ends",
    ),
    refused(
        "writeNonAsciiCharacterAsCodePoint",
        "characters are written as they are, in UTF-8",
    ),
];

/// The options of writing.
pub const WRITE_OPTIONS: [OptionSpec; 5] = [
    option(
        "ignoreNullFields",
        Boolean,
        "true",
        "false",
        "Whether fields that are NULL are left out",
    ),
    option(
        "dateFormat",
        Text,
        "yyyy-MM-dd",
        "dd/MM/yyyy",
        "The pattern of dates",
    ),
    option(
        "timestampFormat",
        Text,
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "dd/MM/yyyy HH:mm:ss",
        "The pattern of times",
    ),
    option(
        "timestampNTZFormat",
        Text,
        "yyyy-MM-dd'T'HH:mm:ss.SSS",
        "dd/MM/yyyy HH:mm",
        "The pattern of times without zone",
    ),
    option(
        "timeZone",
        Text,
        "",
        "Europe/Berlin",
        "The zone in which times are written, such as `Europe/Berlin` or `+02:00`; by default the job's",
    ),
];
