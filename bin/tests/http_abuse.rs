//! Thousands of requests of those who mean no good, or who know no better: whatever is sent, the process stays up, refuses it, lets
//! nobody in and tells no secret.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stage::{ANNA, Counting, PATIENCE, bearer};

const THREADS: usize = 4;
/// Of each kind, in each thread.
const CASES: u32 = 250;

/// What nobody may be told: a token, a password of the job, files of the machine and of the project.
const SECRETS: [&str; 5] = [
    ANNA,
    "very-secret-password",
    "root:x:0",
    "[package]",
    "PASSWORD=",
];

/// Paths that take a body.
static CHANGES: [&str; 6] = [
    "POST /api/v1/queries/numbers/pause",
    "POST /api/v1/queries/numbers/resume",
    "POST /api/v1/models/none",
    "POST /api/v1/models/none/rollback",
    "PUT /api/v1/log",
    "POST /api/v1/leave",
];

/// The headers of one who has a token. Without a `Host` nothing with a body is read.
fn anna() -> String {
    format!("Host: localhost\r\n{}", bearer(ANNA))
}

/// Sends bytes, and nothing behind them: what is answered until the other side has nothing more to say.
fn sent(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may have been refused before all of it was read.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of each answer; several requests on one connection have several.
fn statuses(answer: &str) -> Vec<u16> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads
        .filter_map(|head| head.get(..3)?.parse().ok())
        .collect()
}

/// What holds of every answer.
fn harmless(answer: &str) -> Result<(), TestCaseError> {
    for secret in SECRETS {
        prop_assert!(!answer.contains(secret), "it tells {secret}: {answer}");
    }
    for status in statuses(answer) {
        prop_assert!(status < 500, "{answer}");
    }
    Ok(())
}

/// What holds where no token was sent: nothing was changed or shown.
fn nobody_let_in(answer: &str) -> Result<(), TestCaseError> {
    for word in [
        "\"changed\":",
        "\"levels\":",
        "\"leaving\":",
        "\"uptimeSeconds\"",
    ] {
        prop_assert!(!answer.contains(word), "{answer}");
    }
    harmless(answer)
}

/// So many cases in several threads at once.
fn many<S>(
    make: impl Fn() -> S + Sync,
    cases: u32,
    check: impl Fn(S::Value) -> Result<(), TestCaseError> + Sync,
) where
    S: Strategy,
{
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let config = Config {
                    failure_persistence: None,
                    ..Config::with_cases(cases)
                };
                TestRunner::new(config).run(&make(), &check).unwrap();
            });
        }
    });
}

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("/api/v1/queries/numbers/pause".to_owned()),
        Just("/api/v1/log".to_owned()),
        "/api/v1/[a-z%/.?=&]{0,30}",
        "/[ -~]{0,60}",
        "(/page|/api/v1|)(/|//|/%2f|\\\\)((\\.\\.|%2e%2e|\\.%2e|%252e%252e)(/|%2f|%5c|\\\\)){1,8}(etc/passwd|Cargo.toml|job.sql|tokens|proc/self/environ)(%00|\\?|#|)(\\.js|)",
        "/api/v1/(slow|models|queries)\\?[a-z]{0,8}=(-|%2d|)[0-9]{1,60}(e[0-9]{1,5}|\\.[0-9]{1,9}|)",
        "/api/v1/slow\\?minutes=(NaN|inf|0x10|1_0|%31|%ff|%00|[+]5|5;|5&minutes=6|)",
    ]
}

