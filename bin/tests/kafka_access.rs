//! Wrong passwords, missing rights and a wrong address: said within ten seconds, with the address or the topic, and never the
//! secret.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use stage::{Account, Broker, Loyalty, PATIENCE, Scene, invoices};

/// A broker that knows users, the address where it wants their passwords, and one where it leads everybody to port 9.
struct Guarded {
    broker: Broker,
    secure: String,
    astray: String,
}

const PASSWORD: &str = "correct-horse";
const WRONG: &str = "battery-staple";

fn guarded() -> &'static Guarded {
    static BROKER: OnceLock<Guarded> = OnceLock::new();
    BROKER.get_or_init(|| {
        // Below the range from which outgoing connections take their ports.
        let mut ports =
            (20_000..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let (port, other) = (ports.next().unwrap(), ports.next().unwrap());
        let users: String = ["alice", "bob", "carol", "dave", "erin"]
            .iter()
            .map(|user| format!(" user_{user}=\"{PASSWORD}\""))
            .collect();
        let jaas = format!(
            "listener.name.secure.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required{users};"
        );
        Guarded {
            broker: Broker::start(&[
                "--listener",
                &format!("SECURE=SASL_PLAINTEXT:{port}"),
                "--listener",
                &format!("ASTRAY=PLAINTEXT:{other}:9"),
                "listener.name.secure.sasl.enabled.mechanisms=PLAIN",
                &jaas,
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:ANONYMOUS",
            ]),
            secure: format!("127.0.0.1:{port}"),
            astray: format!("127.0.0.1:{other}"),
        }
    })
}

/// Gives a user rights.
fn allow(user: &str, rights: &[&str]) {
    let user = format!("User:{user}");
    let mut arguments = vec!["--add", "--allow-principal", &user];
    arguments.extend_from_slice(rights);
    guarded()
        .broker
        .tool("org.apache.kafka.tools.AclCommand", &arguments);
}

/// The job of a user at the guarded address; the password comes from a file, as a secret does.
fn job(scene: &Scene, user: &str, password: &str) -> PathBuf {
    let secret = scene.dir().join("password");
    std::fs::write(&secret, password).unwrap();
    let login = format!(
        "kafka.bootstrap.servers '{}', kafka.security.protocol 'SASL_PLAINTEXT', kafka.sasl.mechanism 'PLAIN', \
         kafka.sasl.username '{user}', kafka.sasl.password '${{file:{}}}'",
        guarded().secure,
        secret.display()
    );
    let text = Loyalty::default()
        .text(scene)
        .replace("kafka.bootstrap.servers '${KAFKA}'", &login);
    scene.write(&text)
}

fn scene(name: &str) -> Scene {
    let scene = Scene::with_topics(name, &guarded().broker, 1);
    scene.topics.send(&scene.input(), &invoices(0..10));
    scene
}

#[test]
fn a_user_with_the_rights_that_it_takes_runs() {
    let scene = scene("granted");
    let (input, output, group) = (scene.input(), scene.output(), scene.group());
    let read = ["--operation", "Read", "--topic", &input, "--group", &group];
    allow("alice", &read);
    let write = [
        "--operation",
        "Write",
        "--operation",
        "DescribeConfigs",
        "--topic",
        &output,
    ];
    allow("alice", &write);
    let job = job(&scene, "alice", PASSWORD);
    scene
        .call(&["check", job.to_str().unwrap(), "--connect"])
        .expect(0, &[]);
    let running = scene.run(&job);
    scene.until_out(10, PATIENCE);
    let said = running.finish();
    assert!(!said.err.contains(PASSWORD), "{}", said.err);
    Account::of(&scene).expect_exactly(10);
    assert_eq!(scene.topics.committed(&group, &input), [10]);

    // The same login as Java programs write it.
    let text = std::fs::read_to_string(&job).unwrap();
    let (before, rest) = text.split_once("kafka.sasl.username").unwrap();
    let (_, after) = rest.split_once("}'").unwrap();
    let jaas = format!(
        "{before}kafka.sasl.jaas.config 'org.apache.kafka.common.security.plain.PlainLoginModule required \
         username=\"alice\" password=\"{PASSWORD}\";'{after}"
    );
    let job = scene.write(&jaas);
    scene.topics.send(&input, &invoices(10..20));
    let running = scene.run(&job);
    scene.until_out(20, PATIENCE);
    running.finish();
}

#[test]
fn a_broker_that_announces_an_address_where_nobody_is_is_told_to_look_at_its_listeners() {
    let scene = scene("astray");
    let astray = &guarded().astray;
    let text = Loyalty::default().text(&scene).replace("${KAFKA}", astray);
    let job = scene.write(&text);
    let told = [astray.as_str(), "127.0.0.1:9", "advertised.listeners"];
    scene
        .call(&["check", job.to_str().unwrap(), "--connect"])
        .expect(2, &told);
    let mut running = scene.run(&job);
    running.until_said("advertised.listeners", Duration::from_secs(15));
    running.finish();
}

#[test]
fn a_wrong_password_is_said_within_ten_seconds() {
    let scene = scene("password");
    let job = job(&scene, "alice", WRONG);
    let address = &guarded().secure;
    let began = Instant::now();
    let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
    check.expect(2, &[address, "password"]);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "too late: {check:?}"
    );
    assert!(
        !check.err.contains(WRONG) && !check.out.contains(WRONG),
        "{check:?}"
    );

    let mut running = scene.run(&job);
    running.until_said("refuses the login", Duration::from_secs(10));
    // A password may be put right at the broker: it goes on trying.
    assert_eq!(running.get("/ready").0, 503);
    assert!(running.alive());
    let said = running.finish();
    assert!(said.err.contains(address.as_str()), "{}", said.err);
    assert!(!said.err.contains(WRONG), "{}", said.err);
}

