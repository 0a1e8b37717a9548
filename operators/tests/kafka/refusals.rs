//! Writing to a broker that is made up, which turns records away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg_engine::error::Remedy;
use thalweg_engine::schema::DataType;
use thalweg_engine::sink::Sink;
use thalweg_operators::sinks::kafka;
use thalweg_operators::table::{OpenContext, Options};

use crate::broker::{shared, wait};
use crate::drivers::{context, open_writer, output, table, write};

/// The sink of a topic of a broker that is made up.
fn mocked(
    mock: &rdkafka::mocking::MockCluster<'_, rdkafka::producer::DefaultProducerContext>,
    topic: &str,
    context: &OpenContext,
) -> Arc<dyn Sink> {
    mock.create_topic(topic, 1, 1).unwrap();
    let mut table = table(shared(), None, &[("topic", topic)]);
    let mut options: Vec<_> = table.options.iter().cloned().collect();
    options[0].value = mock.bootstrap_servers();
    table.options = Options::new(options);
    let schema = output(&[("value", DataType::String)]);
    kafka::open(&table, &schema, None, None, context).unwrap()
}

#[test]
fn of_rows_that_went_together_none_counts_when_one_is_turned_away() {
    use rdkafka_sys::RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_NO_ERROR,
    };

    let mock = rdkafka::mocking::MockCluster::new(1).unwrap();
    mock.broker_round_trip_time(1, Duration::from_millis(100))
        .unwrap();
    mock.request_errors(
        rdkafka_sys::RDKafkaApiKey::Produce,
        &[
            RD_KAFKA_RESP_ERR_NO_ERROR,
            RD_KAFKA_RESP_ERR_NO_ERROR,
            RD_KAFKA_RESP_ERR_INVALID_RECORD,
        ],
    );
    let sink = mocked(&mock, "together", &context("together"));
    let (mut writer, counter) = open_writer(&sink, "lane");
    write(&mut writer, &["first".into()]);
    wait(writer.delivered()).unwrap();
    // The second goes alone; those behind it are held until it has landed.
    for value in ["second", "third", "fourth", "fifth"] {
        write(&mut writer, &[value.into()]);
    }
    let failure = wait(writer.delivered()).unwrap_err();
    assert!(failure.message.contains("together"), "{failure}");
    sink.close();
    assert_eq!(counter.rows.load(Ordering::Relaxed), 2);
}

#[test]
fn a_record_that_is_not_acknowledged_although_its_broker_answers_makes_a_new_run() {
    // It answers each time, and never takes the record.
    let mock = rdkafka::mocking::MockCluster::new(1).unwrap();
    mock.request_errors(
        rdkafka_sys::RDKafkaApiKey::Produce,
        &[rdkafka_sys::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 10_000],
    );
    let mut context = context("overdue");
    context.delivery_timeout = Duration::from_secs(2);
    let sink = mocked(&mock, "refusing", &context);
    let (mut writer, _) = open_writer(&sink, "lane");
    write(&mut writer, &["x".into()]);
    let began = Instant::now();
    let failure = wait(writer.delivered()).unwrap_err();
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(failure.remedy, Remedy::Restart);
    assert!(failure.message.contains("deliveryTimeout"), "{failure}");
    assert!(failure.message.contains("refusing/0"), "{failure}");
    sink.close();
}
