//! Client properties by Java's names: translated to the C client's, or refused with the way out.

use crate::job_error::JobError;
use crate::table::{OptionValue, Options};

/// Client properties in the C client's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    /// Name and value.
    pub(crate) properties: Vec<(String, String)>,
    /// A PKCS#12 file with certificates to trust, and its password.
    pub(crate) truststore: Option<(String, String)>,
}

/// Java's name, the C client's name.
const RENAMED: &[(&str, &str)] = &[
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("max.request.size", "message.max.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
];

/// Properties that have no place here, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "auto.offset.reset",
        "where reading starts is said by startingOffsets and failOnDataLoss",
    ),
    (
        "key.deserializer",
        "keys are read as bytes; cast them in the query",
    ),
    (
        "value.deserializer",
        "values are read as bytes or by the option format",
    ),
    ("key.serializer", "keys are written as text or bytes"),
    (
        "value.serializer",
        "values are written as text, bytes or by the option format",
    ),
    (
        "enable.auto.commit",
        "positions are kept in the checkpoint and committed with it",
    ),
    (
        "enable.auto.offset.store",
        "positions are kept in the checkpoint and committed with it",
    ),
    (
        "auto.commit.interval.ms",
        "positions are committed with each checkpoint: see checkpointInterval",
    ),
    ("interceptor.classes", "there is no Java class to load"),
    (
        "metric.reporters",
        "there is no Java class to load; metrics are on /metrics",
    ),
    (
        "partitioner",
        "keyed records go where Java's default partitioner puts them; the column `partition` overrides it",
    ),
    (
        "partitioner.class",
        "keyed records go where Java's default partitioner puts them; the column `partition` overrides it",
    ),
    (
        "partition.assignment.strategy",
        "partitions are assigned by hand, without a rebalance",
    ),
    (
        "group.instance.id",
        "partitions are assigned by hand, without a rebalance",
    ),
    (
        "group.protocol",
        "partitions are assigned by hand, without a rebalance",
    ),
    ("max.poll.records", "records are taken one by one"),
    (
        "max.poll.interval.ms",
        "partitions are assigned by hand, nothing has to be polled in time",
    ),
    (
        "buffer.memory",
        "what waits to be written is bounded by the sink itself",
    ),
    (
        "queue.buffering.max.kbytes",
        "what waits to be written is bounded by the sink itself",
    ),
    (
        "queue.buffering.max.messages",
        "what waits to be written is bounded by the sink itself",
    ),
    (
        "max.block.ms",
        "a writer never waits: a full sink pauses the input",
    ),
    (
        "delivery.timeout.ms",
        "a record is never given up, see the setting deliveryTimeout",
    ),
    (
        "message.timeout.ms",
        "a record is never given up, see the setting deliveryTimeout",
    ),
    ("default.api.timeout.ms", "set socket.timeout.ms"),
    (
        "enable.idempotence",
        "it is always on: without it a retry may repeat or reorder records",
    ),
    ("enable.gapless.guarantee", "delivery has no gaps already"),
    (
        "transactional.id",
        "output is delivered at least once; transactions are not used",
    ),
    (
        "delivery.report.only.error",
        "every acknowledgement is needed",
    ),
    ("enable.partition.eof", "it is always on"),
    (
        "statistics.interval.ms",
        "it is set by the number of partitions",
    ),
    ("log_level", "the log is set for the whole process"),
    (
        "ssl.protocol",
        "the newest protocol that both sides know is taken",
    ),
    (
        "ssl.enabled.protocols",
        "the newest protocol that both sides know is taken",
    ),
    ("ssl.provider", "there is no Java class to load"),
    ("ssl.engine.factory.class", "there is no Java class to load"),
    (
        "sasl.client.callback.handler.class",
        "there is no Java class to load",
    ),
    ("sasl.login.class", "there is no Java class to load"),
    (
        "sasl.kerberos.service.name",
        "Kerberos is not compiled in; SASL is PLAIN, SCRAM and OAUTHBEARER",
    ),
];

