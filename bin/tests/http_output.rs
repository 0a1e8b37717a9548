//! A web server as an output, of numbers that follow each other, so that what is missing or out of order shows: a server
//! with moods, one that is away, kills, an end.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "../../operators/src/sinks/http/server.rs"]
mod server;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use server::{Answer, Request, Server, TAKEN};
use stage::plain::until;
use stage::{PATIENCE, Running, Terminator, kills};

/// A job that posts numbers of two partitions, even and odd.
fn job(url: &str, options: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '50 ms';
SET stopTimeout = '2 seconds';
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '500', numPartitions '2');
CREATE TABLE hook USING http OPTIONS (url '{url}', headers 'Authorization: Bearer ${{TOKEN}}', {options}
  retryInterval '10 ms', maxRetryInterval '100 ms');
INSERT INTO hook SELECT value FROM ticks;
",
        folder.path().join("checkpoints").display()
    );
    fs::write(folder.path().join("job.sql"), text).unwrap();
    folder
}

fn start(folder: &tempfile::TempDir) -> Running {
    let file = folder.path().join("job.sql");
    let mut command = stage::thalweg(&["run", file.to_str().unwrap(), "--http", "127.0.0.1:0"]);
    command.env("TOKEN", "hush");
    Running::start(command)
}

/// The numbers of a request.
fn numbers(request: &Request) -> Vec<i64> {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let rows = body.as_array().cloned().unwrap_or_else(|| vec![body]);
    rows.iter()
        .map(|row| row["value"].as_i64().unwrap())
        .collect()
}

/// Of each partition the numbers come one after the other from the first; what a kill repeats begins with one that was
/// there before. Gives how many different ones there are.
#[track_caller]
fn expect_all_in_order(requests: &[Request]) -> i64 {
    let mut next: BTreeMap<i64, i64> = BTreeMap::from([(0, 0), (1, 1)]);
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for number in requests.iter().flat_map(numbers) {
        let partition = number % 2;
        let highest = next.get_mut(&partition).unwrap();
        assert!(
            number <= *highest,
            "{number} came before {highest}, which is missing"
        );
        if number == *highest {
            let before = last.get(&partition).copied().unwrap_or(number - 2);
            assert!(before >= number - 2, "{number} came after {before}");
            *highest += 2;
        }
        last.insert(partition, number);
    }
    next.values().map(|next| next / 2).sum()
}

#[test]
fn every_number_arrives_in_order_whatever_kills_the_job_and_whatever_the_server_says() {
    let server = Server::start(|number, _| match number % 50 {
        10 => Answer::Status(500, "", "oh"),
        20 => Answer::Cut,
        30 => Answer::Status(429, "Retry-After: 0\r\n", ""),
        _ => TAKEN,
    });
    let folder = job(&server.url(), "batchSize '10',");
    for kill in 0..kills(8) {
        let running = start(&folder);
        let before = server.requests().len();
        until("something new has come", || {
            server.requests().len() > before + 5
        });
        std::thread::sleep(Duration::from_millis(u64::from(kill) * 37 % 300));
        running.kill();
    }
    let mut running = start(&folder);
    running.until_ready();
    let said = running.finish();
    assert!(expect_all_in_order(&server.requests()) > 0, "{}", said.err);
    let head = &server.requests()[0].head;
    assert!(head.contains("authorization: bearer hush"), "{head}");
}

