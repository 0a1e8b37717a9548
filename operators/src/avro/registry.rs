//! A schema registry as its clients see it: schemas by their ids, ids of schemas.

use std::time::Duration;

use apache_avro::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use thalweg_engine::error::Failure;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::references;
use crate::job_error::JobError;
use crate::sinks::http::shown_url;
use crate::table::Table;

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// The media type of registries.
const MEDIA: &str = "application/vnd.schemaregistry.v1+json";

/// What the table says of its registry.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Addresses of one registry, without a slash at the end; the first that answers counts.
    urls: Vec<String>,
    /// The value of the header Authorization. A secret.
    authorization: Option<Secret>,
    /// Whether a schema that the registry does not know is added to it.
    register: bool,
}

/// A text that is shown nowhere.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("******")
    }
}

impl Settings {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// With the place in the job file.
    pub(crate) fn of(table: &Table) -> Result<Self, JobError> {
        const URL: &str = "schema.registry.url";
        let options = &table.options;
        let urls: Vec<String> = options
            .get(URL)
            .unwrap_or_default()
            .split(',')
            .map(|url| url.trim().trim_end_matches('/').to_owned())
            .filter(|url| !url.is_empty())
            .collect();
        if urls.is_empty() {
            return Err(JobError::new(
                options.at("format", table.at),
                format!("the format avro needs the option `{URL}`"),
            ));
        }
        let proper = |url: &String| {
            url.parse::<ureq::http::Uri>().is_ok_and(|uri| {
                uri.host().is_some_and(|host| !host.is_empty())
                    && matches!(uri.scheme_str(), Some("http" | "https"))
            })
        };
        if !urls.iter().all(proper) {
            return Err(JobError::new(
                options.at(URL, table.at),
                format!("option `{URL}` takes addresses such as 'http://registry:8081'"),
            ));
        }
        let user = options.get("schema.registry.basic.auth.user.info");
        if user.is_some_and(|user| !user.contains(':')) {
            return Err(JobError::new(
                options.at("schema.registry.basic.auth.user.info", table.at),
                "option `schema.registry.basic.auth.user.info` takes `user:password`",
            ));
        }
        Ok(Self {
            urls,
            authorization: user
                .map(|user| Secret(format!("Basic {}", STANDARD.encode(user.trim())))),
            register: options.flag("auto.register.schemas", true),
        })
    }
}

/// What a registry says of an id.
#[derive(Debug)]
pub(crate) enum Explained {
    /// Its schema.
    Known(Box<Schema>),
    /// It has none that can be used: why.
    Unusable(String),
    /// It does not answer, or not now: why.
    Away(String),
    /// It does not let this user in: why.
    Denied(String),
}

/// Why a registry has not answered a question.
enum Trouble {
    /// It does not answer, or not now.
    Away(String),
    /// It knows the user, and does not let it.
    Denied(String),
}

/// How many schemas a schema may refer to, those of those too.
const REFERENCES_MAX: usize = 1_000;

impl From<Trouble> for Explained {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(reason) => Self::Away(reason),
            Trouble::Denied(reason) => Self::Denied(reason),
        }
    }
}

/// Why a schema that is referred to is not there.
enum Reference {
    Trouble(Trouble),
    Unusable(String),
}

/// Subjects and versions that an answer refers to.
fn references_of(body: &Json) -> Vec<(String, i64)> {
    let listed = body["references"].as_array();
    let listed = listed.into_iter().flatten();
    listed
        .filter_map(|one| {
            Some((
                one["subject"].as_str()?.to_owned(),
                one["version"].as_i64()?,
            ))
        })
        .collect()
}