/// Options read together with another one.
const COMPANIONS: &[&str] = &[
    "ssl.truststore.type",
    "ssl.truststore.password",
    "ssl.keystore.type",
    "ssl.keystore.password",
];

/// The Java names that are understood, for advice on a misspelt one.
pub(crate) fn known() -> impl Iterator<Item = &'static str> {
    RENAMED
        .iter()
        .map(|(java, _)| *java)
        .chain([
            "sasl.jaas.config",
            "sasl.login.callback.handler.class",
            "ssl.truststore.location",
            "ssl.keystore.location",
            "ssl.endpoint.identification.algorithm",
        ])
        .chain(COMPANIONS.iter().copied())
}

/// Why a property is refused.
pub(crate) fn refusal(name: &str) -> Option<&'static str> {
    REFUSED
        .iter()
        .find(|(refused, _)| *refused == name)
        .map(|(_, reason)| *reason)
}

/// Translates all `kafka.*` options of a table.
///
/// # Errors
/// For a property that has no place here or whose value cannot be translated.
pub(crate) fn translate(options: &Options) -> Result<Translated, JobError> {
    let mut out = Translated::default();
    for entry in options.iter() {
        let Some(name) = property_name(entry) else {
            continue;
        };
        if let Some(reason) = refusal(&name) {
            return Err(JobError::new(
                entry.at,
                format!("`{}` cannot be set: {reason}", entry.name),
            ));
        }
        match name.as_str() {
            "sasl.jaas.config" => jaas(entry, options, &mut out)?,
            "sasl.login.callback.handler.class" => login_handler(entry, &mut out)?,
            "ssl.truststore.location" => truststore(entry, options, &mut out)?,
            "ssl.keystore.location" => keystore(entry, options, &mut out)?,
            "ssl.endpoint.identification.algorithm" => {
                let algorithm = if entry.value.trim().is_empty() {
                    "none"
                } else {
                    entry.value.trim()
                };
                out.push(&name, algorithm);
            }
            companion if COMPANIONS.contains(&companion) => {
                let location = companion
                    .replace(".type", ".location")
                    .replace(".password", ".location");
                if options.get(&format!("kafka.{location}")).is_none() {
                    return Err(JobError::new(
                        entry.at,
                        format!("`{}` needs `kafka.{location}`", entry.name),
                    ));
                }
            }
            _ => {
                let renamed = RENAMED
                    .iter()
                    .find(|(java, _)| *java == name)
                    .map_or(name.as_str(), |(_, ours)| ours);
                out.push(renamed, &entry.value);
            }
        }
    }
    Ok(out)
}

/// The property's name in lower case; None for an option that is not the client's.
pub(crate) fn property_name(entry: &OptionValue) -> Option<String> {
    let name = entry.name.to_ascii_lowercase();
    name.strip_prefix("kafka.").map(str::to_owned)
}

impl Translated {
    fn push(&mut self, name: &str, value: &str) {
        self.properties.push((name.to_owned(), value.to_owned()));
    }
}

fn login_handler(entry: &OptionValue, out: &mut Translated) -> Result<(), JobError> {
    if entry.value.ends_with("OAuthBearerLoginCallbackHandler") {
        out.push("sasl.oauthbearer.method", "oidc");
        return Ok(());
    }
    Err(JobError::new(
        entry.at,
        format!("`{}` names a Java class, which cannot be loaded here", entry.name),
    )
    .help("for OAUTHBEARER set kafka.sasl.oauthbearer.token.endpoint.url, with client id and secret in sasl.jaas.config"))
}

