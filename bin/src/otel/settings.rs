//! What the environment says of traces: the variables that OpenTelemetry gives all programs.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use thalweg_engine::spans::{Root, Sampler};
use ureq::http::{HeaderName, HeaderValue, Uri};

/// The share of records that is traced where nothing is said and no sender has decided: 1 in 1000.
const SHARE: f64 = 0.001;

/// How spans are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Protobuf,
    Json,
}

/// What is wanted.
pub(super) struct Settings {
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) protocol: Protocol,
    pub(super) gzip: bool,
    pub(super) timeout: Duration,
    /// The file of authorities whose certificates are trusted.
    pub(super) authorities: Option<String>,
    pub(super) sampler: Sampler,
    /// What is said of this process.
    pub(super) resource: Vec<(String, String)>,
    pub(super) queue_max: usize,
    pub(super) batch_max: usize,
    /// How long spans wait for others at most.
    pub(super) delay: Duration,
}

impl Settings {
    /// The address as it may be shown: what stands behind it may be a secret.
    pub(super) fn shown(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }
}

/// Variables; one that is empty is as one that is not there.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// That of traces, else that of all signals, with the name of the one that counts.
    fn exporter(&self, name: &str) -> Option<(String, String)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_TRACES_{name}"),
            format!("OTEL_EXPORTER_OTLP_{name}"),
        ];
        let mut names = names.into_iter();
        names.find_map(|name| Some((self.get(&name)?, name)))
    }

    fn number<T: FromStr + PartialOrd + Display + Copy>(
        &self,
        name: &str,
        otherwise: T,
        least: T,
    ) -> Result<T, String> {
        let Some(value) = self.get(name) else {
            return Ok(otherwise);
        };
        match value.parse() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(format!(
                "{name} is `{value}`: it takes a whole number from {least} on"
            )),
        }
    }
}

/// What is wanted; None where no traces are.
///
/// # Errors
/// With the variable that is wrong, and what it takes.
pub(super) fn read(
    look: &dyn Fn(&str) -> Option<String>,
    job: &str,
    member: Option<&str>,
) -> Result<Option<Settings>, String> {
    let variables = Variables(look);
    let says = |name: &str, value: &str| {
        let said = variables.get(name);
        said.is_some_and(|said| said.eq_ignore_ascii_case(value))
    };
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let Some(url) = url(&variables)? else {
        return Ok(None);
    };
    let protocol = match variables.exporter("PROTOCOL") {
        None => Protocol::Protobuf,
        Some((value, name)) => match value.as_str() {
            "http/protobuf" => Protocol::Protobuf,
            "http/json" => Protocol::Json,
            _ => {
                return Err(format!(
                    "{name} is `{value}`: traces are sent by http/protobuf and http/json, which collectors take at port 4318. \
                     Set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT for this job, or \
                     OTEL_TRACES_EXPORTER=none for no traces"
                ));
            }
        },
    };
    let gzip = match variables.exporter("COMPRESSION") {
        None => false,
        Some((value, name)) => match value.as_str() {
            "gzip" => true,
            "none" => false,
            _ => return Err(format!("{name} is `{value}`: it takes gzip and none")),
        },
    };
    let queue_max = variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048, 1)?;
    Ok(Some(Settings {
        url,
        headers: headers(&variables)?,
        protocol,
        gzip,
        timeout: Duration::from_millis(timeout(&variables)?),
        authorities: variables.exporter("CERTIFICATE").map(|(path, _)| path),
        sampler: sampler(&variables)?,
        resource: resource(&variables, job, member),
        queue_max,
        batch_max: variables
            .number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1)?
            .min(queue_max),
        delay: Duration::from_millis(variables.number("OTEL_BSP_SCHEDULE_DELAY", 5_000, 1)?),
    }))
}

fn url(variables: &Variables<'_>) -> Result<Option<String>, String> {
    let Some((value, name)) = variables.exporter("ENDPOINT") else {
        return Ok(None);
    };
    let known = value
        .parse::<Uri>()
        .ok()
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    let authority = known.as_ref().and_then(Uri::authority);
    if authority.is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(format!(
            "{name} holds a user: who is asked for one says so in OTEL_EXPORTER_OTLP_HEADERS"
        ));
    }
    if known.is_none() {
        return Err(format!(
            "{name} is no address: it takes a URL such as http://collector:4318"
        ));
    }
    // That of all signals is where each has a path of its own.
    Ok(Some(match name.contains("TRACES") {
        true => value,
        false => format!("{}/v1/traces", value.trim_end_matches('/')),
    }))
}

fn timeout(variables: &Variables<'_>) -> Result<u64, String> {
    match variables.exporter("TIMEOUT") {
        None => Ok(10_000),
        Some((_, name)) => variables.number(&name, 10_000, 1),
    }
}

/// The headers of each request. No message shows a value: it may be a secret.
fn headers(variables: &Variables<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let Some((value, name)) = variables.exporter("HEADERS") else {
        return Ok(Vec::new());
    };
    pairs(&value)
        .map(|pair| {
            let (key, value) = pair?;
            let value = HeaderValue::from_str(&value).ok()?;
            Some((key.parse::<HeaderName>().ok()?, value))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            format!("{name} is no list of headers: write name=value, more behind commas, with what is special in values as %20")
        })
}

