//! Topics and partitions that come and go.

use thalweg_engine::error::Remedy;

use crate::broker::{put_numbers, shared, until, wait};
use crate::drivers::{next_record, open_source, positions, read, resume, row, text};

#[test]
fn new_partitions_are_found_and_start_at_their_earliest() {
    let topic = shared().topic(1, &[]);
    let source = open_source(shared(), "grown", &[("subscribe", &topic)]);
    let starts = source.resolve(None).unwrap();
    let known = vec![starts[0].partition.clone()];
    assert!(source.discover(&known).unwrap().is_empty());
    shared().grow(&topic, 3);
    let mut found = Vec::new();
    until("the new partitions are found", || {
        found = source.discover(&known).unwrap();
        found.len() == 2
    });
    put_numbers(shared(), &topic, 2, 0, 10);
    wait(async {
        let mut stream = read(&source, &format!("{topic}/2"), 0, None);
        for n in 0..10 {
            let record = next_record(&mut stream).await;
            assert_eq!(text(&row(&record)[1]), n.to_string());
        }
    });
}

#[test]
fn a_topic_that_was_made_again_is_noticed() {
    shared().make_topic("again", 1, &[]);
    put_numbers(shared(), "again", 0, 0, 3);
    let options = [("subscribe", "again"), ("startingOffsets", "earliest")];
    let source = open_source(shared(), "again", &options);
    let starts = source.resolve(None).unwrap();
    let state = source.save().unwrap();
    source.close();
    shared().delete_topic("again");
    until("the topic is made again", || {
        std::panic::catch_unwind(|| shared().make_topic("again", 1, &[])).is_ok()
    });
    put_numbers(shared(), "again", 0, 0, 9);
    let at = positions(&starts);
    let mut resume = resume(&at, 1);
    resume.state = Some(&state);
    let source = open_source(shared(), "again", &options);
    let refused = source.resolve(Some(&resume)).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Refuse);
    assert!(refused.message.contains("made again"), "{refused}");
}

#[test]
fn topics_that_match_a_pattern_are_found_when_they_appear() {
    shared().make_topic("pattern-a", 1, &[]);
    shared().make_topic("another", 1, &[]);
    let source = open_source(
        shared(),
        "pattern",
        &[
            ("subscribePattern", "attern-[a-z]"),
            ("startingOffsets", "earliest"),
        ],
    );
    let starts = source.resolve(None).unwrap();
    assert_eq!(starts.len(), 1);
    assert_eq!(starts[0].partition, "pattern-a/0");
    shared().make_topic("pattern-b", 2, &[]);
    let known = vec![starts[0].partition.clone()];
    until("the new topic is found", || {
        source.discover(&known).unwrap().len() == 2
    });
}

#[test]
fn a_topic_that_is_deleted_under_a_reader_ends_the_query() {
    let topic = shared().topic(1, &[]);
    put_numbers(shared(), &topic, 0, 0, 3);
    let source = open_source(
        shared(),
        "deleted",
        &[("subscribe", &topic), ("startingOffsets", "earliest")],
    );
    let starts = source.resolve(None).unwrap();
    let known = vec![starts[0].partition.clone()];
    assert!(source.discover(&known).unwrap().is_empty());
    shared().delete_topic(&topic);
    let mut failure = None;
    until("the loss is noticed", || {
        failure = source.discover(&known).err();
        failure.is_some()
    });
    let failure = failure.unwrap();
    assert_eq!(failure.remedy, Remedy::End);
    assert!(failure.message.contains(&topic), "{failure}");
}

#[test]
fn a_topic_that_is_made_again_under_a_reader_makes_a_new_run() {
    shared().make_topic("again-under", 1, &[]);
    let source = open_source(shared(), "again-under", &[("subscribe", "again-under")]);
    let starts = source.resolve(None).unwrap();
    let known = vec![starts[0].partition.clone()];
    shared().delete_topic("again-under");
    until("the topic is made again", || {
        std::panic::catch_unwind(|| shared().make_topic("again-under", 1, &[])).is_ok()
    });
    let mut failure = None;
    until("it is noticed", || {
        failure = source.discover(&known).err();
        failure.is_some()
    });
    assert_eq!(failure.unwrap().remedy, Remedy::Restart);
}