/// Requests that are nearly good ones: a head with something wrong in it, a body with a length that may be another's.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![
        "GET|POST|PUT|HEAD|OPTIONS|DELETE|post|CONNECT|TRACE",
        "[!-~]{1,12}"
    ];
    let version =
        prop_oneof![6 => Just("HTTP/1.1".to_owned()), 1 => "HTTP/[0-9]{1,2}\\.[0-9]|[ -~]{0,12}"];
    let header = prop_oneof![
        "(Authorization|Content-Type|Transfer-Encoding|Host|Expect|Upgrade|Connection|Origin|Accept-Encoding): [ -~]{0,40}\r\n",
        "Content-Length: (-|[+]|0x|)[0-9]{0,25}\r\n",
        "(Transfer-Encoding: chunked|Content-Length: 3|Expect: 100-continue|Connection: (close|keep-alive|upgrade))\r\n",
        "[ -~]{0,30}(\r\n|\n|\r)",
    ];
    let headers = prop::collection::vec(header, 0..8).prop_map(|all| all.concat());
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[0-9a-fA-FxX;-]{1,20}(\r\n|\n)[ -~]{0,40}(\r\n|\n)".prop_map(String::into_bytes),
    ];
    let noise = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (method, any_path(), version, headers, body, noise).prop_map(
        |(method, path, version, headers, body, noise)| {
            let mut bytes = format!("{method} {path} {version}\r\n{headers}\r\n").into_bytes();
            bytes.extend(body);
            for (place, byte) in noise {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        },
    )
}

/// JSON that is none, or not what is asked for.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        "-?[0-9]{1,400}(e[+-]?[0-9]{1,9})?",
        "\"(\\\\ud[89a-f][0-9a-f]{2}|\\\\u0000|\\\\x|[ -~]){0,20}\"",
        Just("null".to_owned()),
        "[ -~]{0,20}",
    ];
    let object = prop::collection::vec(
        ("(level|component|path|version|[a-z]{1,8})", scalar.clone()),
        0..6,
    );
    prop_oneof![
        object.prop_map(|fields| {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\":{value}"));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(",")).into_bytes()
        }),
        (1..30_000_usize, "[\\[{]").prop_map(|(deep, open)| open.repeat(deep).into_bytes()),
        prop::collection::vec(any::<u8>(), 0..500),
        scalar.prop_map(String::into_bytes),
    ]
}

/// What a body says that it is.
fn kind() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("application/json".to_owned()),
        1 => Just("application/octet-stream".to_owned()),
        1 => "[ -~]{0,30}",
    ]
}

#[test]
fn no_bytes_that_are_sent_make_it_fall_or_let_somebody_in() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    let address = running.address();
    many(request, CASES, |bytes| {
        nobody_let_in(&sent(&address, &bytes))
    });
    // Several on one connection: where one ends and the next begins is told by what was sent.
    let several = || prop::collection::vec(request(), 2..6).prop_map(|all| all.concat());
    many(several, CASES / 4, |bytes| {
        nobody_let_in(&sent(&address, &bytes))
    });
    assert_eq!(running.get("/live").0, 200);
    assert_eq!(running.metric("thalweg_query_paused"), 0.0);
    let said = running.finish();
    for secret in [ANNA, "very-secret-password"] {
        assert!(!said.err.contains(secret));
    }
}

/// A request for something that is served, some letters of whose path are written as `%XX`: the same path.
fn written_otherwise() -> impl Strategy<Value = String> {
    let known = [
        "GET /api/v1/queries",
        "GET /api/v1/slow",
        "GET /api/v1/models",
        "GET /api/v1/log",
        "GET /api/v1/settings",
        "GET /api/v1/board",
        "GET /api/v1/events",
    ];
    let known = [&known[..], &CHANGES[..]].concat();
    (prop::sample::select(known), any::<u64>()).prop_map(|(request, which)| {
        let (method, path) = request.split_once(' ').unwrap();
        let letters = path.chars().enumerate().map(|(place, letter)| {
            match letter != '/' && which >> (place % 64) & 1 == 1 {
                true => format!("%{:02x}", u32::from(letter)),
                false => letter.to_string(),
            }
        });
        format!("{method} {}", letters.collect::<String>())
    })
}