/// The kind of a store: by its type, else by the file's ending.
fn store_type(
    which: &str,
    entry: &OptionValue,
    options: &Options,
) -> Result<&'static str, JobError> {
    let by_type = options
        .get(&format!("kafka.ssl.{which}.type"))
        .map(|kind| kind.trim().to_ascii_uppercase());
    let path = entry.value.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    match by_type.as_deref() {
        Some("PEM") => Ok("PEM"),
        Some("PKCS12") => Ok("PKCS12"),
        Some("JKS") => Err(jks(which, entry)),
        Some(_) => Err(JobError::new(
            options.at(&format!("kafka.ssl.{which}.type"), entry.at),
            format!("`kafka.ssl.{which}.type` takes PEM or PKCS12"),
        )),
        None if ends(&[".pem", ".crt", ".cer"]) => Ok("PEM"),
        None if ends(&[".p12", ".pfx", ".pkcs12"]) => Ok("PKCS12"),
        // Java's default type.
        None => Err(jks(which, entry)),
    }
}

/// The refusal of a Java key store, with the line that converts it.
fn jks(which: &str, entry: &OptionValue) -> JobError {
    let path = Options::shown(entry);
    let target = path
        .strip_suffix(".jks")
        .map_or_else(|| format!("{path}.p12"), |stem| format!("{stem}.p12"));
    JobError::new(
        entry.at,
        format!("`{}` is a Java key store (JKS), which only Java reads", entry.name),
    )
    .help(format!(
        "convert it: keytool -importkeystore -srckeystore {path} -destkeystore {target} -deststoretype PKCS12 ; then \
         set kafka.ssl.{which}.location to {target} and kafka.ssl.{which}.type to PKCS12"
    ))
}

fn truststore(
    entry: &OptionValue,
    options: &Options,
    out: &mut Translated,
) -> Result<(), JobError> {
    if store_type("truststore", entry, options)? == "PEM" {
        out.push("ssl.ca.location", &entry.value);
    } else {
        let password = options.get("kafka.ssl.truststore.password").unwrap_or("");
        out.truststore = Some((entry.value.clone(), password.to_owned()));
    }
    Ok(())
}

fn keystore(entry: &OptionValue, options: &Options, out: &mut Translated) -> Result<(), JobError> {
    if store_type("keystore", entry, options)? == "PEM" {
        // Java's PEM key store is one file: the private key and the certificate chain.
        out.push("ssl.certificate.location", &entry.value);
        out.push("ssl.key.location", &entry.value);
    } else {
        out.push("ssl.keystore.location", &entry.value);
        if let Some(password) = options.get("kafka.ssl.keystore.password") {
            out.push("ssl.keystore.password", password);
        }
    }
    Ok(())
}

