//! How an object store is reached, as options say it.

use super::address::{Address, Kind};
use super::endpoint::Endpoint;
use super::manual::{ACCOUNT_KEY, ALIASES, OPTIONS, SERVICE_ACCOUNT};
use crate::job_error::{JobError, Location};
use crate::table::{OptionValue, Options};

/// A key of S3. Never shown.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "object-store"),
    expect(
        dead_code,
        reason = "checked in every build, used in those that reach a store"
    )
)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// What options say of a store. Holds secrets, so it cannot be printed.
#[derive(Clone, Default)]
#[cfg_attr(
    not(feature = "object-store"),
    expect(
        dead_code,
        reason = "checked in every build, used in those that reach a store"
    )
)]
pub(crate) struct Access {
    /// The service's address, with its scheme.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) region: Option<String>,
    pub(crate) key: Option<Key>,
    pub(crate) path_style: Option<bool>,
    /// Whether requests carry no signature.
    pub(crate) anonymous: bool,
    /// The file of a service account.
    pub(crate) service_account: Option<String>,
    /// An account's name and key.
    pub(crate) account: Option<(String, String)>,
}

/// The kind of store that an option is for.
fn kind(name: &str) -> Kind {
    let name = name.to_ascii_lowercase();
    if name.starts_with("fs.azure.") {
        Kind::Azure
    } else if name.starts_with("google.") || name.starts_with("fs.gs.") {
        Kind::Google
    } else {
        Kind::Amazon
    }
}

fn is_ours(entry: &OptionValue) -> bool {
    let name = entry.name.to_ascii_lowercase();
    name.starts_with(ACCOUNT_KEY)
        || OPTIONS
            .iter()
            .any(|known| known.name.eq_ignore_ascii_case(&name))
}

impl Access {
    /// Reads options, which their manual has been held against, for a place; `None` is a path of this machine.
    ///
    /// # Errors
    /// For options of another kind of store, and for those that do not go together.
    pub(crate) fn of(options: &Options, address: Option<&Address>) -> Result<Self, JobError> {
        for entry in options.iter().filter(|entry| is_ours(entry)) {
            let wrong = match address {
                None => "is for object stores, and `path` is one of this machine",
                Some(address) if address.kind != kind(&entry.name) => {
                    "is for another kind of store than the one that `path` names"
                }
                Some(_) => continue,
            };
            let text = format!("option `{}` {wrong}: leave it out", entry.name);
            return Err(JobError::new(entry.at, text));
        }
        for names in ALIASES {
            one_of(options, names)?;
        }
        let text = |name: &str| {
            let names = ALIASES.iter().find(|names| names[0] == name);
            let entry = one_of(options, names?).ok().flatten()?;
            Some(entry.value.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let flag = |name: &str| options.entry(name).map(|_| options.flag(name, false));
        let secure = flag("fs.s3a.connection.ssl.enabled").unwrap_or(true);
        let endpoint = text("fs.s3a.endpoint").map(|endpoint| {
            let whole = if endpoint.contains("://") {
                endpoint
            } else {
                format!("http{}://{endpoint}", if secure { "s" } else { "" })
            };
            address_in(options, whole)
        });
        Ok(Self {
            endpoint: endpoint.transpose()?,
            region: text("fs.s3a.endpoint.region"),
            key: key(options)?,
            path_style: flag("fs.s3a.path.style.access"),
            anonymous: anonymous(options)?,
            service_account: text(SERVICE_ACCOUNT),
            account: account(options)?,
        })
    }
}

/// The address of the service that options name.
fn address_in(options: &Options, text: String) -> Result<Endpoint, JobError> {
    let names = ["fs.s3a.endpoint", "endpoint"];
    let entry = names.iter().find_map(|name| options.entry(name));
    let (name, at) = entry.map_or((names[0], Location::default()), |entry| {
        (entry.name.as_str(), entry.at)
    });
    Endpoint::of(text, &format!("the option `{name}`"))
        .map_err(|wrong| JobError::new(at, wrong).help("write it as https://minio.example:9000"))
}

/// The option by one of these names; refuses two that differ.
fn one_of<'o>(options: &'o Options, names: &[&str]) -> Result<Option<&'o OptionValue>, JobError> {
    let mut given = names.iter().filter_map(|name| options.entry(name));
    let Some(first) = given.next() else {
        return Ok(None);
    };
    match given.find(|other| other.value.trim() != first.value.trim()) {
        None => Ok(Some(first)),
        Some(other) => Err(JobError::new(
            other.at,
            format!(
                "`{}` and `{}` are the same option, and are given differently: leave one of them out",
                first.name, other.name
            ),
        )),
    }
}