/// A subject as a part of a path.
fn escaped(subject: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    subject
        .bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// The client of a registry.
pub(crate) struct Registry {
    settings: Settings,
    agent: ureq::Agent,
}

impl Registry {
    pub(crate) fn new(settings: &Settings) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("thalweg/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self {
            settings: settings.clone(),
            agent,
        }
    }

    /// Ends questions that are under way, and refuses later ones.
    pub(crate) fn close(&self) {
        self.agent.clone().shutdown();
    }

    /// Asks for the schema of an id. Blocks.
    pub(crate) fn explain(&self, id: u32) -> Explained {
        let (status, body) = match self.ask(&format!("/schemas/ids/{id}"), None) {
            Ok(answer) => answer,
            Err(trouble) => return trouble.into(),
        };
        if status == 404 {
            return Explained::Unusable(format!("the registry has no schema of the id {id}"));
        }
        let unusable = |why: &str| Explained::Unusable(format!("the schema of the id {id} {why}"));
        let kind = body["schemaType"].as_str().unwrap_or("AVRO");
        if kind != "AVRO" {
            return unusable(&format!("is of the kind {kind}, not AVRO"));
        }
        let Some(text) = body["schema"].as_str() else {
            return Explained::Away(self.foreign());
        };
        let parsed = match self.referred(&body) {
            Ok(elsewhere) if elsewhere.is_empty() => Schema::parse_str(text),
            Ok(elsewhere) => match serde_json::from_str(text) {
                Ok(schema) => Schema::parse_str(&references::whole(schema, &elsewhere).to_string()),
                Err(error) => return unusable(&format!("is no schema of Avro: {error}")),
            },
            Err(Reference::Trouble(trouble)) => return trouble.into(),
            Err(Reference::Unusable(why)) => return unusable(&why),
        };
        match parsed {
            Ok(schema) => Explained::Known(Box::new(schema)),
            Err(error) => unusable(&format!("is no schema of Avro: {error}")),
        }
    }

    /// The schemas of other subjects that an answer refers to, and those that these refer to.
    fn referred(&self, body: &Json) -> Result<Vec<Json>, Reference> {
        let mut open = references_of(body);
        let mut seen = Vec::new();
        let mut schemas = Vec::new();
        while let Some(reference) = open.pop() {
            if seen.contains(&reference) {
                continue;
            }
            let (subject, version) = &reference;
            let refers = format!("refers to version {version} of the subject `{subject}`");
            if seen.len() >= REFERENCES_MAX {
                let why = format!("refers to more than {REFERENCES_MAX} schemas");
                return Err(Reference::Unusable(why));
            }
            let path = format!("/subjects/{}/versions/{version}", escaped(subject));
            let (status, body) = self.ask(&path, None).map_err(Reference::Trouble)?;
            let Some(text) = body["schema"].as_str().filter(|_| status == 200) else {
                return Err(Reference::Unusable(format!(
                    "{refers}, which the registry has not"
                )));
            };
            let schema = serde_json::from_str(text).map_err(|error| {
                Reference::Unusable(format!("{refers}, which is no schema of Avro: {error}"))
            })?;
            schemas.push(schema);
            open.extend(references_of(&body));
            seen.push(reference);
        }
        Ok(schemas)
    }

    /// The id of a schema under a subject; registers it where the settings allow it. Blocks.
    ///
    /// # Errors
    /// `Restart` when the registry does not answer, `End` when it has or takes no such schema.
    pub(crate) fn id_of(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        let path = match self.settings.register {
            true => format!("/subjects/{subject}/versions"),
            false => format!("/subjects/{subject}"),
        };
        let (status, body) = self
            .ask(&path, Some(&json!({ "schema": schema })))
            .map_err(|trouble| match trouble {
                Trouble::Away(reason) => Failure::restart(reason),
                Trouble::Denied(reason) => Failure::end(reason),
            })?;
        let said = body["message"].as_str().unwrap_or("no reason is given");
        let (shown, id) = (self.shown(), body["id"].as_u64());
        match (status, id.and_then(|id| u32::try_from(id).ok())) {
            (200, Some(id)) => Ok(id),
            (404, _) => Err(Failure::end(format!(
                "the registry {shown} has not the schema of the output under the subject `{subject}`: {said}. Register it, or leave \
                 auto.register.schemas on; it is {schema}"
            ))),
            (409 | 422, _) => Err(Failure::end(format!(
                "the registry {shown} does not take the schema of the output under the subject `{subject}`: {said}; it is {schema}"
            ))),
            _ => Err(Failure::restart(self.foreign())),
        }
    }

    /// Asks whether it lets this user in. Blocks.
    ///
    /// # Errors
    /// When it does not, or does not answer.
    pub(crate) fn check(&self) -> Result<String, Failure> {
        match self.ask("/subjects", None) {
            Ok((200, _)) => Ok(format!("schema registry {}", self.shown())),
            Ok(_) => Err(Failure::restart(self.foreign())),
            Err(Trouble::Away(reason)) => Err(Failure::restart(reason)),
            Err(Trouble::Denied(reason)) => Err(Failure::end(reason)),
        }
    }

    fn foreign(&self) -> String {
        let shown = self.shown();
        format!("{shown} does not answer as a schema registry does")
    }

    fn shown(&self) -> String {
        let urls: Vec<String> = self
            .settings
            .urls
            .iter()
            .map(|url| shown_url(url))
            .collect();
        urls.join(", ")
    }

    /// Puts a question to the first address that answers. Gives status and answer, or why none answers.
    fn ask(&self, path: &str, body: Option<&Json>) -> Result<(u16, Json), Trouble> {
        let mut reasons = Vec::new();
        for url in &self.settings.urls {
            let of = |reason: String| format!("the schema registry {} {reason}", shown_url(url));
            match self.ask_one(&format!("{url}{path}"), body) {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Denied(reason)) => return Err(Trouble::Denied(of(reason))),
                Err(Trouble::Away(reason)) => reasons.push(of(reason)),
            }
        }
        Err(Trouble::Away(reasons.join("; ")))
    }

    fn ask_one(&self, url: &str, body: Option<&Json>) -> Result<(u16, Json), Trouble> {
        let authorization = self.settings.authorization.as_ref();
        let answer = match body {
            None => {
                let mut request = self.agent.get(url).header("accept", MEDIA);
                if let Some(Secret(value)) = authorization {
                    request = request.header("authorization", value);
                }
                request.call()
            }
            Some(body) => {
                let mut request = self.agent.post(url).header("accept", MEDIA);
                request = request.header("content-type", MEDIA);
                if let Some(Secret(value)) = authorization {
                    request = request.header("authorization", value);
                }
                request.send(body.to_string())
            }
        };
        let away = |reason: String| Trouble::Away(reason);
        let mut answer = answer.map_err(|error| away(format!("does not answer: {error}")))?;
        let status = answer.status();
        match status.as_u16() {
            200 | 404 | 409 | 422 => {}
            401 => return Err(away(self.unknown_user(&status.to_string()))),
            403 => {
                return Err(Trouble::Denied(format!(
                    "answers {status}: this user lacks the right to read or register schemas there"
                )));
            }
            _ => return Err(away(format!("answers {status}"))),
        }
        let text = answer
            .body_mut()
            .read_to_string()
            .map_err(|error| away(format!("does not answer to the end: {error}")))?;
        match serde_json::from_str(&text) {
            Ok(body) => Ok((status.as_u16(), body)),
            // A 404 of something that is no registry has no JSON; it must not pass for an unknown id.
            Err(_) => Err(away(format!(
                "answers {status}, but not as a registry does"
            ))),
        }
    }

    /// A login may be mended on the other side, as a broker's may: it is tried again.
    fn unknown_user(&self, status: &str) -> String {
        let what = match self.settings.authorization {
            Some(_) => "user and password of `schema.registry.basic.auth.user.info` are not taken",
            None => "it wants a login, and there is no `schema.registry.basic.auth.user.info`",
        };
        format!("answers {status}: {what}")
    }
}
