//! The options that folders of files have in all formats.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thalweg_engine::record::Micros;

use super::pattern::Pattern;
use crate::job_error::JobError;
use crate::objects::{self, Located, Remote};
use crate::table::{OptionKind, OptionSpec, Table, joined, option, parse_duration_in, refused};

/// The manual of the options of all formats.
pub const OPTIONS: [OptionSpec; OWN.len() + objects::OPTIONS.len()] =
    joined(&[&OWN, &objects::OPTIONS]);

const OWN: [OptionSpec; 18] = [
    option(
        "path",
        OptionKind::Text,
        "",
        "./actions",
        "The folder, or one file, or a pattern of them: `*`, `?`, `[a-c]`, `{a,b}`. Relative to the working directory; or in an object \
         store, `s3://bucket/folder`, `gs://` or `az://`, in builds with the feature `object-store`",
    ),
    option(
        "pathGlobFilter",
        OptionKind::Text,
        "",
        "part-*",
        "A pattern for the names of files: others are not read",
    ),
    option(
        "recursiveFileLookup",
        OptionKind::Boolean,
        "false",
        "true",
        "Whether folders in the folder are read too, whatever their names. Folders `key=value` are read in any case",
    ),
    option(
        "latestFirst",
        OptionKind::Boolean,
        "false",
        "true",
        "Whether the newest of the files that wait is read first, instead of the oldest",
    ),
    option(
        "fileNameOnly",
        OptionKind::Boolean,
        "false",
        "true",
        "Whether files of one name in different folders count as one file, which is read once",
    ),
    option(
        "maxFileAge",
        OptionKind::DurationIn("milliseconds"),
        "7d",
        "2 days",
        "A file that is so much older than the newest file read is left out, and files so old are forgotten. What lies in the \
         folder at the first start is read whatever its age. Without effect where latestFirst comes with maxFilesPerTrigger or \
         maxBytesPerTrigger",
    ),
    option(
        "maxFilesPerTrigger",
        OptionKind::Whole(1, i64::MAX),
        "",
        "100",
        "How many files are begun per trigger interval, or per second when the trigger is continuous. The triggers `once` and \
         `available now` do not wait",
    ),
    option(
        "maxBytesPerTrigger",
        OptionKind::Text,
        "",
        "512m",
        "How many bytes of files are begun per trigger interval or second, such as `10m`; one file at least. Not beside \
         maxFilesPerTrigger",
    ),
    option(
        "maxCachedFiles",
        OptionKind::Whole(0, 10_000_000),
        "10000",
        "100000",
        "How many files that wait are held in memory; of more the folder is listed again",
    ),
    option(
        "discardCachedInputRatio",
        OptionKind::Text,
        "0.2",
        "0.5",
        "When fewer than this share of maxCachedFiles are held and there are more, the folder is listed again: 0 to 1",
    ),
    option(
        "cleanSource",
        OptionKind::OneOf(&["off", "delete", "archive"]),
        "off",
        "archive",
        "What becomes of a file once an epoch that covers it is committed: nothing, it is deleted, or it is moved to \
         sourceArchiveDir",
    ),
    option(
        "sourceArchiveDir",
        OptionKind::Text,
        "",
        "./archived",
        "Where files are moved to, each under its own path. It must not lie where the table reads",
    ),
    option(
        "static",
        OptionKind::Boolean,
        "false",
        "true",
        "Whether it is a table that streams are joined with: read whole, and again when its files are others. It is no stream then",
    ),
    refused(
        "basePath",
        "PARTITIONED BY says which columns the folders `key=value` hold; `path` is the folder above them",
    ),
    refused(
        "modifiedBefore",
        "as in Spark it is for tables that are read once, and a stream goes on",
    ),
    refused(
        "modifiedAfter",
        "as in Spark it is for tables that are read once, and a stream goes on",
    ),
    refused(
        "ignoreMissingFiles",
        "a file that is gone before it was read is an error of one record, which `onError` decides",
    ),
    refused(
        "ignoreCorruptFiles",
        "a file that cannot be unpacked is an error of one record, which `onError` decides",
    ),
];

