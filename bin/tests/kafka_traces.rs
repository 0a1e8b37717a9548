//! Traces of records and epochs: from the headers of Kafka, through the job, to a collector and to the readers of its output.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "../../operators/src/sinks/http/server.rs"]
mod server;
mod stage;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use server::{Answer, Server, TAKEN};
use stage::{Broker, Got, Loyalty, PATIENCE, Rec, Running, Scene, invoice, invoices, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

/// The header of a sender; `flags` say whether it traces.
fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SENDER}-{flags}")
}

/// Starts a job whose traces go there, with these variables more.
fn traced(scene: &Scene, job: &std::path::Path, to: &str, more: &[(&str, &str)]) -> Running {
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", to),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    variables.extend_from_slice(more);
    scene.run_in(job, &variables)
}

fn address(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// What a collector was sent.
#[derive(Debug)]
struct Spans(Vec<Value>);

impl Spans {
    fn of(server: &Server) -> Self {
        let mut all = Vec::new();
        for request in server.requests() {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            all.extend(spans.as_array().unwrap().iter().cloned());
        }
        Self(all)
    }

    fn named(&self, name: &str) -> Vec<&Value> {
        let all = self.0.iter();
        all.filter(|span| span["name"] == name).collect()
    }

    /// The parts of a span by name.
    fn parts(&self, of: &Value) -> BTreeMap<&str, &Value> {
        let all = self.0.iter();
        all.filter(|span| span["parentSpanId"] == of["spanId"])
            .map(|span| (span["name"].as_str().unwrap(), span))
            .collect()
    }
}

/// An attribute as text.
fn attribute(span: &Value, key: &str) -> String {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|pair| pair["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key}: {span}"))["value"];
    let text = value["stringValue"].as_str();
    text.or(value["intValue"].as_str()).unwrap().to_owned()
}

