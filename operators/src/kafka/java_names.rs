//! Client properties by Java's names: translated to the C client's, or refused with the way out.

use super::jaas;
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
            "sasl.jaas.config" => jaas::login(entry, options, &mut out)?,
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
                out.push(native(&name), &entry.value);
            }
        }
    }
    Ok(out)
}

/// The C client's name of a property that is only called otherwise.
pub(crate) fn native(name: &str) -> &str {
    RENAMED
        .iter()
        .find(|(java, _)| *java == name)
        .map_or(name, |(_, ours)| ours)
}

/// The property's name in lower case; None for an option that is not the client's.
pub(crate) fn property_name(entry: &OptionValue) -> Option<String> {
    let name = entry.name.to_ascii_lowercase();
    name.strip_prefix("kafka.").map(str::to_owned)
}

impl Translated {
    pub(super) fn push(&mut self, name: &str, value: &str) {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::job_error::Location;

    pub(in crate::kafka) fn translated(entries: &[(&str, &str)]) -> Result<Translated, JobError> {
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

    pub(in crate::kafka) fn has(translated: &Translated, name: &str, value: &str) -> bool {
        translated
            .properties
            .iter()
            .any(|(n, v)| n == name && v == value)
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