#[test]
fn a_path_that_is_written_otherwise_needs_the_same_token() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    let address = running.address();
    many(written_otherwise, CASES, |request| {
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = sent(&address, head.as_bytes());
        prop_assert_eq!(statuses(&answer), [401], "{}: {}", request, answer);
        Ok(())
    });
    assert_eq!(running.metric("thalweg_query_paused"), 0.0);
    running.finish();
}

#[test]
fn who_has_a_token_and_sends_nonsense_is_told_so() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    let address = running.address();
    let nonsense = || (prop::sample::select(&CHANGES[2..]), kind(), body());
    many(nonsense, CASES, |(request, kind, body)| {
        // The job is not shared and has no model; what its log takes is a change like any other.
        let length = body.len();
        let anna = anna();
        let head = format!(
            "{request} HTTP/1.1\r\n{anna}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer = sent(&address, &[head.as_bytes(), &body].concat());
        harmless(&answer)?;
        let statuses = statuses(&answer);
        prop_assert!(
            statuses
                .first()
                .is_some_and(|status| (400..500).contains(status) || request.starts_with("PUT")),
            "{request}: {answer}"
        );
        Ok(())
    });
    let paths = || (any_path(), prop::collection::vec(any::<u8>(), 0..3));
    many(paths, CASES, |(path, bytes)| {
        prop_assume!(!path.contains("events"));
        let path = [path.as_bytes(), &bytes].concat();
        let anna = anna();
        let rest = format!(" HTTP/1.1\r\n{anna}\r\n");
        harmless(&sent(
            &address,
            &[b"GET ".as_slice(), &path, rest.as_bytes()].concat(),
        ))
    });
    assert_eq!(running.get("/live").0, 200);
    running.finish();
}

#[test]
fn who_sends_too_much_is_cut_off_and_who_sends_too_slowly_does_not_keep_others_out() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    let address = running.address();
    let anna = anna();
    for (what, head) in [
        ("a length", format!("PUT /api/v1/log HTTP/1.1\r\n{anna}Content-Type: application/json\r\nContent-Length: 99999999999999999999999\r\n\r\n")),
        ("a body", format!("PUT /api/v1/log HTTP/1.1\r\n{anna}Content-Type: application/json\r\nContent-Length: 999999999\r\n\r\n")),
        ("a head", format!("GET /live HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(400_000))),
        ("a path", format!("GET /{} HTTP/1.1\r\n\r\n", "z".repeat(400_000))),
        ("two lengths", "POST /api/v1/leave HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde".to_owned()),
        ("both kinds of length", "POST /api/v1/leave HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
    ] {
        let answer = sent(&address, head.as_bytes());
        let statuses = statuses(&answer);
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {answer}");
        harmless(&answer).unwrap();
    }
    // Chunks without end: the connection is cut soon after the answer.
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "PUT /api/v1/log HTTP/1.1\r\n{anna}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
    let began = Instant::now();
    while stream.write_all(&chunk).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it takes a body without end");
    }
    // A body that does not come.
    let mut silent = TcpStream::connect(&address).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(silent, "PUT /api/v1/log HTTP/1.1\r\n{anna}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n").unwrap();
    let mut answer = [0; 4096];
    let length = silent.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("has not come within 10 s"), "{answer}");
    // Heads that come a letter at a time, more than half of all connections.
    let began = Instant::now();
    let mut slow: Vec<TcpStream> = (0..60)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    for one in &mut slow {
        one.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        one.write_all(b"GET /live HTTP/1.1\r\nX: ").unwrap();
    }
    let mut open = slow.len();
    while open > 0 {
        assert!(began.elapsed() < PATIENCE, "{open} are still open");
        assert_eq!(running.get("/live").0, 200, "others are served meanwhile");
        slow.retain_mut(|one| {
            let mut answer = [0; 64];
            let alive = one.write_all(b"y").is_ok();
            let timed_out = |error: &std::io::Error| {
                matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                )
            };
            alive && one.read(&mut answer).is_err_and(|error| timed_out(&error))
        });
        open = slow.len();
        std::thread::sleep(Duration::from_millis(100));
    }
    running.finish();
}
