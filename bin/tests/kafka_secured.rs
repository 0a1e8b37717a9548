//! Logins and certificates, each used by a whole job: SCRAM, PLAIN over TLS, mutual TLS, OAUTHBEARER. What is wrong is
//! said within ten seconds, with the address, and no secret is ever shown.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use stage::{Account, Broker, Loyalty, PATIENCE, Scene, Tokens, invoices};

const PASSWORD: &str = "correct-horse";
const WRONG: &str = "battery-staple";
const STORE: &str = "store-secret";
/// How each token begins.
const TOKEN: &str = "eyJhbGciOiJub25lIn0";

/// How long it may take until a user reads what is wrong.
const SOON: Duration = Duration::from_secs(10);

/// A broker with a listener for each way in, and the files that its users have.
struct Fortress {
    broker: Broker,
    files: PathBuf,
    scram: String,
    login: String,
    mutual: String,
    token: String,
}

/// Options of a table, without the broker's address.
type Options<'a> = Vec<(&'a str, String)>;

fn run(folder: &Path, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

/// Two authorities; a broker and a client that the first has signed, a client that the second has; stores of both kinds.
fn certificates(folder: &Path) {
    for authority in ["ca", "other"] {
        run(
            folder,
            &format!(
                "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
            ),
        );
    }
    std::fs::write(
        folder.join("names"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n",
    )
    .unwrap();
    for (name, authority) in [("broker", "ca"), ("client", "ca"), ("stranger", "other")] {
        run(
            folder,
            &format!(
                "openssl req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
            ),
        );
        run(
            folder,
            &format!(
                "openssl x509 -req -days 30 -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
                 -extfile names -out {name}.crt"
            ),
        );
        // Java's PEM store: the key, then the chain.
        let part =
            |kind: &str| std::fs::read_to_string(folder.join(format!("{name}.{kind}"))).unwrap();
        std::fs::write(
            folder.join(format!("{name}.pem")),
            part("key") + &part("crt"),
        )
        .unwrap();
        // As Java's tool writes one, which is what people have.
        run(
            folder,
            &format!(
                "openssl pkcs12 -export -in {name}.pem -name {name} -out {name}.tmp -passout pass:{STORE}"
            ),
        );
        run(
            folder,
            &format!(
                "keytool -importkeystore -noprompt -srckeystore {name}.tmp -srcstoretype PKCS12 -srcstorepass {STORE} \
                 -destkeystore {name}.p12 -deststoretype PKCS12 -deststorepass {STORE}"
            ),
        );
    }
    run(
        folder,
        &format!(
            "keytool -importcert -noprompt -alias ca -file ca.pem -keystore trust.p12 -storetype PKCS12 -storepass {STORE}"
        ),
    );
}

/// Gives a user a password for SCRAM.
fn credential(broker: &Broker, user: &str, strength: &str, password: &str) {
    let credential = format!("{strength}=[password={password}]");
    let user = ["--alter", "--entity-type", "users", "--entity-name", user];
    let words = [&user[..], &["--add-config", &credential]].concat();
    broker.tool("kafka.admin.ConfigCommand", &words);
}

fn fortress() -> &'static Fortress {
    static FORTRESS: OnceLock<Fortress> = OnceLock::new();
    FORTRESS.get_or_init(|| {
        let files = tempfile::TempDir::with_prefix("thalweg-files-").unwrap().keep();
        certificates(&files);
        // Below the range from which outgoing connections take their ports.
        let mut ports = (20_000..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let [scram, login, mutual, token] = [(); 4].map(|()| ports.next().unwrap());
        let path = |name: &str| files.join(name).display().to_string();
        let module = "org.apache.kafka.common.security";
        let options = [
            "--listener".to_owned(),
            format!("SCRAM=SASL_PLAINTEXT:{scram}"),
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
            format!("listener.name.scram.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
            format!("listener.name.scram.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
            "--listener".to_owned(),
            format!("LOGIN=SASL_SSL:{login}"),
            "listener.name.login.sasl.enabled.mechanisms=PLAIN".to_owned(),
            format!("listener.name.login.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_alice=\"{PASSWORD}\";"),
            "--listener".to_owned(),
            format!("MUTUAL=SSL:{mutual}"),
            "listener.name.mutual.ssl.client.auth=required".to_owned(),
            "--listener".to_owned(),
            format!("TOKEN=SASL_PLAINTEXT:{token}"),
            "listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
            format!("listener.name.token.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", path("broker.pem")),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={}", path("ca.pem")),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let broker = Broker::start(&options);
        for strength in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            credential(&broker, "alice", strength, PASSWORD);
        }
        let at = |port: u16| format!("127.0.0.1:{port}");
        Fortress {
            broker,
            files,
            scram: at(scram),
            login: at(login),
            mutual: at(mutual),
            token: at(token),
        }
    })
}

fn file(name: &str) -> String {
    fortress().files.join(name).display().to_string()
}

/// A login in Java's words.
fn jaas(module: &str, password: &str) -> (&'static str, String) {
    (
        "sasl.jaas.config",
        format!(
            "org.apache.kafka.common.security.{module} required username=\"alice\" password=\"{password}\";"
        ),
    )
}

fn options<'a>(protocol: &str, more: &[(&'a str, String)]) -> Options<'a> {
    let mut options = vec![("security.protocol", protocol.to_owned())];
    options.extend_from_slice(more);
    options
}