fn nanos(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

#[track_caller]
fn expect_within(part: &Value, whole: &Value) {
    let (begin, end) = ("startTimeUnixNano", "endTimeUnixNano");
    assert!(nanos(part, begin) >= nanos(whole, begin), "{part} {whole}");
    assert!(nanos(part, end) <= nanos(whole, end), "{part} {whole}");
    assert_eq!(part["traceId"], whole["traceId"]);
}

fn by_key(scene: &Scene) -> BTreeMap<String, Got> {
    let all = scene.topics.read(&scene.output()).into_iter();
    all.map(|got| (got.key(), got)).collect()
}

fn key(number: u64) -> String {
    String::from_utf8(invoice(number).key.unwrap()).unwrap()
}

fn headers(got: &Got, name: &str) -> Vec<String> {
    let all = got.headers.iter().filter(|(known, _)| known == name);
    all.map(|(_, value)| String::from_utf8(value.clone().unwrap()).unwrap())
        .collect()
}

#[test]
fn a_record_of_a_sender_that_traces_goes_on_in_its_trace_and_others_pass_on_what_they_brought() {
    let collector = Server::start(|_, _| TAKEN);
    let scene = Scene::with_topics("traced", broker(), 1);
    // The row brings a header of that name too, which is its own as long as there is no trace.
    let own = "named_struct('key', 'traceparent', 'value', CAST('row' AS BINARY))";
    let job = Loyalty::default()
        .set("onError = 'skip'")
        .set("coordinates = on")
        .selecting(&format!("BillNo, TotalValue, array({own}) AS about"))
        .writing(&["headers 'about'"])
        .write(&scene);
    let state = "congo=t61rcWkgMzE";
    let from = |number, flags: &str| {
        let record = invoice(number).header("traceparent", parent(flags));
        record.header("tracestate", state)
    };
    let broken = Rec::new("broken", "{").header("traceparent", parent("01"));
    let senders = [
        invoice(0),
        from(1, "01"),
        from(2, "00"),
        invoice(3).header("traceparent", "nonsense"),
        broken,
    ];
    scene.topics.send(&scene.input(), &senders);
    let variables = [
        // Epochs are traced, and no record whose sender does not trace.
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.0000000001"),
        ("OTEL_SERVICE_NAME", "points"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=the%20shop"),
    ];
    let mut running = traced(&scene, &job, &address(&collector), &variables);
    scene.until_out(4, PATIENCE);
    until("two epochs and both records", PATIENCE, || {
        let spans = Spans::of(&collector);
        spans.named("epoch").len() >= 2 && spans.named("process invoices").len() >= 2
    });
    until("they are counted", PATIENCE, || {
        running.metric("thalweg_trace_spans_total{result=\"exported\"}") >= 10.0
    });
    running.finish();

    let request = &collector.requests()[0];
    assert!(
        request.head.starts_with("post /v1/traces http/1.1"),
        "{}",
        request.head
    );
    assert!(
        request.head.contains("x-tenant: the shop"),
        "{}",
        request.head
    );
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let resource = &body["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), "points");
    assert_eq!(attribute(resource, "thalweg.job"), scene.name);

    let spans = Spans::of(&collector);
    let records = spans.named("process invoices");
    assert_eq!(records.len(), 2, "{records:?}");
    let of = |offset: &str| {
        let found = records
            .iter()
            .find(|span| attribute(span, "thalweg.position") == offset);
        *found.unwrap()
    };
    let span = of("1");
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&TRACE.into(), &SENDER.into())
    );
    assert_eq!(
        (&span["kind"], &span["traceState"]),
        (&5.into(), &state.into())
    );
    assert_eq!(attribute(span, "thalweg.query"), "notification");
    assert_eq!(attribute(span, "messaging.destination.name"), scene.input());
    assert_eq!(attribute(span, "messaging.kafka.offset"), "1");
    assert_eq!(attribute(span, "thalweg.rows"), "1");
    let parts = spans.parts(span);
    for name in ["encode", "deliver"] {
        expect_within(parts[name], span);
    }
    assert!(parts.len() >= 3, "{parts:?}");
    let failed = of("4");
    let why = failed["status"]["message"].as_str().unwrap();
    assert!(
        failed["status"]["code"] == 2 && why.starts_with("decode: "),
        "{failed}"
    );

    let out = by_key(&scene);
    let carried = |number: u64, name: &str| headers(&out[&key(number)], name);
    let ours = format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap());
    assert_eq!(carried(1, "traceparent"), [ours]);
    assert_eq!(carried(1, "tracestate"), [state]);
    assert_eq!(carried(2, "traceparent"), [parent("00")]);
    assert_eq!(carried(2, "tracestate"), [state]);
    for untraced in [0, 3] {
        assert_eq!(carried(untraced, "traceparent"), ["row"]);
        assert!(carried(untraced, "tracestate").is_empty());
    }
    assert_eq!(carried(1, "thalweg-origin").len(), 1);

    let epochs = spans.named("epoch");
    let committed = epochs.iter().find(|epoch| epoch.get("status").is_none());
    let parts = spans.parts(committed.unwrap());
    assert_eq!(
        parts.keys().copied().collect::<Vec<_>>(),
        ["commit", "reports"]
    );
    assert_eq!(
        parts["reports"]["endTimeUnixNano"],
        parts["commit"]["startTimeUnixNano"]
    );
    assert!(attribute(committed.unwrap(), "thalweg.last_lane").contains("invoices"));
}

#[test]
fn a_share_of_the_records_is_traced_and_every_trace_is_one_that_a_reader_goes_on_with() {
    const COUNT: u64 = 3_000;
    let collector = Server::start(|_, _| TAKEN);
    let scene = Scene::with_topics("share", broker(), 2);
    let job = Loyalty::default().write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..COUNT));
    let variables = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "20000"),
    ];
    let running = traced(&scene, &job, &address(&collector), &variables);
    scene.until_out(i64::try_from(COUNT).unwrap(), PATIENCE);
    // What is left is sent before the end.
    running.finish();
    let spans = Spans::of(&collector);
    let records = spans.named("process invoices");
    assert!((200..400).contains(&records.len()), "{}", records.len());
    let mut told: Vec<String> = records
        .iter()
        .map(|span| {
            assert_eq!(span.get("parentSpanId"), None, "{span}");
            let text = |key: &str| span[key].as_str().unwrap().to_owned();
            format!("00-{}-{}-01", text("traceId"), text("spanId"))
        })
        .collect();
    let out = scene.topics.read(&scene.output());
    let mut carried: Vec<String> = out
        .iter()
        .flat_map(|got| headers(got, "traceparent"))
        .collect();
    told.sort();
    carried.sort();
    assert_eq!(told, carried);
}