/// Options without meaning for a static table.
const OF_STREAMS: [&str; 9] = [
    "latestFirst",
    "fileNameOnly",
    "maxFileAge",
    "maxFilesPerTrigger",
    "maxBytesPerTrigger",
    "maxCachedFiles",
    "discardCachedInputRatio",
    "cleanSource",
    "sourceArchiveDir",
];

/// How much may be begun in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So many files.
    Files(u64),
    /// So many bytes, and one file at least.
    Bytes(u64),
}

/// What becomes of files that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clean {
    /// They are deleted.
    Delete,
    /// They are moved below this folder.
    Archive(PathBuf),
}

/// The options of one table.
#[derive(Clone)]
pub(crate) struct Settings {
    /// None where the path is one of this machine.
    pub(crate) remote: Option<Remote>,
    pub(crate) pattern: Pattern,
    pub(crate) names: Option<globset::GlobMatcher>,
    pub(crate) recursive: bool,
    /// Whether folders `key=value` are columns.
    pub(crate) partitioned: bool,
    pub(crate) latest_first: bool,
    pub(crate) name_only: bool,
    /// In microseconds; None where it is without effect.
    pub(crate) max_age: Option<Micros>,
    pub(crate) pace: Option<Pace>,
    pub(crate) cached_max: usize,
    pub(crate) cached_min: usize,
    pub(crate) clean: Option<Clean>,
}

impl Settings {
    /// Reads the options, which their manual has been held against.
    ///
    /// # Errors
    /// For a value that is none, and for options that do not go together.
    pub(crate) fn of(table: &Table) -> Result<Self, JobError> {
        let options = &table.options;
        let wrong = |name: &str, text: String| JobError::new(options.at(name, table.at), text);
        let path = options.get("path").map(str::trim).unwrap_or_default();
        if path.is_empty() {
            let connector = &table.connector;
            let text = format!("a table `USING {connector}` needs the option `path`");
            return Err(wrong("path", text));
        }
        if options.flag("static", false)
            && let Some(name) = OF_STREAMS.iter().find(|name| options.entry(name).is_some())
        {
            let text = format!(
                "option `{name}` is for a stream of files, and a static table is read whole: leave it out"
            );
            return Err(wrong(name, text));
        }
        let remote = Remote::of(path, options, options.at("path", table.at))?;
        let pattern = match &remote {
            None => Pattern::parse(path),
            Some(remote) => Pattern::of(&format!("/{}", remote.address.key), path),
        };
        let pattern = pattern.map_err(|why| wrong("path", why))?;
        let names = match options.get("pathGlobFilter") {
            Some(text) => {
                Some(super::pattern::names(text).map_err(|why| wrong("pathGlobFilter", why))?)
            }
            None => None,
        };
        let latest_first = options.flag("latestFirst", false);
        let pace = pace(table)?;
        let age = options.get("maxFileAge").unwrap_or("7d");
        let age = parse_duration_in(age, "milliseconds").unwrap_or(Duration::MAX);
        let max_age = (!(latest_first && pace.is_some()))
            .then(|| Micros::try_from(age.as_micros()).unwrap_or(Micros::MAX));
        let cached_max = options.whole("maxCachedFiles").unwrap_or(10_000);
        let cached_max = usize::try_from(cached_max).unwrap_or(usize::MAX).max(1);
        let ratio = options.get("discardCachedInputRatio").unwrap_or("0.2");
        let ratio = ratio
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio));
        let Some(ratio) = ratio else {
            let text = "option `discardCachedInputRatio` takes a number from 0 to 1".to_owned();
            return Err(wrong("discardCachedInputRatio", text));
        };
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let cached_min = (cached_max as f64 * ratio) as usize;
        Ok(Self {
            clean: clean(table, &pattern, remote.as_ref())?,
            remote,
            pattern,
            names,
            recursive: options.flag("recursiveFileLookup", false),
            partitioned: !table.partitioned_by.is_empty(),
            latest_first,
            name_only: options.flag("fileNameOnly", false),
            max_age,
            pace,
            cached_max,
            cached_min,
        })
    }
}

