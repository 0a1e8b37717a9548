//! Aggregations, windows and sessions give Spark's answers: `tests/spark` holds the queries, and what Spark said.

#![allow(clippy::unwrap_used)]

mod command;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use command::run;
use serde_json::Value;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spark")
}

/// A query with what stands above it.
struct Case {
    name: String,
    says: BTreeMap<String, String>,
    query: String,
    expected: Option<String>,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases: Vec<Self> = fs::read_dir(goldens().join("cases"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "sql"))
            .map(|path| Self::read(&path))
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (above, query): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with("-- "));
        let says = above.iter().filter_map(|line| {
            let (name, value) = line[3..].split_once(": ")?;
            Some((name.to_owned(), value.to_owned()))
        });
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            says: says.collect(),
            query: query.join("\n"),
            expected: fs::read_to_string(path.with_extension("expected.jsonl")).ok(),
        }
    }

    fn says(&self, name: &str) -> Option<&str> {
        self.says.get(name).map(String::as_str)
    }

    fn inputs(&self) -> impl Iterator<Item = &str> {
        self.says("input").unwrap().split(", ")
    }

    /// The tables that they are joined with.
    fn statics(&self) -> impl Iterator<Item = &str> {
        self.says("static")
            .into_iter()
            .flat_map(|names| names.split(", "))
    }

    /// The same as a job file.
    fn job(&self) -> String {
        let watermark = self.says("watermark").map_or(String::new(), |watermark| {
            let (column, delay) = watermark.split_once(' ').unwrap();
            format!(" WATERMARK {column} DELAY OF INTERVAL '{delay}'")
        });
        let columns = |input| {
            let file = goldens().join(format!("inputs/{input}.columns"));
            let columns = fs::read_to_string(file).unwrap();
            columns.trim().to_owned()
        };
        let table = |input| {
            format!(
                "CREATE TABLE {input} ({}) USING kafka OPTIONS (\n  kafka.bootstrap.servers 'none', subscribe '{input}', format 'json'){watermark};\n",
                columns(input),
            )
        };
        let still = |name| {
            format!(
                "CREATE TABLE {name} ({}) USING json OPTIONS (path 'none', static 'true');\n",
                columns(name),
            )
        };
        format!(
            "SET ansi = {};\nSET trigger = 'available now';\nSET outputMode = '{}';\n{}\
             CREATE TABLE result USING noop;\nINSERT INTO result\n{};\n",
            self.says("ansi").unwrap_or("true"),
            self.says("mode").unwrap(),
            self.inputs()
                .map(table)
                .chain(self.statics().map(still))
                .collect::<String>(),
            self.query
        )
    }

    /// What is wrong with the answer, if anything.
    fn differs(&self, more: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let job = folder.path().join("job.sql");
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(&job, self.job()).unwrap();
        for input in self.inputs().chain(self.statics()) {
            let lines = goldens().join(format!("inputs/{input}.jsonl"));
            fs::copy(lines, files.join(format!("{input}.jsonl"))).unwrap();
        }
        let mut arguments = vec![
            "test",
            job.to_str().unwrap(),
            files.to_str().unwrap(),
            "--update",
        ];
        arguments.extend_from_slice(more);
        let said = run(&arguments);
        if self.says("fails").is_some() {
            let overflows = said.code == 1 && said.out.contains("overflow");
            return (!overflows).then(|| format!("it should fail: {}{}", said.out, said.err));
        }
        if said.code != 0 {
            return Some(format!("{}{}", said.out, said.err));
        }
        let came = fs::read_to_string(files.join("result.expected.jsonl")).unwrap();
        let expected = self.expected.as_deref().unwrap();
        compare(expected, &came, self.says("ordered").is_some())
    }
}

fn compare(expected: &str, came: &str, ordered: bool) -> Option<String> {
    let rows = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (wanted, mut got) = (rows(expected), rows(came));
    let both = || Some(format!("Spark said\n{expected}and Thalweg\n{came}"));
    if wanted.len() != got.len() {
        return both();
    }
    if ordered {
        let same = wanted.iter().zip(&got).all(|(a, b)| alike(a, b));
        return if same { None } else { both() };
    }
    for row in &wanted {
        match got.iter().position(|other| alike(row, other)) {
            Some(place) => drop(got.remove(place)),
            None => return both(),
        }
    }
    None
}

/// Whether two values are the same: fractions to 12 digits, times by their moment, NULL as what is absent.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let absent = Value::Null;
            x.keys().chain(y.keys()).all(|name| {
                alike(
                    x.get(name).unwrap_or(&absent),
                    y.get(name).unwrap_or(&absent),
                )
            })
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| alike(a, b))
        }
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            (x - y).abs() <= 1e-12 * x.abs().max(y.abs())
        }
        (Value::String(x), Value::String(y)) => {
            x == y || moment(x).is_some_and(|x| Some(x) == moment(y))
        }
        _ => a == b,
    }
}

