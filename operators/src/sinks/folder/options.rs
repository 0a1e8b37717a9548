//! The options of files as an output, and what they say.

use std::time::Duration;

use crate::codecs::{csv, json};
use crate::objects;
use crate::table::{
    OptionKind, OptionSpec, Table, joined, option, parse_duration, parse_size, refused,
};

/// The defaults of the options.
const INTERVAL: Duration = Duration::from_secs(600);
const SIZE: u64 = 128 << 20;
const OPEN_MAX: usize = 64;

/// How parts of the formats that are text are compressed.
const TEXTS: &[&str] = &["none", "uncompressed", "gzip", "zstd"];
/// How Parquet files are.
const COLUMNS: &[&str] = &["none", "uncompressed", "snappy", "gzip", "zstd"];

const SHARED: usize = 8;

/// The options of all formats.
const fn shared(words: &'static [&'static str], compression: &'static str) -> [OptionSpec; SHARED] {
    [
        option(
            "path",
            OptionKind::Text,
            "",
            "./archive",
            "The folder, relative to the working directory, made where there is none; or in an object store, `s3://bucket/folder`, \
             `gs://` or `az://`, in builds with the feature `object-store`. One query writes it",
        ),
        option(
            "compression",
            OptionKind::OneOf(words),
            compression,
            "zstd",
            "How the files are compressed",
        ),
        option(
            "rollInterval",
            OptionKind::Duration,
            "10 minutes",
            "1 hour",
            "How long a file takes rows before it becomes visible, counted from its first row; looked at with each checkpoint",
        ),
        option(
            "rollSize",
            OptionKind::Size,
            "128 MB",
            "256 MB",
            "How many bytes of rows a file takes before it becomes visible, counted before compression",
        ),
        option(
            "maxOpenFiles",
            OptionKind::Whole(1, 10_000),
            "64",
            "24",
            "With PARTITIONED BY, how many files a lane writes at once. A row for one more folder ends the file that was \
             written longest ago",
        ),
        refused(
            "retention",
            "no log lists the files of the folder, so none grows: what is in the folder counts, and who removes old files \
             removes old rows",
        ),
        refused(
            "maxRecordsPerFile",
            "rollSize and rollInterval say when a file ends",
        ),
        refused(
            "partitionOverwriteMode",
            "a stream adds files and overwrites none",
        ),
    ]
}

/// What bytes texts are written as.
const UTF_8: [OptionSpec; 2] = [
    refused("encoding", "texts are written in UTF-8"),
    refused("charset", "texts are written in UTF-8"),
];

const LINE_SEP: OptionSpec = option(
    "lineSep",
    OptionKind::Text,
    "\\n",
    "\r\n",
    "What ends a line",
);

const HEADER: OptionSpec = option(
    "header",
    OptionKind::Boolean,
    "false",
    "true",
    "Whether each file begins with the names of the columns",
);

/// How many options say how an object store is reached.
const REACH: usize = objects::OPTIONS.len();

/// Of `json`.
pub(super) const JSON: &[OptionSpec] = &joined::<{ SHARED + 5 + 1 + 2 + 2 + REACH }>(&[
    &shared(TEXTS, "none"),
    &json::WRITE_OPTIONS,
    &[LINE_SEP],
    &json::REFUSED_WRITING,
    &UTF_8,
    &objects::OPTIONS,
]);

/// Of `csv`: the patterns of times are those of `json`.
pub(super) const CSV: &[OptionSpec] = &joined::<{ SHARED + 12 + 4 + 2 + 1 + 2 + REACH }>(&[
    &shared(TEXTS, "none"),
    &csv::WRITE_OPTIONS,
    json::WRITE_OPTIONS.split_at(1).1,
    &[HEADER, LINE_SEP],
    &[refused(
        "extension",
        "a file is called as its format and its compression are",
    )],
    &UTF_8,
    &objects::OPTIONS,
]);

/// Of `text`.
pub(super) const TEXT: &[OptionSpec] = &joined::<{ SHARED + 1 + 2 + REACH }>(&[
    &shared(TEXTS, "none"),
    &[LINE_SEP],
    &UTF_8,
    &objects::OPTIONS,
]);

/// Of `parquet`.
pub(super) const PARQUET: &[OptionSpec] = &joined::<{ SHARED + 1 + REACH }>(&[
    &shared(COLUMNS, "snappy"),
    &[refused(
        "parquet.*",
        "it is about Hadoop's writer; rollSize says how large a file becomes, `compression` how it is packed",
    )],
    &objects::OPTIONS,
]);

/// Of `orc`, which is not written.
pub(super) const ORC: &[OptionSpec] = &{
    let mut all = shared(COLUMNS, "");
    let mut place = 0;
    while place < all.len() {
        let about = "ORC files are not written: write `parquet`";
        all[place] = refused(all[place].name, about);
        place += 1;
    }
    all
};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Snappy,
    Gzip,
    Zstd,
}

impl Compression {
    /// By its name in the options.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "none" | "uncompressed" => Self::None,
            "snappy" => Self::Snappy,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Its name in the options.
    #[cfg(feature = "parquet")]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What names of files say of it, as Spark's do.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Snappy => ".snappy",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// When parts end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rolling {
    pub(super) interval: Duration,
    pub(super) size: u64,
    pub(super) open_max: usize,
}

impl Rolling {
    pub(super) fn of(table: &Table) -> Self {
        let options = &table.options;
        let interval = options.get("rollInterval").and_then(parse_duration);
        let size = options.get("rollSize").and_then(parse_size);
        let open_max = options.whole("maxOpenFiles");
        Self {
            interval: interval.unwrap_or(INTERVAL),
            size: size.unwrap_or(SIZE),
            open_max: open_max
                .and_then(|max| usize::try_from(max).ok())
                .unwrap_or(OPEN_MAX),
        }
    }
}