/// The loyalty job of a scene, at one of the guarded addresses.
fn job(scene: &Scene, address: &str, options: &Options<'_>) -> PathBuf {
    let mut way = format!("kafka.bootstrap.servers '{address}'");
    for (name, value) in options {
        way.push_str(&format!(", kafka.{name} '{value}'"));
    }
    let text = Loyalty::default()
        .text(scene)
        .replace("kafka.bootstrap.servers '${KAFKA}'", &way);
    scene.write(&text)
}

fn scene(name: &str) -> Scene {
    let scene = Scene::with_topics(name, &fortress().broker, 2);
    scene.topics.send(&scene.input(), &invoices(0..10));
    scene
}

/// The whole job runs this way: it reads, writes, commits and shows no secret, however much it is asked to say.
#[track_caller]
fn works(name: &str, address: &str, options: &Options<'_>) {
    let scene = scene(name);
    let mut wordy = options.clone();
    wordy.push(("debug", "all".to_owned()));
    let job = job(&scene, address, &wordy);
    let path = job.to_str().unwrap();
    let check = scene.call(&["check", path, "--connect"]);
    check.expect(0, &[address]);
    let mut running = scene.run_with(&job, &["--log-level", "trace,kafka=trace"]);
    scene.until_out(10, PATIENCE);
    running.until_ready();
    let shown = running.everything();
    let said = running.finish();
    assert!(
        said.err.contains("SASL") || said.err.contains("SSL"),
        "{said:?}"
    );
    Account::of(&scene).expect_exactly(10);
    assert_eq!(
        scene
            .topics
            .committed(&scene.group(), &scene.input())
            .iter()
            .sum::<i64>(),
        10
    );
    hides(&format!("{check:?}{said:?}{shown}"));
}

/// Nothing runs this way: `check` and `run` say the address and these words in time.
#[track_caller]
fn fails(name: &str, address: &str, options: &Options<'_>, words: &[&str]) {
    let scene = scene(name);
    let job = job(&scene, address, options);
    let path = job.to_str().unwrap();
    let began = Instant::now();
    let check = scene.call(&["check", path, "--connect"]);
    assert!(began.elapsed() < SOON, "too late: {check:?}");
    check.expect(2, &[address]);
    check.expect(2, words);
    let mut running = scene.run(&job);
    let line = running.until_said("the run failed, a new one begins", SOON);
    for word in words.iter().chain([&address]) {
        assert!(line.contains(word), "`{word}` is not said: {line}");
    }
    // It may be put right at the broker: the query goes on trying.
    assert_eq!(running.get("/ready").0, 503);
    let said = running.finish();
    hides(&format!("{check:?}{said:?}"));
}

/// A command that is over while a connection may still be logging in ends by itself, not by a signal.
#[track_caller]
fn ends_cleanly(name: &str, address: &str, options: &Options<'_>) {
    let scene = scene(name);
    let job = job(&scene, address, options);
    for _ in 0..15 {
        let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
        check.expect(0, &[address]);
    }
}

#[track_caller]
fn hides(said: &str) {
    for secret in [PASSWORD, WRONG, STORE, TOKEN] {
        if let Some(at) = said.find(secret) {
            let before = said.get(at.saturating_sub(300)..at).unwrap_or(said);
            panic!("a secret is shown: {before}{secret}");
        }
    }
}

