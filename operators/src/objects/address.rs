//! What a URL of an object store says: `s3://bucket/folder`.

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

impl Address {
    /// Takes a path apart; None where it is one of this machine.
    ///
    /// # Errors
    /// For the URL of something else, and for one without a bucket.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(None);
        };
        let word = |letter: char| letter.is_ascii_alphanumeric();
        if scheme.is_empty() || !scheme.chars().all(word) || scheme.eq_ignore_ascii_case("file") {
            return Ok(None);
        }
        let known = SCHEMES
            .iter()
            .find(|(known, _)| scheme.eq_ignore_ascii_case(known));
        let Some((scheme, kind)) = known else {
            return Err(format!(
                "`{scheme}://` is no place of files that is known here: those are folders of this machine, s3://, gs:// and az://"
            ));
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['*', '?', '[', '{', '\\']) {
            return Err(format!(
                "`{scheme}://` is followed by the name of a bucket, in which no pattern stands"
            ));
        }
        Ok(Some(Self {
            kind: *kind,
            root: format!("{scheme}://{bucket}"),
            key: key.trim_matches('/').to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_a_key() {
        let parsed = Address::parse("S3A://bucket/a/b*/").unwrap().unwrap();
        assert_eq!(
            (parsed.kind, &*parsed.root, &*parsed.key),
            (Kind::Amazon, "s3a://bucket", "a/b*")
        );
        let azure = Address::parse("abfss://box@me.dfs.core.windows.net/in");
        assert_eq!(
            azure.unwrap().unwrap().root,
            "abfss://box@me.dfs.core.windows.net"
        );
        for local in ["in/a", "/in", "file:///in", "a:b/c"] {
            assert_eq!(Address::parse(local), Ok(None), "{local}");
        }
        for wrong in ["hdfs://host/in", "s3:///in", "s3://buck*/in"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
