//! What goes through a topic by which key, and what is refused.

use crate::plan::Query;
use crate::sql::{Overrides, load};

const TABLES: &str = "SET checkpointLocation = 'c';
SET exchange = 'topic';
SET outputMode = 'update';
CREATE TABLE p (card STRING, shop STRING, amount INT, ts TIMESTAMP) USING kafka
  OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'p', format 'json');
CREATE TABLE q (card STRING, shop STRING, amount INT, ts TIMESTAMP) USING kafka
  OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'q', format 'json');
CREATE TABLE p2 (card STRING, shop STRING) USING kafka
  OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'p2', format 'json');
CREATE TABLE own (card STRING, amount INT) USING kafka
  OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'own', format 'json') PARTITIONED BY (card);
CREATE TABLE k (card STRING PRIMARY KEY, name STRING) USING kafka
  OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'k', format 'json');
CREATE TABLE r USING rate;
CREATE TABLE o USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', topic 'o', format 'json');
CREATE TABLE screen USING console;
";

fn planned(query: &str) -> Result<Query, String> {
    let text = format!("{TABLES}{query};");
    let job = load(&text, &Overrides::default(), &|_| None);
    job.map_err(|error| error.render("job.sql", &text))
        .map(|mut job| job.queries.remove(0))
}

/// For each input by which columns its rows go.
fn keys(query: &str) -> Vec<String> {
    through(&format!("INSERT INTO o {query}"))
}

fn appended(query: &str) -> Vec<String> {
    through(&format!("SET outputMode = 'append'; INSERT INTO o {query}"))
}

fn through(query: &str) -> Vec<String> {
    let query = planned(query).unwrap_or_else(|error| panic!("{error}"));
    assert!(!query.gather() && !query.keeps_state_by_partition());
    let rekeys = query.rekeys();
    rekeys
        .map(|(_, rekey)| rekey.key_names().join(", "))
        .collect()
}

fn key(query: &str) -> String {
    let [key] = keys(query).try_into().unwrap();
    key
}

#[track_caller]
fn refused(query: &str, reason: &str) {
    let error = planned(query).err().unwrap();
    assert!(error.contains(reason), "{error}");
    assert!(
        error.contains("exchange = 'topic' cannot be used here"),
        "{error}"
    );
}

#[test]
fn rows_go_by_the_keys_that_all_steps_with_state_have() {
    assert_eq!(
        key("SELECT card, count(*) AS n FROM p GROUP BY card"),
        "card"
    );
    assert_eq!(
        key("SELECT card, shop, count(*) AS n FROM p GROUP BY card, shop"),
        "card, shop"
    );
    assert_eq!(key("SELECT DISTINCT card FROM p"), "card");
    assert_eq!(
        key(
            "SELECT card, shop, count(*) AS n FROM (SELECT DISTINCT card, shop, amount FROM p) GROUP BY shop, card"
        ),
        "card, shop"
    );
    assert_eq!(
        key(
            "SELECT count(*) OVER (PARTITION BY card ORDER BY ts) AS a, count(*) OVER (PARTITION BY card, shop ORDER BY ts) AS b FROM p"
        ),
        "card"
    );
    assert_eq!(
        key(
            "SELECT window.start AS s, card, count(*) AS n FROM p GROUP BY window(ts, '1 minute'), card"
        ),
        "card"
    );
    assert_eq!(
        key("SELECT upper(card) AS c, count(*) AS n FROM p WHERE amount > 3 GROUP BY upper(card)"),
        "upper(card)"
    );
}