#[test]
fn scram_in_both_strengths() {
    let address = &fortress().scram;
    for (name, mechanism) in [("scram256", "SCRAM-SHA-256"), ("scram512", "SCRAM-SHA-512")] {
        let login = |password| {
            options(
                "SASL_PLAINTEXT",
                &[
                    ("sasl.mechanism", mechanism.to_owned()),
                    jaas("scram.ScramLoginModule", password),
                ],
            )
        };
        works(name, address, &login(PASSWORD));
        ends_cleanly(&format!("{name}-ends"), address, &login(PASSWORD));
        fails(
            &format!("{name}-wrong"),
            address,
            &login(WRONG),
            &["refuses the login"],
        );
    }
}

#[test]
fn a_password_over_tls_with_certificates_from_pem_and_from_pkcs12() {
    let address = &fortress().login;
    let login = |password, trust: &[(&'static str, String)]| {
        let mut all = options("SASL_SSL", &[("sasl.mechanism", "PLAIN".to_owned())]);
        all.push(jaas("plain.PlainLoginModule", password));
        all.extend_from_slice(trust);
        all
    };
    let pem = [("ssl.truststore.location", file("ca.pem"))];
    let pkcs12 = [
        ("ssl.truststore.location", file("trust.p12")),
        ("ssl.truststore.password", STORE.to_owned()),
    ];
    works("tlspem", address, &login(PASSWORD, &pem));
    works("tlspkcs12", address, &login(PASSWORD, &pkcs12));
    fails(
        "tlswrong",
        address,
        &login(WRONG, &pem),
        &["refuses the login"],
    );
    // A broker whose certificate nobody of the trusted has signed, and one that no certificate is trusted for.
    let other = [("ssl.truststore.location", file("other.pem"))];
    for (name, trust) in [("tlsother", &other[..]), ("tlsnone", &[])] {
        fails(
            name,
            address,
            &login(PASSWORD, trust),
            &[
                "certificate that is not trusted",
                "kafka.ssl.truststore.location",
            ],
        );
    }
    // TLS where the broker knows none.
    fails(
        "tlsplain",
        fortress().broker.bootstrap(),
        &options("SSL", &[]),
        &["by TLS", "kafka.security.protocol"],
    );
}

#[test]
fn a_client_that_shows_its_certificate_from_pem_and_from_pkcs12() {
    let address = &fortress().mutual;
    let shown = |store: &[(&'static str, String)]| {
        let mut all = options("SSL", &[("ssl.truststore.location", file("ca.pem"))]);
        all.extend_from_slice(store);
        all
    };
    let pkcs12 = |name: &str, password: &str| {
        [
            ("ssl.keystore.location", file(name)),
            ("ssl.keystore.password", password.to_owned()),
        ]
    };
    works(
        "mutualpem",
        address,
        &shown(&[("ssl.keystore.location", file("client.pem"))]),
    );
    works(
        "mutualpkcs12",
        address,
        &shown(&pkcs12("client.p12", STORE)),
    );
    fails(
        "mutualnone",
        address,
        &shown(&[]),
        &["by TLS", "kafka.ssl.keystore"],
    );
    fails(
        "mutualstranger",
        address,
        &shown(&pkcs12("stranger.p12", STORE)),
        &["by TLS", "kafka.ssl.keystore"],
    );
}

#[test]
fn a_key_store_that_cannot_be_opened_is_refused_and_named() {
    let scene = scene("storewrong");
    for (what, store, password) in [
        ("a wrong password", "client.p12", WRONG),
        ("no such file", "nowhere.p12", STORE),
    ] {
        let store = file(store);
        let options = options(
            "SSL",
            &[
                ("ssl.truststore.location", file("ca.pem")),
                ("ssl.keystore.location", store.clone()),
                ("ssl.keystore.password", password.to_owned()),
            ],
        );
        let job = job(&scene, &fortress().mutual, &options);
        let said = scene.run(&job).end(SOON);
        assert_eq!(said.code, 2, "{what}: {said:?}");
        assert!(said.err.contains(&store), "{what}: {said:?}");
        hides(&said.err);
    }
}

#[test]
fn a_token_that_the_client_makes_itself() {
    let login = |principal: &str| {
        options(
            "SASL_PLAINTEXT",
            &[
                ("sasl.mechanism", "OAUTHBEARER".to_owned()),
                (
                    "sasl.jaas.config",
                    format!(
                        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                         unsecuredLoginStringClaim_sub=\"{principal}\";"
                    ),
                ),
            ],
        )
    };
    works("tokenown", &fortress().token, &login("alice"));
}

#[test]
fn a_token_from_an_endpoint_is_fetched_and_fetched_again_before_it_expires() {
    let tokens = Tokens::serve("shop", PASSWORD, Duration::from_secs(5));
    let login = |secret: &str| {
        options(
            "SASL_PLAINTEXT",
            &[
                ("sasl.mechanism", "OAUTHBEARER".to_owned()),
                ("sasl.oauthbearer.token.endpoint.url", tokens.url()),
                (
                    "sasl.jaas.config",
                    format!(
                        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"shop\" \
                         clientSecret=\"{secret}\" scope=\"kafka\";"
                    ),
                ),
            ],
        )
    };
    let address = &fortress().token;
    works("tokenendpoint", address, &login(PASSWORD));
    fails(
        "tokenwrong",
        address,
        &login(WRONG),
        &[
            "no token has come",
            "kafka.sasl.oauthbearer.token.endpoint.url",
        ],
    );

    // A job that outlives its tokens.
    let scene = scene("tokenlong");
    let running = scene.started(&job(&scene, address, &login(PASSWORD)));
    let before = tokens.given();
    stage::until("tokens are fetched anew", PATIENCE, || {
        tokens.given() > before + 4
    });
    scene.topics.send(&scene.input(), &invoices(10..20));
    scene.until_out(20, PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(20);
}

/// A job under load whose files change twice: to what the broker does not take, and to what it takes. The process stays, the
/// clients of before go on until the new ones are taken, and each record comes out once.
#[track_caller]
fn renews(scene: &Scene, address: &str, options: &Options<'_>, change: impl Fn(), mend: impl Fn()) {
    let mut running = scene.started(&job(scene, address, options));
    let load = scene.load(300);
    scene.until_out(100, PATIENCE);
    change();
    running.until_said("cannot be used yet, the clients of before go on", PATIENCE);
    let held = scene.topics.count(&scene.output());
    scene.until_out(held + 100, PATIENCE);
    assert!(!running.said().contains("new clients are made"));
    mend();
    running.until_said("new clients are made", PATIENCE);
    let held = scene.topics.count(&scene.output());
    scene.until_out(held + 300, PATIENCE);
    running.until_ready();
    assert!(running.metric("thalweg_restarts_total").abs() < f64::EPSILON);
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    let said = running.finish();
    Account::of(scene).expect_exactly(sent);
    assert_eq!(
        said.err.matches("new clients are made").count(),
        1,
        "{}",
        said.err
    );
    hides(&format!("{said:?}"));
}

#[test]
fn a_new_password_in_its_file_makes_new_clients_and_nothing_is_lost_or_repeated() {
    let fortress = fortress();
    let strength = "SCRAM-SHA-512";
    credential(&fortress.broker, "bob", strength, PASSWORD);
    let scene = Scene::with_topics("renewpassword", &fortress.broker, 2);
    let secret = scene.dir().join("password");
    std::fs::write(&secret, PASSWORD).unwrap();
    let login = options(
        "SASL_PLAINTEXT",
        &[
            ("sasl.mechanism", strength.to_owned()),
            ("sasl.username", "bob".to_owned()),
            ("sasl.password", format!("${{file:{}}}", secret.display())),
        ],
    );
    // The file first, the broker later.
    renews(
        &scene,
        &fortress.scram,
        &login,
        || std::fs::write(&secret, WRONG).unwrap(),
        || credential(&fortress.broker, "bob", strength, WRONG),
    );
}

#[test]
fn a_new_certificate_in_its_files_makes_new_clients_and_nothing_is_lost_or_repeated() {
    let fortress = fortress();
    let scene = Scene::with_topics("renewcertificate", &fortress.broker, 2);
    let place = |kind: &str| scene.dir().join(format!("tls.{kind}"));
    let take = |who: &str| {
        for kind in ["crt", "key"] {
            std::fs::copy(file(&format!("{who}.{kind}")), place(kind)).unwrap();
        }
    };
    take("client");
    let shown = options(
        "SSL",
        &[
            ("ssl.ca.location", file("ca.pem")),
            (
                "ssl.certificate.location",
                place("crt").display().to_string(),
            ),
            ("ssl.key.location", place("key").display().to_string()),
        ],
    );
    // One that nobody trusts, then one that the authority has signed.
    renews(
        &scene,
        &fortress.mutual,
        &shown,
        || take("stranger"),
        || take("broker"),
    );
}
