//! What the command line changes of a job: settings, tables, values from outside.

use std::time::Duration;

use thalweg_operators::job_error::JobError;
use thalweg_operators::sql::settings::{OnError, Trigger};
use thalweg_operators::sql::{Job, Overrides, load};

const JOB: &str = "SET jobName = 'shop';
SET checkpointLocation = '/data/checkpoints';
SET checkpointInterval = '10 seconds';
CREATE TABLE invoices (BillNo STRING, Total DOUBLE)
  USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', subscribe 'invoices', format 'json');
CREATE TABLE small USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', topic 'small', format 'json');
CREATE TABLE large USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', topic 'large', format 'json');
INSERT INTO small SELECT BillNo FROM invoices WHERE Total < 10;
SET trigger = 'once';
INSERT INTO large SELECT BillNo, Total FROM invoices WHERE Total >= 10;
";

fn environment(name: &str) -> Option<String> {
    (name == "KAFKA").then(|| "broker.example:9092".to_owned())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

fn with_set(set: &[(&str, &str)]) -> Result<Job, JobError> {
    let overrides = Overrides {
        set: pairs(set),
        ..Overrides::default()
    };
    load(JOB, &overrides, &environment)
}

#[test]
fn a_set_holds_for_the_queries_below_it() {
    let job = with_set(&[]).unwrap();
    assert_eq!(job.name.as_deref(), Some("shop"));
    let names: Vec<&str> = job
        .queries
        .iter()
        .map(|query| query.name.as_str())
        .collect();
    assert_eq!(names, ["small", "large"]);
    assert_eq!(job.queries[0].settings.trigger, Trigger::Continuous);
    assert_eq!(job.queries[1].settings.trigger, Trigger::Once);
    assert!(!job.queries[0].temporary);
}

#[test]
fn the_command_line_wins_over_every_set_of_that_name() {
    let job = with_set(&[("checkpointInterval", "1 second"), ("onError", "skip")]).unwrap();
    for query in &job.queries {
        assert_eq!(query.settings.checkpoint_interval, Duration::from_secs(1));
        assert_eq!(query.settings.on_error, OnError::Skip);
    }
    let job = with_set(&[("large.onError", "skip"), ("jobName", "other")]).unwrap();
    assert_eq!(job.name.as_deref(), Some("other"));
    assert_eq!(job.queries[0].settings.on_error, OnError::Fail);
    assert_eq!(job.queries[1].settings.on_error, OnError::Skip);
}

#[test]
fn a_set_that_fits_nothing_is_refused() {
    let message = |set: &[(&str, &str)]| {
        let error = with_set(set).err().unwrap();
        assert_eq!(error.at.line, 0);
        (error.message, error.help.unwrap_or_default())
    };
    assert_eq!(
        message(&[("onEror", "skip")]),
        (
            "--set onEror: unknown setting `onEror`".to_owned(),
            "did you mean `onError`?".to_owned()
        )
    );
    assert!(
        message(&[("onError", "ignore")])
            .0
            .contains("one of fail, skip, deadLetter")
    );
    assert_eq!(
        message(&[("larg.onError", "skip")]),
        (
            "--set larg.onError: no query is called `larg`".to_owned(),
            "did you mean `large`?".to_owned()
        )
    );
    assert!(message(&[("large.jobName", "x")]).0.contains("the job's"));
    assert!(message(&[("queryName", "x")]).0.contains("several queries"));
}

#[test]
fn a_file_takes_the_place_of_a_table_and_needs_no_broker() {
    let overrides = Overrides {
        inputs: pairs(&[("invoices", "sample.jsonl")]),
        outputs: pairs(&[("LARGE", "-")]),
        ..Overrides::default()
    };
    let job = load(JOB, &overrides, &environment).unwrap();
    let large = &job.queries[1];
    let input = large.inputs().next().unwrap().1;
    assert_eq!(input.replaced(), Some("sample.jsonl"));
    assert_eq!(input.table().connector, "kafka");
    assert_eq!(large.output_replaced(), Some("-"));
    assert!(job.queries.iter().all(|query| query.temporary));
    let unknown = Overrides {
        inputs: pairs(&[("invoice", "x")]),
        ..Overrides::default()
    };
    let error = load(JOB, &unknown, &environment).err().unwrap();
    assert_eq!(error.help.as_deref(), Some("did you mean `invoices`?"));
}

#[test]
fn a_replaced_table_needs_no_value_for_its_variables() {
    let overrides = Overrides {
        inputs: pairs(&[("invoices", "-")]),
        outputs: pairs(&[("small", "a"), ("large", "b")]),
        ..Overrides::default()
    };
    assert!(load(JOB, &overrides, &|_| None).is_ok());
    let error = load(JOB, &Overrides::default(), &|_| None).err().unwrap();
    assert_eq!(error.message, "${KAFKA} has no value and no default");
}

#[test]
fn an_offline_check_keeps_connections_as_they_are_written() {
    let overrides = Overrides {
        offline: true,
        ..Overrides::default()
    };
    let job = load(JOB, &overrides, &|_| None).unwrap();
    let options = &job.tables[0].options;
    assert_eq!(options.get("kafka.bootstrap.servers"), Some("${KAFKA}"));
}

#[test]
fn what_the_environment_gave_shows_nowhere() {
    let text = "CREATE TABLE t (a STRING) USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', subscribe 't', format 'json');
SELECT a FROM t WHERE a = '${KAFKA}' AND length('${KAFKA}') > 3;";
    let job = load(text, &Overrides::default(), &environment).unwrap();
    let query = &job.queries[0];
    let shown = format!("{}{}{:?}", query.fmt_tree(), query.identity(), job.tables);
    assert!(!shown.contains("broker.example"), "{shown}");
    let wrong = text.replace("a = '${KAFKA}'", "a = CAST('${KAFKA}' AS NOTYPE)");
    let error = load(&wrong, &Overrides::default(), &environment)
        .err()
        .unwrap();
    assert!(!error.render("f", &wrong).contains("broker.example"));
}

#[test]
fn one_lane_reads_all_for_a_console_table_per_interval() {
    let gathers = |trigger: &str, output: &str| {
        let text = format!(
            "SET trigger = '{trigger}';\nCREATE TABLE t USING rate;\nCREATE TABLE o USING {output};\nINSERT INTO o SELECT value FROM t;"
        );
        load(&text, &Overrides::default(), &environment)
            .unwrap()
            .queries[0]
            .gather()
    };
    assert!(gathers("8 seconds", "console"));
    assert!(!gathers("continuous", "console"));
    assert!(!gathers("8 seconds", "noop"));
}