#[test]
fn each_input_of_a_union_goes_by_what_becomes_the_key() {
    assert_eq!(
        keys(
            "SELECT c, count(*) AS n FROM (SELECT card AS c FROM p UNION ALL SELECT upper(shop) AS c FROM q WHERE amount > 1) GROUP BY c"
        ),
        ["card", "c"]
    );
    // What is computed over the union is computed before the topics.
    assert_eq!(
        keys(
            "SELECT upper(card) AS c, count(*) AS n FROM (SELECT card FROM p UNION ALL SELECT card FROM q) GROUP BY upper(card)"
        ),
        ["upper(card)", "upper(card)"]
    );
    assert_eq!(
        keys(
            "SELECT card, count(*) AS n FROM (SELECT DISTINCT card, shop FROM p UNION ALL SELECT card, shop FROM q) GROUP BY card, shop"
        ),
        ["card, shop", "card, shop"]
    );
    refused(
        "INSERT INTO o SELECT card, count(*) AS n FROM (SELECT card FROM p UNION ALL SELECT CAST(value AS STRING) AS card FROM r) GROUP BY card",
        "no Kafka topic",
    );
}

#[test]
fn each_input_of_a_join_goes_by_its_side_of_the_equalities() {
    let pairs = "SELECT p.card, q.amount FROM p JOIN q ON p.card = q.shop AND p.amount = q.amount";
    assert_eq!(appended(pairs), ["card, amount", "shop, amount"]);
    assert_eq!(
        appended("SELECT p.card, q.amount FROM p JOIN q ON upper(p.card) = q.shop"),
        ["upper(card)", "shop"]
    );
    // Both joins by what all three have.
    assert_eq!(
        appended(
            "SELECT p.card FROM p JOIN q ON p.card = q.card AND p.shop = q.shop JOIN p2 ON p2.card = q.card"
        ),
        ["card", "card", "card"]
    );
    assert_eq!(
        appended(
            "SELECT DISTINCT p.card, q.amount FROM p JOIN q ON p.card = q.card AND p.shop = q.shop"
        ),
        ["card", "card"]
    );
    refused(
        "SET outputMode = 'append'; INSERT INTO o SELECT p.card FROM p JOIN q ON p.card = q.card JOIN p2 ON p2.shop = q.shop",
        "no key in common",
    );
}

#[test]
fn topics_of_several_inputs_are_told_apart() {
    let query = planned(
        "SET outputMode = 'append'; INSERT INTO o SELECT p.card FROM p JOIN q ON p.card = q.card",
    )
    .unwrap();
    let topics = query.exchange_topics("job").into_iter();
    let topics: Vec<String> = topics.map(|(topic, _)| topic).collect();
    assert_eq!(topics, ["job-o-p-exchange", "job-o-q-exchange"]);
    let identity = query.identity();
    assert_eq!(identity["exchange"]["by"], "card of p; card of q");
    assert!(crate::plan::keeps_marks(&identity, "exchange of p by card"));
}

#[test]
fn a_query_that_needs_no_other_partition_goes_through_no_topic() {
    for query in [
        "SELECT card FROM p",
        "SELECT card, count(*) AS n FROM own GROUP BY card",
    ] {
        let query = planned(&format!("INSERT INTO o {query}")).unwrap();
        assert!(!query.exchanges() && !query.gather());
    }
}

#[test]
fn a_file_in_place_of_a_table_leaves_the_topic_out() {
    let text = format!("{TABLES}INSERT INTO o SELECT card, count(*) AS n FROM p GROUP BY card;");
    let overrides = Overrides {
        inputs: vec![("p".to_owned(), "p.jsonl".to_owned())],
        ..Overrides::default()
    };
    let query = load(&text, &overrides, &|_| None)
        .map_err(|e| e.message)
        .unwrap()
        .queries
        .remove(0);
    assert!(!query.exchanges() && query.gather());
}