/// `sasl.jaas.config`: a login module with its options.
fn jaas(entry: &OptionValue, options: &Options, out: &mut Translated) -> Result<(), JobError> {
    let wrong = |reason: &str| {
        // Never the value: it holds the password.
        JobError::new(entry.at, format!("`{}` {reason}", entry.name)).help(
            "it looks like: org.apache.kafka.common.security.plain.PlainLoginModule required username=\"…\" password=\"…\";",
        )
    };
    let (module, settings) = parse_jaas(&entry.value).ok_or_else(|| wrong("cannot be read"))?;
    let setting = |name: &str| {
        settings
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let mechanism = options
        .get("kafka.sasl.mechanism")
        .or_else(|| options.get("kafka.sasl.mechanisms"))
        .map(|text| text.trim().to_ascii_uppercase());
    let simple = module.rsplit('.').next().unwrap_or("");
    match simple {
        "PlainLoginModule" | "ScramLoginModule" => {
            let (Some(user), Some(password)) = (setting("username"), setting("password")) else {
                return Err(wrong("names no username and password"));
            };
            if mechanism.is_none() {
                if simple == "ScramLoginModule" {
                    return Err(wrong(
                        "is of SCRAM: set kafka.sasl.mechanism to SCRAM-SHA-256 or SCRAM-SHA-512 too",
                    ));
                }
                out.push("sasl.mechanisms", "PLAIN");
            }
            out.push("sasl.username", user);
            out.push("sasl.password", password);
        }
        "OAuthBearerLoginModule" => oauth(&settings, mechanism.is_none(), options, out),
        "Krb5LoginModule" => {
            return Err(wrong(
                "is of Kerberos, which is not compiled in; SASL is PLAIN, SCRAM and OAUTHBEARER",
            ));
        }
        _ => {
            return Err(wrong(
                "names an unknown login module; known are PlainLoginModule, ScramLoginModule and OAuthBearerLoginModule",
            ));
        }
    }
    Ok(())
}

fn oauth(
    settings: &[(String, String)],
    set_mechanism: bool,
    options: &Options,
    out: &mut Translated,
) {
    if set_mechanism {
        out.push("sasl.mechanisms", "OAUTHBEARER");
    }
    if options
        .get("kafka.sasl.oauthbearer.token.endpoint.url")
        .is_some()
        && options.get("kafka.sasl.oauthbearer.method").is_none()
        && options
            .get("kafka.sasl.login.callback.handler.class")
            .is_none()
    {
        out.push("sasl.oauthbearer.method", "oidc");
    }
    let mut extensions = Vec::new();
    for (name, value) in settings {
        match name.as_str() {
            "clientId" => out.push("sasl.oauthbearer.client.id", value),
            "clientSecret" => out.push("sasl.oauthbearer.client.secret", value),
            "scope" => out.push("sasl.oauthbearer.scope", value),
            "unsecuredLoginStringClaim_sub" => {
                out.push("enable.sasl.oauthbearer.unsecure.jwt", "true");
                out.push("sasl.oauthbearer.config", &format!("principal={value}"));
            }
            _ => {
                if let Some(extension) = name.strip_prefix("extension_") {
                    extensions.push(format!("{extension}={value}"));
                }
            }
        }
    }
    if !extensions.is_empty() {
        out.push("sasl.oauthbearer.extensions", &extensions.join(","));
    }
}

/// Login module and options of a JAAS line: `module flag name="value" ... ;`.
fn parse_jaas(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let text = text.trim().strip_suffix(';').unwrap_or(text.trim());
    let (module, rest) = text.split_once(char::is_whitespace)?;
    let (flag, mut rest) = match rest.trim_start().split_once(char::is_whitespace) {
        Some((flag, rest)) => (flag, rest.trim_start()),
        None => (rest.trim(), ""),
    };
    if !["required", "requisite", "sufficient", "optional"]
        .iter()
        .any(|known| flag.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let mut settings = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next()?;
        let (value, remaining) = if quote == '"' || quote == '\'' {
            quoted(&after[1..], quote)?
        } else {
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        settings.push((name.trim().to_owned(), value));
        rest = remaining.trim_start();
    }
    Some((module.to_owned(), settings))
}

/// The text up to the closing quote, with backslash escapes undone, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        if c == '\\' {
            value.push(chars.next()?.1);
        } else if c == quote {
            return Some((value, &text[index + c.len_utf8()..]));
        } else {
            value.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_error::Location;

    fn translated(entries: &[(&str, &str)]) -> Result<Translated, JobError> {
        translate(&Options::new(
            entries
                .iter()
                .map(|(name, value)| OptionValue {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    substituted: false,
                    at: Location { line: 1, column: 1 },
                })
                .collect(),
        ))
    }

    fn has(translated: &Translated, name: &str, value: &str) -> bool {
        translated
            .properties
            .iter()
            .any(|(n, v)| n == name && v == value)
    }

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"a \\\"b\\\" = c\";";

    #[test]
    fn a_plain_login_gives_name_password_and_mechanism() {
        let out = translated(&[("kafka.sasl.jaas.config", PLAIN)]).unwrap();
        assert!(has(&out, "sasl.username", "alice"));
        assert!(has(&out, "sasl.password", "a \"b\" = c"));
        assert!(has(&out, "sasl.mechanisms", "PLAIN"));
    }

    #[test]
    fn a_scram_login_needs_to_say_which() {
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required username='a' password='b';";
        assert!(translated(&[("kafka.sasl.jaas.config", scram)]).is_err());
        let out = translated(&[
            ("kafka.sasl.jaas.config", scram),
            ("kafka.sasl.mechanism", "SCRAM-SHA-512"),
        ])
        .unwrap();
        assert!(has(&out, "sasl.mechanisms", "SCRAM-SHA-512"));
        assert!(has(&out, "sasl.password", "b"));
    }

    #[test]
    fn a_broken_login_never_shows_its_text() {
        for broken in [
            "x",
            "Plain required username=\"s3cret",
            "a.Krb5LoginModule required x=s3cret;",
        ] {
            let error = translated(&[("kafka.sasl.jaas.config", broken)]).unwrap_err();
            assert!(!error.message.contains("s3cret"));
        }
    }

    #[test]
    fn an_oauth_login_with_an_endpoint_asks_for_tokens_by_oidc() {
        let out = translated(&[
            ("kafka.sasl.oauthbearer.token.endpoint.url", "https://issuer/token"),
            (
                "kafka.sasl.jaas.config",
                "x.OAuthBearerLoginModule required clientId=\"a\" clientSecret=\"b\" scope=\"s\" extension_pool=\"p1\";",
            ),
        ])
        .unwrap();
        for (name, value) in [
            ("sasl.mechanisms", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "a"),
            ("sasl.oauthbearer.client.secret", "b"),
            ("sasl.oauthbearer.extensions", "pool=p1"),
        ] {
            assert!(has(&out, name, value), "{name}");
        }
    }

    #[test]
    fn a_java_key_store_is_refused_with_the_line_that_converts_it() {
        let error = translated(&[("kafka.ssl.truststore.location", "/etc/trust.jks")]).unwrap_err();
        let help = error.help.unwrap();
        assert!(help.contains(
            "keytool -importkeystore -srckeystore /etc/trust.jks -destkeystore /etc/trust.p12"
        ));
    }

    #[test]
    fn stores_of_pem_and_pkcs12_are_translated() {
        let out = translated(&[
            ("kafka.ssl.truststore.location", "/etc/ca.pem"),
            ("kafka.ssl.keystore.location", "/etc/me.p12"),
            ("kafka.ssl.keystore.password", "pw"),
        ])
        .unwrap();
        assert!(has(&out, "ssl.ca.location", "/etc/ca.pem"));
        assert!(has(&out, "ssl.keystore.location", "/etc/me.p12"));
        assert!(has(&out, "ssl.keystore.password", "pw"));
        let out = translated(&[
            ("kafka.ssl.truststore.location", "/etc/ca"),
            ("kafka.ssl.truststore.type", "PKCS12"),
            ("kafka.ssl.truststore.password", "pw"),
        ])
        .unwrap();
        assert_eq!(out.truststore, Some(("/etc/ca".into(), "pw".into())));
    }

    #[test]
    fn what_has_no_place_here_is_refused_with_a_sentence() {
        for name in [
            "auto.offset.reset",
            "enable.auto.commit",
            "key.deserializer",
            "max.poll.records",
        ] {
            let error = translated(&[(&format!("kafka.{name}"), "x")]).unwrap_err();
            assert!(error.message.contains("cannot be set"), "{}", error.message);
        }
    }

    #[test]
    fn other_names_are_renamed_or_pass() {
        let out = translated(&[
            ("kafka.max.request.size", "2000000"),
            ("KAFKA.Fetch.Min.Bytes", "1"),
            ("kafka.ssl.endpoint.identification.algorithm", ""),
        ])
        .unwrap();
        assert!(has(&out, "message.max.bytes", "2000000"));
        assert!(has(&out, "fetch.min.bytes", "1"));
        assert!(has(&out, "ssl.endpoint.identification.algorithm", "none"));
    }
}
