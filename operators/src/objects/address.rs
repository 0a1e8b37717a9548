//! Where a location leads, whoever names it: a path of this machine, also as the URI `file:/folder`, or a place in an object store, `s3://bucket/folder`.

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Amazon S3, and what speaks its language.
    Amazon,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage and Data Lake Storage.
    Azure,
}

const SCHEMES: [(&str, Kind); 6] = [
    ("s3", Kind::Amazon),
    ("s3a", Kind::Amazon),
    ("gs", Kind::Google),
    ("az", Kind::Azure),
    ("abfs", Kind::Azure),
    ("abfss", Kind::Azure),
];

/// A place in an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    /// Scheme and bucket, `s3://bucket`: what stands before each key.
    pub(crate) root: String,
    /// What stands behind, without a `/` at its begin: a key, or what several keys begin with.
    pub(crate) key: String,
}

/// Where a location leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located<'a> {
    /// To this path of this machine. What a URI escapes (`%20`) stays as it is: so does Hadoop.
    Here(&'a str),
    /// Into an object store.
    Store(Address),
}

impl<'a> Located<'a> {
    /// Reads a location. What begins with `scheme:/` is a URI, and never a folder of that name: data that a job writes into
    /// `./hdfs:/out` would be found by nobody.
    ///
    /// # Errors
    /// For the URI of something else, and for one without a bucket.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        if text == "~" || text.starts_with("~/") {
            return Err("`~` is put in by a shell, and none reads this: write ${HOME}".to_owned());
        }
        let Some((scheme, rest)) = scheme(text) else {
            return Ok(Self::Here(text));
        };
        if scheme.eq_ignore_ascii_case("file") {
            return file(rest).map(Self::Here);
        }
        let known = SCHEMES
            .iter()
            .find(|(known, _)| scheme.eq_ignore_ascii_case(known));
        let (address, slashes) = match rest.strip_prefix("//") {
            Some(address) => (address, "//"),
            None => (rest, "/"),
        };
        let Some((scheme, kind)) = known else {
            return Err(format!(
                "`{scheme}:{slashes}` is no place of files that is known here: those are folders of this machine, s3://, gs:// and \
                 az://. Write the path under which this machine sees it, and a folder that is really called so as ./{scheme}:/"
            ));
        };
        if slashes == "/" {
            return Err(format!(
                "`{scheme}:/` has one slash, and an object store is named with two: write {scheme}://bucket/folder"
            ));
        }
        let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() || bucket.contains(['*', '?', '[', '{', '\\']) {
            return Err(format!(
                "`{scheme}://` is followed by the name of a bucket, in which no pattern stands"
            ));
        }
        Ok(Self::Store(Address {
            kind: *kind,
            root: format!("{scheme}://{bucket}"),
            key: key.trim_matches('/').to_owned(),
        }))
    }

    /// Reads a location that can only be one of this machine.
    ///
    /// # Errors
    /// For any other.
    pub(crate) fn here(text: &'a str) -> Result<&'a str, String> {
        match Self::read(text)? {
            Self::Here(path) => Ok(path),
            Self::Store(address) => Err(format!(
                "`{}` is no place on this machine, and only such a one can be meant here",
                address.root
            )),
        }
    }
}

/// The scheme of a URI and what stands behind its colon. One letter is none: `c:/in` has no scheme wherever paths have drives.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text
        .split_once(':')
        .filter(|(_, rest)| rest.starts_with('/'))?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let named = scheme.len() > 1 && scheme.starts_with(|letter: char| letter.is_ascii_alphabetic());
    (named && scheme.chars().all(word)).then_some((scheme, rest))
}

/// The path of a URI `file:`, of which `rest` stands behind the colon.
fn file(rest: &str) -> Result<&str, String> {
    let Some(behind) = rest.strip_prefix("//") else {
        return Ok(rest);
    };
    let host = behind.find('/').map(|end| behind.split_at(end));
    match host {
        Some((host, path)) if host.is_empty() || host.eq_ignore_ascii_case("localhost") => Ok(path),
        _ => Err(
            "`file://` is followed by the name of a machine, and files of another one are not read or written: write file:/// and the \
             whole path for one of this machine, or the path alone"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_a_key() {
        let store = |text| match Located::read(text).unwrap() {
            Located::Store(address) => address,
            Located::Here(path) => panic!("{path} is here"),
        };
        let parsed = store("S3A://bucket/a/b*/");
        assert_eq!(
            (parsed.kind, &*parsed.root, &*parsed.key),
            (Kind::Amazon, "s3a://bucket", "a/b*")
        );
        let azure = store("abfss://box@me.dfs.core.windows.net/in");
        assert_eq!(azure.root, "abfss://box@me.dfs.core.windows.net");
        for wrong in ["s3:///in", "s3://buck*/in"] {
            assert!(Located::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_uri_of_a_file_is_its_path() {
        let uris = [
            "file:/in/a%20b",
            "file:///in/a%20b",
            "FILE:///in/a%20b",
            "File:/in/a%20b",
        ];
        for uri in uris.into_iter().chain(["file://localhost/in/a%20b"]) {
            assert_eq!(Located::read(uri), Ok(Located::Here("/in/a%20b")), "{uri}");
        }
        for name in [
            "in/a",
            "/in",
            "in/a:b",
            "in/s3://b",
            "a:b/c",
            "10:30/x",
            "c:/in",
            "file:x",
            "./hdfs:/x",
        ] {
            assert_eq!(Located::read(name), Ok(Located::Here(name)), "{name}");
        }
    }

    #[test]
    fn what_would_become_a_folder_of_a_strange_name_is_refused_with_what_to_write() {
        let why = |text| Located::read(text).unwrap_err();
        for other in [
            "hdfs:/x",
            "dbfs:/mnt/x",
            "hdfs://host/in",
            "wasbs://a@b/c",
            "jdbc+x:/y",
        ] {
            assert!(why(other).contains("no place of files"), "{other}");
        }
        assert!(why("S3:/bucket/x").contains("write s3://bucket/folder"));
        assert!(why("abfss:/bucket/x").contains("write abfss://bucket/folder"));
        for far in ["file://host/in", "file://in", "file://"] {
            assert!(why(far).contains("write file:///"), "{far}");
        }
        for shell in ["~/in", "~"] {
            assert!(why(shell).contains("write ${HOME}"), "{shell}");
        }
        assert!(Located::here("s3://b/x").unwrap_err().contains("`s3://b`"));
    }
}
