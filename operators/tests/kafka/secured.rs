//! Logins, certificates and rights.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use thalweg_engine::error::{Failure, Remedy};
use thalweg_engine::schema::DataType;
use thalweg_operators::kafka::check_connect;
use thalweg_operators::table::{Options, Table};
use thalweg_operators::{sinks, sources};

use crate::broker::{Broker, free_port};
use crate::drivers::{context, output, table};

/// A broker with certificates, where alice may read and write the topic `open` and nothing else.
struct Secured {
    broker: Broker,
    folder: std::path::PathBuf,
    plain: String,
    tls: String,
}

static SECURED: LazyLock<Secured> = LazyLock::new(Secured::start);

fn run(program: &str, folder: &Path, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Secured {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_owned();
        run(
            "keytool",
            &folder,
            &[
                "-genkeypair",
                "-alias",
                "broker",
                "-keyalg",
                "RSA",
                "-keystore",
                "broker.p12",
                "-storetype",
                "PKCS12",
                "-storepass",
                "secret1",
                "-dname",
                "CN=localhost",
                "-ext",
                "SAN=IP:127.0.0.1,DNS:localhost",
                "-validity",
                "30",
            ],
        );
        run(
            "keytool",
            &folder,
            &[
                "-exportcert",
                "-rfc",
                "-alias",
                "broker",
                "-keystore",
                "broker.p12",
                "-storepass",
                "secret1",
                "-file",
                "ca.pem",
            ],
        );
        run(
            "keytool",
            &folder,
            &[
                "-importcert",
                "-noprompt",
                "-alias",
                "ca",
                "-file",
                "ca.pem",
                "-keystore",
                "trust.p12",
                "-storetype",
                "PKCS12",
                "-storepass",
                "secret2",
            ],
        );
        let (plain, tls) = (free_port(), free_port());
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"wonder\";";
        let store = folder.join("broker.p12");
        let broker = Broker::start_with(
            dir,
            &[
                "--listener",
                &format!("LOGIN=SASL_PLAINTEXT:{plain}"),
                "--listener",
                &format!("SECURE=SASL_SSL:{tls}"),
                "sasl.enabled.mechanisms=PLAIN",
                &format!("listener.name.login.plain.sasl.jaas.config={jaas}"),
                &format!("listener.name.secure.plain.sasl.jaas.config={jaas}"),
                &format!("ssl.keystore.location={}", store.display()),
                "ssl.keystore.type=PKCS12",
                "ssl.keystore.password=secret1",
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:ANONYMOUS",
            ],
        );
        broker.make_topic("open", 2, &[]);
        broker.make_topic("closed", 1, &[]);
        for (operation, topic) in [("All", "open"), ("Describe", "closed")] {
            broker.tool(
                "org.apache.kafka.tools.AclCommand",
                &[
                    "--add",
                    "--allow-principal",
                    "User:alice",
                    "--operation",
                    operation,
                    "--topic",
                    topic,
                ],
            );
        }
        broker.tool(
            "org.apache.kafka.tools.AclCommand",
            &[
                "--add",
                "--allow-principal",
                "User:alice",
                "--operation",
                "All",
                "--group",
                "*",
            ],
        );
        Self {
            broker,
            folder,
            plain: format!("127.0.0.1:{plain}"),
            tls: format!("127.0.0.1:{tls}"),
        }
    }

    fn table(&self, address: &str, password: &str, options: &[(&str, &str)]) -> Table {
        let jaas = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"{password}\";"
        );
        let protocol = if address == self.tls {
            "SASL_SSL"
        } else {
            "SASL_PLAINTEXT"
        };
        let mut all = vec![
            ("kafka.security.protocol", protocol),
            ("kafka.sasl.mechanism", "PLAIN"),
            ("kafka.sasl.jaas.config", jaas.as_str()),
        ];
        all.extend_from_slice(options);
        let mut table = table(&self.broker, None, &all);
        let mut entries: Vec<_> = table.options.iter().cloned().collect();
        entries[0].value = address.to_owned();
        table.options = Options::new(entries);
        table
    }
}

