//! Query tests as files: `tests/sql/NAME.sql` and beside it `NAME.txt` with the plans, or with the error as it is shown.
//! The jobs that ship with the program are such files too; only what they come to lies here.
//!
//! `THALWEG_BLESS=1 cargo test -p thalweg-operators --test sql` writes what is there now; read the difference.

use std::fmt::Write;
use std::path::Path;

use thalweg_operators::sql::{Overrides, load};

fn environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("correct horse".to_owned()),
        "STORE" => Some("berlin-7".to_owned()),
        _ => None,
    }
}

/// What `check` would show of a job, or its error.
fn shown(file: &str, text: &str) -> String {
    match load(text, &Overrides::default(), &environment) {
        Err(error) => format!("{}\n", error.render(file, text)),
        Ok(job) => {
            let mut out = String::new();
            for query in &job.queries {
                let _ = writeln!(out, "query {}", query.name);
                out.push_str(&query.fmt_tree());
                let _ = writeln!(out, "identity {}", query.identity());
            }
            out
        }
    }
}

#[test]
fn every_query_file_has_the_plan_or_the_error_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let bless = std::env::var_os("THALWEG_BLESS").is_some();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/jobs");
    let mut files: Vec<_> = [&folder, &shipped]
        .into_iter()
        .flat_map(|place| std::fs::read_dir(place).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        // A build without the feature refuses what needs it.
        .filter(|path| cfg!(feature = "parquet") || !path.ends_with("archive.sql"))
        .filter(|path| cfg!(feature = "kinesis") || !path.to_string_lossy().contains("kinesis_"))
        .collect();
    files.sort();
    assert!(files.len() > 50, "only {} query files", files.len());
    let mut wrong = String::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let got = shown(&name, &text);
        let expected = folder.join(&name).with_extension("txt");
        if bless {
            std::fs::write(&expected, &got).unwrap();
            continue;
        }
        let want = std::fs::read_to_string(&expected).unwrap_or_default();
        if got != want {
            let _ = writeln!(wrong, "=== {name}\n--- expected\n{want}--- got\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