fn key(options: &Options) -> Result<Option<Key>, JobError> {
    let [id, secret, token] = [
        "fs.s3a.access.key",
        "fs.s3a.secret.key",
        "fs.s3a.session.token",
    ]
    .map(|name| {
        let names = ALIASES.iter().find(|names| names[0] == name)?;
        one_of(options, names).ok().flatten()
    });
    let alone = |entry: &OptionValue, other: &str| {
        let text = format!(
            "option `{}` needs the option `{other}` beside it",
            entry.name
        );
        Err(JobError::new(entry.at, text))
    };
    let plain = |entry: &OptionValue| entry.value.trim().to_owned();
    match (id, secret, token) {
        (Some(id), Some(secret), token) => Ok(Some(Key {
            id: plain(id),
            secret: plain(secret),
            token: token.map(plain),
        })),
        (Some(id), None, _) => alone(id, "fs.s3a.secret.key"),
        (None, Some(other), _) | (None, None, Some(other)) => alone(other, "fs.s3a.access.key"),
        (None, None, None) => Ok(None),
    }
}

fn anonymous(options: &Options) -> Result<bool, JobError> {
    let Some(entry) = options.entry("fs.s3a.aws.credentials.provider") else {
        return Ok(false);
    };
    let name = entry.value.trim();
    if name.rsplit('.').next() == Some("AnonymousAWSCredentialsProvider") {
        return Ok(true);
    }
    Err(JobError::new(
        entry.at,
        "option `fs.s3a.aws.credentials.provider` takes AnonymousAWSCredentialsProvider only: without it environment, profile, web \
         identity, container and machine are asked for a key in any case",
    ))
}

/// The account of which a key is given.
fn account(options: &Options) -> Result<Option<(String, String)>, JobError> {
    let mut keys = options
        .iter()
        .filter(|entry| entry.name.to_ascii_lowercase().starts_with(ACCOUNT_KEY));
    let Some(entry) = keys.next() else {
        return Ok(None);
    };
    if let Some(other) = keys.next() {
        let text = "one key of an account is enough for one table: leave the others out";
        return Err(JobError::new(other.at, text));
    }
    let host = entry.name.get(ACCOUNT_KEY.len()..).unwrap_or_default();
    let name = host.split('.').next().unwrap_or_default();
    Ok(Some((name.to_owned(), entry.value.trim().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::super::address::Located;
    use super::*;
    use crate::job_error::Location;

    fn access(path: &str, given: &[(&str, &str)]) -> Result<Access, String> {
        let options = given.iter().map(|(name, value)| OptionValue {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            substituted: false,
            at: Location::default(),
        });
        let address = match Located::read(path).unwrap() {
            Located::Store(address) => Some(address),
            Located::Here(_) => None,
        };
        let options = Options::new(options.collect());
        Access::of(&options, address.as_ref()).map_err(|error| error.message)
    }

    #[test]
    fn names_of_hadoop_and_short_ones_say_the_same() {
        let hadoop = [
            ("fs.s3a.endpoint", "localhost:9000"),
            ("fs.s3a.connection.ssl.enabled", "false"),
            ("fs.s3a.access.key", "me"),
            ("fs.s3a.secret.key", "hush"),
        ];
        let short = [
            ("endpoint", "http://localhost:9000"),
            ("accessKey", "me"),
            ("secretKey", "hush"),
        ];
        for given in [&hadoop[..], &short] {
            let access = access("s3a://b", given).map_err(|error| panic!("{error}"));
            let Ok(access) = access;
            let endpoint = access.endpoint.unwrap();
            assert_eq!(endpoint.text(), "http://localhost:9000");
            assert_eq!(access.key.unwrap().secret, "hush");
        }
        let azure = [("fs.azure.account.key.me.dfs.core.windows.net", "hush")];
        let access = access("az://box/in", &azure).map_err(|error| panic!("{error}"));
        let Ok(access) = access;
        assert_eq!(access.account.unwrap().0, "me");
    }

    #[track_caller]
    fn refused(path: &str, given: &[(&str, &str)], why: &str) {
        match access(path, given) {
            Ok(_) => panic!("{given:?} is taken"),
            Err(error) => assert!(error.contains(why), "{error}"),
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        refused("in", &[("region", "eu-west-1")], "one of this machine");
        refused(
            "gs://b",
            &[("region", "eu-west-1")],
            "another kind of store",
        );
        refused(
            "s3://b",
            &[("secretKey", "hush")],
            "`fs.s3a.access.key` beside it",
        );
        let twice = [("region", "a"), ("fs.s3a.endpoint.region", "b")];
        refused("s3://b", &twice, "the same option");
        let ftp = [("endpoint", "ftp://minio:9000")];
        refused("s3://b", &ftp, "`endpoint` begins with neither");
        let java = [("fs.s3a.aws.credentials.provider", "com.me.Mine")];
        refused("s3://b", &java, "AnonymousAWSCredentialsProvider only");
    }
}