#[test]
fn a_user_without_any_right_is_told_the_topic() {
    let scene = scene("noright");
    let job = job(&scene, "bob", PASSWORD);
    let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
    assert_eq!(check.code, 2, "{check:?}");
    assert!(check.err.contains("noright-"), "{check:?}");
    let said = scene.run(&job).end(Duration::from_secs(15));
    said.expect(1, &["noright-", "right"]);
    assert!(said.took < Duration::from_secs(10), "too late: {said:?}");
}

#[test]
fn a_user_who_may_see_but_not_read_is_told_so() {
    let scene = scene("noread");
    let (input, output, group) = (scene.input(), scene.output(), scene.group());
    allow("carol", &["--operation", "Describe", "--topic", &input]);
    allow("carol", &["--operation", "Read", "--group", &group]);
    allow("carol", &["--operation", "Write", "--topic", &output]);
    let job = job(&scene, "carol", PASSWORD);
    let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
    check.expect(2, &[&input, "READ"]);
    let said = scene.run(&job).end(Duration::from_secs(20));
    said.expect(1, &[&input, "READ"]);
    assert!(said.took < Duration::from_secs(10), "too late: {said:?}");
}

#[test]
fn a_user_who_may_not_write_is_told_so() {
    let scene = scene("nowrite");
    let (input, output, group) = (scene.input(), scene.output(), scene.group());
    let read = ["--operation", "Read", "--topic", &input, "--group", &group];
    allow("dave", &read);
    allow("dave", &["--operation", "Describe", "--topic", &output]);
    let job = job(&scene, "dave", PASSWORD);
    let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
    check.expect(2, &[&output, "WRITE"]);
    let said = scene.run(&job).end(Duration::from_secs(20));
    said.expect(1, &[&output, "WRITE"]);
    assert!(said.took < Duration::from_secs(10), "too late: {said:?}");
    assert_eq!(scene.topics.count(&output), 0);
    assert_eq!(scene.positions(), [(format!("{input}/0"), 0)]);
}

#[test]
fn a_user_who_may_not_use_the_group_is_told_so() {
    let scene = scene("nogroup");
    let (input, output, group) = (scene.input(), scene.output(), scene.group());
    allow("erin", &["--operation", "Read", "--topic", &input]);
    // Nor may it ask for the limits of the output, which it can do without.
    allow("erin", &["--operation", "Write", "--topic", &output]);
    let job = job(&scene, "erin", PASSWORD);
    let check = ["check", job.to_str().unwrap(), "--connect"];
    scene.call(&check).expect(2, &[&group, "READ"]);
    let said = scene.run(&job).end(Duration::from_secs(20));
    said.expect(1, &[&group, "grant this user READ on the group"]);

    allow("erin", &["--operation", "Read", "--group", &group]);
    scene.call(&check).expect(0, &[]);
    let running = scene.run(&job);
    scene.until_out(10, PATIENCE);
    running.finish();
}

/// Counts the invoices of each card, through a topic.
fn exchanging(scene: &Scene, user: &str) -> PathBuf {
    let text = std::fs::read_to_string(job(scene, user, PASSWORD)).unwrap();
    let insert = text.find("INSERT INTO").unwrap();
    scene.write(&format!(
        "SET exchange = 'topic';\nSET outputMode = 'update';\n{}INSERT INTO notification SELECT CustomerCardNo, count(*) AS n \
         FROM invoices GROUP BY CustomerCardNo;",
        text[..insert].replace("key 'BillNo'", "key 'CustomerCardNo'")
    ))
}

#[test]
fn the_rights_on_the_exchange_topic_are_asked_for_too() {
    let scene = scene("exchanged");
    let (input, output, group) = (scene.input(), scene.output(), scene.group());
    let read = ["--operation", "Read", "--topic", &input, "--group", &group];
    allow("erin", &read);
    let write = [
        "--operation",
        "Write",
        "--operation",
        "DescribeConfigs",
        "--topic",
        &output,
    ];
    allow("erin", &write);
    let job = exchanging(&scene, "erin");
    let job = job.to_str().unwrap();
    let topic = format!("{group}-exchange");
    // It may not be made, and making it is what the first start would do.
    allow("erin", &["--operation", "Describe", "--topic", &topic]);
    let check = scene.call(&["check", job, "--connect"]);
    check.expect(2, &[&topic, "Grant this user CREATE"]);
    allow("erin", &["--operation", "Create", "--topic", &topic]);
    let check = scene.call(&["check", job, "--connect"]);
    check.expect(0, &[]);
    assert!(check.out.contains("the first start makes it"), "{check:?}");
    assert!(!scene.topics.names().contains(&topic), "nothing is made");

    let lasting = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
    ];
    scene.topics.make(&topic, 2, &lasting);
    let check = scene.call(&["check", job, "--connect"]);
    check.expect(
        2,
        &[&topic, "READ and WRITE and DESCRIBE_CONFIGS and DELETE"],
    );
    let mut all = vec!["--topic", topic.as_str()];
    for right in ["Read", "Write", "DescribeConfigs", "Delete"] {
        all.extend(["--operation", right]);
    }
    allow("erin", &all);
    scene.call(&["check", job, "--connect"]).expect(0, &[]);
    let running = scene.run(std::path::Path::new(job));
    scene.until_out(1, PATIENCE);
    running.finish();
}