#[test]
fn a_trace_goes_through_an_exchange_topic() {
    let collector = Server::start(|_, _| TAKEN);
    let scene = Scene::with_topics("traced-exchange", broker(), 2);
    let job = Loyalty::default()
        .set("exchange = 'topic'")
        .set("outputMode = 'update'")
        .selecting("CustomerCardNo AS BillNo, count(*) AS n")
        .filtered("GROUP BY CustomerCardNo")
        .write(&scene);
    let sent = invoice(7).header("traceparent", parent("01"));
    scene.topics.send(&scene.input(), &[sent]);
    let variables = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let running = traced(&scene, &job, &address(&collector), &variables);
    scene.until_out(1, PATIENCE);
    running.finish();
    let spans = Spans::of(&collector);
    assert!(spans.named("epoch").is_empty(), "{spans:?}");
    let all = spans.0.iter();
    let processed: Vec<&Value> = all.filter(|span| span["kind"] == 5).collect();
    let before = processed.iter().find(|span| span["parentSpanId"] == SENDER);
    let before = before.unwrap_or_else(|| panic!("{spans:?}"));
    let behind = processed
        .iter()
        .find(|span| span["parentSpanId"] == before["spanId"]);
    let behind = behind.unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(processed.len(), 2);
    let ours = format!("00-{TRACE}-{}-01", behind["spanId"].as_str().unwrap());
    let out = scene.topics.read(&scene.output());
    assert_eq!(headers(&out[0], "traceparent"), [ours]);
}

/// Nothing of a job waits for its collector.
#[track_caller]
fn expect_no_wait(name: &str, to: &str) {
    const COUNT: i64 = 2_000;
    let scene = Scene::with_topics(name, broker(), 1);
    let job = Loyalty::default().write(&scene);
    scene
        .topics
        .send(&scene.input(), &invoices(0..COUNT.unsigned_abs()));
    let variables = [
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16"),
    ];
    let mut running = traced(&scene, &job, to, &variables);
    scene.until_out(COUNT, PATIENCE);
    let left_out = running.metric("thalweg_trace_spans_total{result=\"left_out\"}");
    assert!(left_out > 0.0);
    let began = Instant::now();
    let said = running.finish();
    // Three seconds are for the last traces; the rest is for a busy machine.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "too late: {:?}",
        began.elapsed()
    );
    assert_eq!(by_key(&scene).len(), usize::try_from(COUNT).unwrap());
    assert!(
        said.err.contains(&format!("traces go to {to}/v1/traces")),
        "{}",
        said.err
    );
}

#[test]
fn a_collector_that_is_away_holds_up_neither_records_nor_the_end() {
    let away = address(&Server::start(|_, _| TAKEN));
    expect_no_wait("away", &away);
}

#[test]
fn a_collector_that_hangs_holds_up_neither_records_nor_the_end() {
    let collector = Server::start(|_, _| Answer::Silence);
    expect_no_wait("hangs", &address(&collector));
}

#[test]
fn a_collector_that_was_away_is_sent_what_comes_then() {
    let address = {
        let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        reserved.local_addr().unwrap()
    };
    let scene = Scene::with_topics("comes-back", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let to = format!("http://{address}");
    let mut running = traced(&scene, &job, &to, &[("OTEL_TRACES_SAMPLER", "always_on")]);
    let line = running.until_said("takes no traces; records flow on", PATIENCE);
    assert!(line.contains(&to), "{line}");
    let collector = Server::start_at(address, |_, _| TAKEN);
    running.until_said("the collector takes traces again", PATIENCE);
    until("a span", PATIENCE, || !Spans::of(&collector).0.is_empty());
    running.finish();
}

#[test]
fn what_the_environment_wants_and_cannot_have_is_refused_and_no_record_is_read() {
    let scene = Scene::with_topics("refused", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let said = traced(&scene, &job, "http://127.0.0.1:4317", &grpc).end(PATIENCE);
    said.expect(
        2,
        &[
            "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`",
            "http/protobuf",
            "4318",
        ],
    );
    assert_eq!(said.out, "");
}
