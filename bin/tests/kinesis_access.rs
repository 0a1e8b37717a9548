//! How a job gets to a stream: by a role that it assumes, and by HTTPS.

#![cfg(feature = "kinesis")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::time::Duration;

use stage::{Kinesis, Running, Terminator};

/// Said within this time, whatever is wrong.
const SAID: Duration = Duration::from_secs(10);
const ONCE: &str = "SET trigger = 'once';";
const NUMBERS: &str = "SELECT partitionKey AS k, CAST(data AS STRING) AS n FROM messages";
const ROLE: &str = "arn:aws:iam::123456789012:role";

/// A job that reads as a role, with a key that may do nothing but assume it.
fn as_role(kinesis: &Kinesis, key: &str, role: &str) -> std::path::PathBuf {
    let options = format!(
        "startingPosition 'TRIM_HORIZON', awsAccessKeyId '{key}', awsSecretKey 'geheim', \
         awsSTSRoleARN '{ROLE}/{role}', awsSTSSessionName 'nightly', kinesis.stsEndpointUrl '{}'",
        kinesis.url()
    );
    kinesis.job(ONCE, &options, NUMBERS)
}

#[test]
fn a_role_is_assumed_and_its_session_reads() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", [("a", "1".to_owned()), ("b", "2".to_owned())]);
    let job = as_role(&kinesis, "denied", "reader");
    let said = kinesis.call(&["run", job.to_str().unwrap(), "--http", "off"]);
    said.expect(0, &[]);
    assert_eq!(kinesis.out().len(), 2);
    assert_eq!(
        kinesis.count("AssumeRole"),
        1,
        "a session lasts for all shards"
    );
    let said = kinesis.call(&["check", job.to_str().unwrap(), "--connect"]);
    said.expect(0, &["2 shards"]);
}

#[test]
fn a_role_that_may_not_be_assumed_is_said_with_the_reason_and_without_the_secret() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    for (key, role, why) in [
        ("denied", "forbidden", "AccessDenied"),
        ("wrong", "reader", "InvalidClientTokenId"),
    ] {
        let job = as_role(&kinesis, key, role);
        let said = kinesis.call(&["check", job.to_str().unwrap(), "--connect"]);
        said.expect(2, &["does not accept the credentials", why]);
        assert!(said.took < SAID, "too late: {said:?}");
        assert!(!said.err.contains("geheim"), "{said:?}");
    }
}

#[test]
fn a_stream_is_read_by_https_with_the_authority_that_the_environment_names() {
    let kinesis = Kinesis::start();
    let front = Terminator::start(kinesis.address());
    kinesis.make("s", 1);
    kinesis.send("s", [("a", "1".to_owned())]);
    let job = kinesis.job(ONCE, "startingPosition 'TRIM_HORIZON'", NUMBERS);
    let text = std::fs::read_to_string(&job).unwrap();
    std::fs::write(&job, text.replace(&kinesis.url(), &front.url())).unwrap();
    let job = job.to_str().unwrap();

    // Nobody whom this machine trusts has signed it.
    let said = Running::start(kinesis.command(&["check", job, "--connect"])).end(SAID);
    said.expect(2, &[&front.url(), "ertificate"]);

    let mut command = kinesis.command(&["run", job, "--http", "off"]);
    command.env("SSL_CERT_FILE", front.authority());
    Running::start(command).end(SAID).expect(0, &[]);
    assert_eq!(kinesis.out().len(), 1);
}