#[test]
fn a_server_that_is_away_is_waited_for_and_shown_and_a_stop_does_not_wait() {
    let server = Server::start(|_, _| TAKEN);
    let (address, url) = (server.address, server.url());
    let folder = job(&url, "");
    let mut running = start(&folder);
    running.until_ready();
    until("numbers come", || server.requests().len() > 20);
    let mut all = server.requests();
    drop(server);
    until("the job is not ready", || running.get("/ready").0 == 503);
    let (_, why) = running.get("/ready");
    assert!(why.contains(&url), "{why}");
    let server = Server::start_at(address, |_, _| TAKEN);
    until("numbers come again", || server.requests().len() > 20);
    running.until_ready();
    all.extend(server.requests());
    drop(server);
    until("the job is not ready", || running.get("/ready").0 == 503);
    running.terminate();
    let said = running.end(Duration::from_secs(8));
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(!said.err.contains("hush"), "{}", said.err);
    let server = Server::start_at(address, |_, _| TAKEN);
    let mut running = start(&folder);
    running.until_ready();
    until("numbers come again", || server.requests().len() > 20);
    running.finish();
    all.extend(server.requests());
    assert!(expect_all_in_order(&all) > 40);
}

#[test]
fn a_token_that_changes_in_its_file_goes_along_from_then_on_and_each_number_comes_once() {
    let server = Server::start(|_, _| TAKEN);
    let folder = job(&server.url(), "batchSize '10',");
    let (file, token) = (folder.path().join("job.sql"), folder.path().join("token"));
    fs::write(&token, "early-hush").unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let secret = format!("${{file:{}}}", token.display());
    fs::write(&file, text.replace("${TOKEN}", &secret)).unwrap();
    let mut running = start(&folder);
    running.until_ready();
    let came_with = |token: &str| {
        let bearer = format!("bearer {token}");
        let requests = server.requests();
        requests
            .iter()
            .any(|request| request.head.contains(&bearer))
    };
    until("numbers come", || came_with("early-hush"));
    fs::write(&token, "late-hush").unwrap();
    until("the new token goes along", || came_with("late-hush"));
    let said = running.finish();
    assert!(!said.err.contains("hush"), "{}", said.err);
    let requests = server.requests();
    let all: usize = requests.iter().map(|request| numbers(request).len()).sum();
    assert_eq!(
        all,
        usize::try_from(expect_all_in_order(&requests)).unwrap()
    );
}

#[test]
fn a_server_is_reached_by_https_when_the_job_names_who_has_signed_its_certificate() {
    let server = Server::start(|_, _| TAKEN);
    let front = Terminator::start(&server.address.to_string());
    let url = format!("{}/rows", front.url());
    // Nobody whom this machine trusts: nothing is posted, and the job says why.
    let folder = job(&url, "");
    let mut running = start(&folder);
    until("the job says why it is not ready", || {
        let (status, why) = running.get("/ready");
        let said = ["certificate of the server is not trusted", "caFile", &url];
        status == 503 && said.iter().all(|part| why.contains(part))
    });
    running.kill();
    assert!(server.requests().is_empty());
    let authority = front.authority();
    let option = format!("caFile '{}', batchSize '100',", authority.display());
    let folder = job(&url, &option);
    let mut running = start(&folder);
    running.until_ready();
    until("numbers come", || server.requests().len() > 20);
    running.finish();
    assert!(expect_all_in_order(&server.requests()) > 20);

    fs::write(&authority, "no certificate").unwrap();
    let refused = ["caFile", "holds no certificate in PEM"];
    start(&folder).end(PATIENCE).expect(2, &refused);
    let file = folder.path().join("job.sql");
    let mut check = stage::thalweg(&["check", file.to_str().unwrap(), "--connect"]);
    check.env("TOKEN", "hush");
    Running::start(check).end(PATIENCE).expect(2, &refused);
}

#[test]
fn a_number_that_the_server_refuses_ends_the_query_and_says_what_it_says() {
    let server = Server::start(|_, request| match numbers(request).contains(&10) {
        true => Answer::Status(400, "", "ten is too many"),
        false => TAKEN,
    });
    let folder = job(&format!("{}?key=hush", server.url()), "");
    let said = start(&folder).end(PATIENCE);
    said.expect(
        1,
        &[&format!(
            "{} refuses rows of the output, it answers 400 Bad Request: ten is too many",
            server.url()
        )],
    );
    assert!(!said.err.contains("hush"), "{}", said.err);
}