/// A time in UTC to the millisecond: what `to_json` writes unless it is told otherwise, as the goldens were.
fn moment(text: &str) -> Option<&str> {
    let time = text.strip_suffix('Z')?;
    let (_, fraction) = time.rsplit_once('.')?;
    time.get(..time.len() - fraction.len() + 3)
}

#[test]
fn the_answers_are_sparks_also_with_a_restart_after_each_record() {
    let mut wrong = Vec::new();
    let cases = Case::all();
    for case in &cases {
        for more in [&[][..], &["--restarts"][..]] {
            if let Some(why) = case.differs(more) {
                wrong.push(format!("{} {more:?}: {why}", case.name));
                break;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The scripts of `tests/spark/scripts`, as job files. What they must write is what the PySpark script wrote.
#[test]
fn a_job_writes_what_the_script_wrote_that_it_was_translated_from() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for entry in fs::read_dir(goldens().join("scripts")).unwrap() {
        let job = entry.unwrap().path();
        if job.extension().is_none_or(|kind| kind != "sql") {
            continue;
        }
        tried += 1;
        let files = job.with_extension("");
        for more in [&[][..], &["--restarts"][..]] {
            let mut arguments = vec!["test", job.to_str().unwrap(), files.to_str().unwrap()];
            arguments.extend_from_slice(more);
            let said = run(&arguments);
            if said.code != 0 {
                wrong.push(format!(
                    "{} {more:?}: {}{}",
                    job.display(),
                    said.out,
                    said.err
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tried, 5);
}

/// The folders of `tests/spark/outputs`: format, options of a reader, folders `key=value`.
#[cfg(feature = "parquet")]
const FOLDERS: [(&str, &str, &str); 9] = [
    ("parquet_all", "", ""),
    ("parquet_zstd", "", ""),
    ("parquet_by", "", "PARTITIONED BY (day, kind)"),
    ("json_all", "", ""),
    ("json_gzip", "", ""),
    ("json_by", "", "PARTITIONED BY (kind)"),
    (
        "csv_header",
        ", header 'true', nullValue '-', multiLine 'true'",
        "",
    ),
    (
        "csv_by",
        ", sep ';', nullValue '-', multiLine 'true'",
        "PARTITIONED BY (day, kind)",
    ),
    ("text_by", "", "PARTITIONED BY (kind)"),
];

#[cfg(feature = "parquet")]
#[test]
fn what_spark_has_read_in_the_folders_that_a_job_writes_is_read_here_too() {
    let cases = goldens().join("outputs");
    let out = tempfile::tempdir().unwrap();
    let run = |job: &Path| {
        let mut command = command::thalweg(&["run", job.to_str().unwrap(), "--http", "off"]);
        command
            .env("ROWS", cases.join("rows.jsonl"))
            .env("OUT", out.path());
        let said = command::ended(command.spawn().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
    };
    run(&cases.join("job.sql"));
    let job = fs::read_to_string(cases.join("job.sql")).unwrap();
    let columns = job.split("CREATE TABLE rows (").nth(1).unwrap();
    let columns = columns.split(") USING").next().unwrap();
    for (name, options, partitions) in FOLDERS {
        let format = name.split('_').next().unwrap();
        let columns = match format {
            "csv" => columns
                .replace("bytes BINARY,", "")
                .replace("list ARRAY<INT>, tags MAP<STRING, INT>, ", "")
                .replace(
                    "place STRUCT<city: STRING, zones: ARRAY<STRUCT<z: INT>>>,",
                    "",
                ),
            "text" => "value STRING, kind STRING".to_owned(),
            _ => columns.to_owned(),
        };
        let text = format!(
            "SET trigger = 'available now';
             SET checkpointLocation = '${{OUT}}/read/{name}';
             CREATE TABLE folder ({columns}) USING {format} OPTIONS (path '${{OUT}}/{name}'{options}) {partitions};
             CREATE TABLE out USING file OPTIONS (path '${{OUT}}/{name}.jsonl');
             INSERT INTO out SELECT to_json(struct(*), map('ignoreNullFields', 'false',
               'timestampFormat', 'yyyy-MM-dd\\'T\\'HH:mm:ss.SSSSSSXXX', 'timestampNTZFormat', 'yyyy-MM-dd\\'T\\'HH:mm:ss.SSSSSS')) AS line FROM folder;"
        );
        let file = out.path().join("read.sql");
        fs::write(&file, text).unwrap();
        run(&file);
        let came = fs::read_to_string(out.path().join(format!("{name}.jsonl"))).unwrap();
        let lines = came.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            format!("{}\n", row["line"].as_str().unwrap())
        });
        let lines: String = lines.collect();
        let expected = fs::read_to_string(cases.join(format!("{name}.jsonl"))).unwrap();
        let differs = compare(&expected, &lines, false);
        assert!(differs.is_none(), "{name}: {}", differs.unwrap_or_default());
    }
}