impl Settings {
    /// How many folders on the way to a file are those of the path, also where a pattern stands for them.
    pub(crate) fn depth(&self) -> usize {
        let root = self
            .remote
            .as_ref()
            .map_or("", |remote| &remote.address.root);
        let base = format!("{root}{}", self.pattern.base.to_string_lossy());
        base.trim_end_matches('/').split('/').count() + self.pattern.levels.len()
    }

    /// Whether it is no outage that the path is not there: a pattern may have nothing that fits it yet.
    pub(crate) fn may_be_missing(&self, error: &std::io::Error) -> bool {
        error.kind() == std::io::ErrorKind::NotFound
            && !self.pattern.levels.is_empty()
            && self.remote.is_none()
    }
}

fn pace(table: &Table) -> Result<Option<Pace>, JobError> {
    let options = &table.options;
    let files = options.whole("maxFilesPerTrigger");
    let Some(entry) = options.entry("maxBytesPerTrigger") else {
        return Ok(files.map(|files| Pace::Files(files.unsigned_abs())));
    };
    if files.is_some() {
        return Err(JobError::new(
            entry.at,
            "maxFilesPerTrigger and maxBytesPerTrigger exclude each other: leave one of them out",
        ));
    }
    match bytes(&entry.value) {
        Some(bytes) if bytes > 0 => Ok(Some(Pace::Bytes(bytes))),
        _ => Err(JobError::new(
            entry.at,
            "option `maxBytesPerTrigger` takes a size such as `1048576`, `512k`, `10m` or `1g`",
        )),
    }
}

/// A size as Spark writes it: a number of bytes, or of `k`, `m`, `g`, `t` with or without a `b` behind.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn clean(
    table: &Table,
    pattern: &Pattern,
    remote: Option<&Remote>,
) -> Result<Option<Clean>, JobError> {
    let options = &table.options;
    let word = options.get("cleanSource").unwrap_or("off");
    let folder = options.entry("sourceArchiveDir");
    if !word.eq_ignore_ascii_case("archive") {
        return match folder {
            Some(entry) => Err(JobError::new(
                entry.at,
                "option `sourceArchiveDir` is without effect: it goes with cleanSource 'archive'",
            )),
            None => Ok(word.eq_ignore_ascii_case("delete").then_some(Clean::Delete)),
        };
    }
    let Some(entry) = folder.filter(|entry| !entry.value.trim().is_empty()) else {
        return Err(JobError::new(
            options.at("cleanSource", table.at),
            "cleanSource 'archive' needs the option `sourceArchiveDir`: the folder that files are moved to",
        ));
    };
    let folder = archive(entry.value.trim(), remote).map_err(|why| JobError::new(entry.at, why))?;
    if pattern.reads_below(Path::new(&folder)) {
        return Err(JobError::new(
            entry.at,
            "the folder of `sourceArchiveDir` lies where the table reads, so that what is moved there would be read again",
        ));
    }
    Ok(Some(Clean::Archive(folder)))
}

/// The folder that files are moved to, inside the bucket where they lie in one.
fn archive(path: &str, remote: Option<&Remote>) -> Result<PathBuf, String> {
    let own = remote.map(|remote| &remote.address);
    match (Located::read(path)?, own) {
        (Located::Here(path), None) => Ok(PathBuf::from(path)),
        (Located::Store(to), Some(own)) if to.root == own.root => Ok(Path::new("/").join(to.key)),
        (Located::Here(_), Some(own)) => Err(format!(
            "files of a bucket are moved inside it: write `sourceArchiveDir` as {}/folder",
            own.root
        )),
        (Located::Store(_), Some(own)) => Err(format!(
            "files are not moved from one bucket to another, because that would carry each of them through this machine: write \
             `sourceArchiveDir` as {}/folder",
            own.root
        )),
        (Located::Store(_), None) => Err(
            "files of this machine are not moved to an object store: write `sourceArchiveDir` as a folder of this machine".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_spark_writes_them() {
        assert_eq!(bytes("1048576"), Some(1 << 20));
        assert_eq!(bytes("10m"), Some(10 << 20));
        assert_eq!(bytes("512 KB"), Some(512 << 10));
        assert_eq!(bytes("1g"), Some(1 << 30));
        assert_eq!(bytes("ten"), None);
        assert_eq!(bytes("10 parsecs"), None);
    }
}