#[test]
fn what_may_give_something_else_when_it_is_read_again_cannot_stand_before_it() {
    for (query, what) in [
        (
            "SELECT card, count(*) AS n FROM p WHERE rand() < 0.5 GROUP BY card",
            "rand",
        ),
        (
            "SELECT card, max(t) AS n FROM (SELECT card, current_timestamp() AS t FROM p) GROUP BY card",
            "current_timestamp",
        ),
        (
            "SELECT u, count(*) AS n FROM (SELECT uuid() AS u FROM p) GROUP BY u",
            "uuid",
        ),
    ] {
        let query = format!("INSERT INTO o {query}");
        refused(&query, what);
        refused(&query, "stands before the change of partition");
    }
    key(
        "SELECT card, n, current_timestamp() AS t FROM (SELECT card, count(*) AS n FROM p GROUP BY card)",
    );
}

#[test]
fn what_is_about_all_rows_or_a_table_gathers() {
    refused(
        "INSERT INTO o SELECT count(*) AS n FROM p",
        "all rows are one group",
    );
    refused(
        "INSERT INTO o SELECT count(*) OVER (PARTITION BY card ORDER BY ts) AS a, count(*) OVER (PARTITION BY shop ORDER BY ts) AS b FROM p",
        "no key in common",
    );
    refused(
        "SET outputMode = 'complete'; INSERT INTO o SELECT card, count(*) AS n FROM p GROUP BY card ORDER BY n",
        "ORDER BY and LIMIT",
    );
    refused(
        "SET outputMode = 'append'; INSERT INTO o SELECT a.card FROM p a JOIN p b ON a.card = b.card",
        "a table stands in several places",
    );
    refused(
        "INSERT INTO o SELECT p.card FROM p JOIN k ON p.card = k.card",
        "a table with a PRIMARY KEY",
    );
    refused(
        "SET outputMode = 'append'; INSERT INTO o SELECT DISTINCT card FROM p UNION ALL SELECT DISTINCT card FROM q",
        "several ways with state side by side",
    );
    refused(
        "INSERT INTO o SELECT value, count(*) AS n FROM r GROUP BY value",
        "no Kafka topic",
    );
    refused(
        "SET trigger = '5 seconds'; INSERT INTO screen SELECT card, count(*) AS n FROM p GROUP BY card",
        "one table for each trigger",
    );
}

#[test]
fn dead_letters_and_temporary_checkpoints_do_not_go_with_it() {
    let dead = "SET onError = 'deadLetter'; SET deadLetterTable = 'bad';
        CREATE TABLE bad USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', topic 'bad');";
    refused(
        &format!("{dead} INSERT INTO o SELECT card, count(*) AS n FROM p GROUP BY card"),
        "dead letter",
    );
    let text = TABLES.replace("SET checkpointLocation = 'c';", "");
    let text = format!("{text}SELECT card, count(*) AS n FROM p GROUP BY card;");
    let error = load(&text, &Overrides::default(), &|_| None).err().unwrap();
    assert!(
        error.message.contains("no checkpointLocation"),
        "{}",
        error.message
    );
}

#[test]
fn another_key_or_other_columns_cannot_read_what_stands_in_the_topic() {
    let identity = |query: &str| {
        planned(&format!("INSERT INTO o {query}"))
            .unwrap()
            .identity()
    };
    let old = identity("SELECT card, count(*) AS n FROM p GROUP BY card");
    let same = identity("SELECT card, count(*) AS m FROM p WHERE amount > 2 GROUP BY card");
    assert_eq!(crate::plan::compare(&old, &same), Ok(()));
    assert!(crate::plan::keeps_marks(&old, "exchange by card"));
    assert!(!crate::plan::keeps_marks(&old, "aggregate by card"));
    let more = identity("SELECT card, sum(amount) AS n FROM p GROUP BY card");
    assert!(
        crate::plan::compare(&old, &more)
            .unwrap_err()
            .contains("with the columns")
    );
    let mut gathered = old.clone();
    gathered.as_object_mut().unwrap().remove("exchange");
    assert!(
        crate::plan::compare(&gathered, &old)
            .unwrap_err()
            .contains("did not go through a topic")
    );
    assert!(
        crate::plan::compare(&old, &gathered)
            .unwrap_err()
            .contains("do not now")
    );
}