fn resolve(table: &Table) -> Result<usize, Failure> {
    sources::kafka::columns(table).unwrap();
    let source = sources::kafka::open(table, &[1], None, None, None, &context("secured"))?;
    source.resolve(None).map(|starts| starts.len())
}

#[test]
fn a_login_in_javas_words_is_understood() {
    let broker = &*SECURED;
    let table = broker.table(&broker.plain, "wonder", &[("subscribe", "open")]);
    assert_eq!(resolve(&table).unwrap(), 2);
}

#[test]
fn a_wrong_password_is_said_within_ten_seconds_and_never_shown() {
    let broker = &*SECURED;
    let table = broker.table(&broker.plain, "wrong-one", &[("subscribe", "open")]);
    let began = Instant::now();
    let failure = resolve(&table).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "too late");
    assert!(failure.message.contains("refuses the login"), "{failure}");
    assert!(failure.message.contains(&broker.plain), "{failure}");
    assert!(!failure.message.contains("wrong-one"), "{failure}");
}

#[test]
fn certificates_are_trusted_from_pem_and_from_pkcs12() {
    let broker = &*SECURED;
    let path = |name: &str| broker.folder.join(name).display().to_string();
    let (pem, p12) = (path("ca.pem"), path("trust.p12"));
    for trust in [
        vec![("kafka.ssl.truststore.location", pem.as_str())],
        vec![
            ("kafka.ssl.truststore.location", p12.as_str()),
            ("kafka.ssl.truststore.password", "secret2"),
        ],
    ] {
        let mut options = trust.clone();
        options.push(("subscribe", "open"));
        let table = broker.table(&broker.tls, "wonder", &options);
        assert_eq!(resolve(&table).unwrap(), 2, "{trust:?}");
    }
    // Without the certificate, and with a wrong password of its store.
    let table = broker.table(&broker.tls, "wonder", &[("subscribe", "open")]);
    let failure = resolve(&table).unwrap_err();
    assert!(
        failure
            .message
            .contains("a certificate that is not trusted"),
        "{failure}"
    );
    let table = broker.table(
        &broker.tls,
        "wonder",
        &[
            ("subscribe", "open"),
            ("kafka.ssl.truststore.location", &p12),
            ("kafka.ssl.truststore.password", "no"),
        ],
    );
    let failure = resolve(&table).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(failure.message.contains("truststore.password"), "{failure}");
}

#[test]
fn a_missing_right_is_named() {
    let broker = &*SECURED;
    let read = |topic: &str| broker.table(&broker.plain, "wonder", &[("subscribe", topic)]);
    let report = check_connect(&read("open"), true, &context("rights")).unwrap();
    assert_eq!(report.topics[0].partitions, 2);
    assert!(report.topics[0].missing.is_empty(), "{report:?}");
    let report = check_connect(&read("closed"), true, &context("rights")).unwrap();
    assert_eq!(report.topics[0].missing, ["READ"]);
    let write = |topic: &str| broker.table(&broker.plain, "wonder", &[("topic", topic)]);
    let report = check_connect(&write("closed"), false, &context("rights")).unwrap();
    assert_eq!(report.topics[0].missing, ["WRITE"]);
    // One that may not be described looks like one that does not exist, or says so.
    let failure = check_connect(&read("hidden"), true, &context("rights")).unwrap_err();
    assert!(failure.message.contains("hidden"), "{failure}");
}

#[test]
fn writing_without_the_right_ends_the_query() {
    let broker = &*SECURED;
    let schema = output(&[("value", DataType::String)]);
    let table = broker.table(&broker.plain, "wonder", &[("topic", "closed")]);
    let sink = sinks::kafka::open(&table, &schema, None, None, &context("forbidden")).unwrap();
    let (mut writer, _) = crate::drivers::open_writer(&sink, "lane");
    crate::drivers::write(&mut writer, &["x".into()]);
    let failure = crate::broker::wait(writer.delivered()).unwrap_err();
    assert_eq!(failure.remedy, Remedy::End, "{failure}");
    assert!(failure.message.contains("closed"), "{failure}");
}