/// `a=b,c=d`, values with their percent signs decoded; None for what is no pair.
fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    parts.map(|part| {
        let (key, value) = part.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then_some((key.to_owned(), decoded(value.trim())?))
    })
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn sampler(variables: &Variables<'_>) -> Result<Sampler, String> {
    let (name, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
    let share = |otherwise| match variables.get(argument) {
        None => Ok(Root::share(otherwise)),
        Some(value) => match value.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Root::share(share)),
            _ => Err(format!(
                "{argument} is `{value}`: it takes a share from 0 to 1"
            )),
        },
    };
    let Some(value) = variables.get(name) else {
        return Ok(Sampler {
            parent_based: true,
            root: share(SHARE)?,
        });
    };
    let own = value.strip_prefix("parentbased_");
    let root = match own.unwrap_or(&value) {
        "always_on" => Root::On,
        "always_off" => Root::Off,
        "traceidratio" => share(1.0)?,
        _ => {
            return Err(format!(
                "{name} is `{value}`: it takes always_on, always_off, traceidratio, and each of them with parentbased_ before it"
            ));
        }
    };
    Ok(Sampler {
        parent_based: own.is_some(),
        root,
    })
}

/// What is said of this process: the job is the service, unless the user names it.
fn resource(variables: &Variables<'_>, job: &str, member: Option<&str>) -> Vec<(String, String)> {
    let mut known = vec![
        ("service.name".to_owned(), job.to_owned()),
        ("thalweg.job".to_owned(), job.to_owned()),
        ("telemetry.sdk.name".to_owned(), "thalweg".to_owned()),
        ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
        (
            "telemetry.sdk.version".to_owned(),
            super::collector::VERSION.to_owned(),
        ),
    ];
    if let Some(member) = member {
        known.push(("service.instance.id".to_owned(), member.to_owned()));
    }
    let given = variables
        .get("OTEL_RESOURCE_ATTRIBUTES")
        .unwrap_or_default();
    let named = variables.get("OTEL_SERVICE_NAME");
    let named = named.map(|name| ("service.name".to_owned(), name));
    for (key, value) in pairs(&given).flatten().chain(named) {
        match known.iter_mut().find(|(other, _)| *other == key) {
            Some((_, other)) => *other = value,
            None => known.push((key, value)),
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let look = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(&look, "loyalty", Some("pod-1"))
    }

    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    fn given(more: &[(&str, &str)]) -> Settings {
        settings(&[&[AT][..], more].concat()).unwrap().unwrap()
    }

    fn refused(name: &str, value: &str) -> String {
        settings(&[AT, (name, value)]).err().unwrap_or_default()
    }

    #[test]
    fn without_an_endpoint_or_where_they_are_not_wanted_there_are_no_traces() {
        assert!(settings(&[]).unwrap().is_none());
        assert!(settings(&[(AT.0, " ")]).unwrap().is_none());
        for off in [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert!(settings(&[AT, off]).unwrap().is_none());
        }
    }

    #[test]
    fn the_endpoint_of_all_signals_has_a_path_for_traces_and_that_of_traces_is_taken_as_it_is() {
        assert_eq!(given(&[]).url, "http://collector:4318/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://here/spans");
        assert_eq!(given(&[own]).url, "https://here/spans");
        assert!(refused("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "here:4318").contains("no address"));
        let user = refused("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://me:hush@here/");
        assert!(
            user.contains("holds a user") && !user.contains("hush"),
            "{user}"
        );
        let key = given(&[(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://here/?key=hush",
        )]);
        assert_eq!(key.shown(), "http://here/");
    }

    #[test]
    fn headers_and_attributes_are_lists_with_percent_signs() {
        let settings = given(&[
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "Authorization=Bearer%20hush, x-tenant=a=b",
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=test,service.name=other",
            ),
            ("OTEL_SERVICE_NAME", "points"),
        ]);
        let headers = settings.headers.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            headers,
            [("authorization", "Bearer hush"), ("x-tenant", "a=b")]
        );
        let said = |key: &str| {
            let found = settings.resource.iter().find(|(known, _)| known == key);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(said("service.name"), Some("points"));
        assert_eq!(said("service.instance.id"), Some("pod-1"));
        assert_eq!(said("thalweg.job"), Some("loyalty"));
        assert_eq!(said("deployment.environment.name"), Some("test"));
        let refused = refused("OTEL_EXPORTER_OTLP_HEADERS", "hush");
        assert!(refused.contains("no list of headers") && !refused.contains("hush"));
    }

    #[test]
    fn a_sampler_is_named_as_everywhere_and_few_records_are_traced_without_one() {
        let sampler = |name: &str, argument: &str| {
            given(&[
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ])
            .sampler
        };
        let of = |parent_based, root| Sampler { parent_based, root };
        assert_eq!(sampler("", ""), of(true, Root::share(0.001)));
        assert_eq!(sampler("", "0.5"), of(true, Root::share(0.5)));
        assert_eq!(sampler("always_on", ""), of(false, Root::On));
        assert_eq!(sampler("parentbased_always_off", ""), of(true, Root::Off));
        assert_eq!(
            sampler("traceidratio", "0.25"),
            of(false, Root::share(0.25))
        );
        assert_eq!(sampler("parentbased_traceidratio", ""), of(true, Root::On));
        assert!(refused("OTEL_TRACES_SAMPLER", "xray").contains("it takes always_on"));
        assert!(refused("OTEL_TRACES_SAMPLER_ARG", "2").contains("from 0 to 1"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_helps() {
        assert!(refused("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").contains("http/protobuf"));
        assert!(refused("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd").contains("gzip"));
        assert!(refused("OTEL_EXPORTER_OTLP_TIMEOUT", "10 s").contains("whole number"));
        assert!(refused("OTEL_BSP_MAX_QUEUE_SIZE", "0").contains("from 1 on"));
        let json = given(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ]);
        assert_eq!(json.protocol, Protocol::Json);
    }
}
