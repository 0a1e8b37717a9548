//! Formats end to end: what is known of a row, encodings, files of which half is there.

use std::fs;

use crate::Scene;
use crate::stage::plain::ended;
#[cfg(any(feature = "parquet", feature = "orc"))]
use crate::stage::plain::{terminate, until};

#[test]
fn what_is_known_of_a_row_stands_in_its_metadata() {
    let scene = Scene::of(
        "arrivals (id BIGINT) USING json OPTIONS (path 'in')",
        "id, _metadata.file_path AS path, _metadata.file_name AS name, _metadata.file_size AS size, _metadata.file_block_start AS start, \
         _metadata.file_block_length AS length, _metadata.row_index AS row",
    );
    scene.arrive("two words.json", 0..2);
    let done = ended(scene.start("once"));
    assert_eq!(done.code, 0, "{done:?}");
    let inbox = fs::canonicalize(scene.inbox()).unwrap();
    let expected = |id: u64| {
        serde_json::json!({
            "id": id, "path": format!("file:{}/two%20words.json", inbox.display()),
            "name": "two%20words.json",
            "size": 18, "start": 0, "length": 18, "row": id,
        })
    };
    assert_eq!(scene.rows(), [expected(0), expected(1)]);
}

#[test]
fn a_row_knows_the_file_that_it_comes_from_by_sparks_function() {
    let scene = Scene::of(
        "arrivals (id BIGINT) USING json OPTIONS (path 'in')",
        "id, input_file_name() AS file",
    );
    let job = fs::read_to_string(scene.path("copies.sql")).unwrap();
    let job = format!(
        "{job}\nCREATE TABLE files USING file OPTIONS (path 'files.jsonl');\n\
         SET outputMode = 'complete';\n\
         INSERT INTO files SELECT input_file_name() AS file, count(*) AS rows FROM arrivals \
         WHERE input_file_name() LIKE '%two%' GROUP BY input_file_name();\n"
    );
    fs::write(scene.path("copies.sql"), job).unwrap();
    scene.arrive("one.json", 0..1);
    scene.arrive("two words.json", 1..3);
    let done = ended(scene.start("once"));
    assert_eq!(done.code, 0, "{done:?}");
    let inbox = fs::canonicalize(scene.inbox()).unwrap();
    let file = |name: &str| format!("file://{}/{name}", inbox.display());
    let expected = |id: u64, name: &str| serde_json::json!({"id": id, "file": file(name)});
    let two = "two%20words.json";
    assert_eq!(
        scene.rows(),
        [expected(0, "one.json"), expected(1, two), expected(2, two)]
    );
    let counted = fs::read_to_string(scene.path("files.jsonl")).unwrap();
    let counted: serde_json::Value = serde_json::from_str(counted.trim()).unwrap();
    assert_eq!(counted, serde_json::json!({"file": file(two), "rows": 2}));
}

#[test]
fn an_encoding_that_is_named_is_that_of_the_files() {
    for (format, lines) in [("csv", "0\n1\n"), ("json", "{\"id\":0}\n{\"id\":1}\n")] {
        let scene = Scene::of(
            &format!("arrivals (id BIGINT) USING {format} OPTIONS (path 'in', encoding 'UTF-16')"),
            "id",
        );
        let units = std::iter::once(0xFEFF).chain(lines.encode_utf16());
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        crate::appear(scene.dir.path(), "a", bytes);
        let done = ended(scene.start("once"));
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(scene.copied().len(), 2, "{format}");
    }
}

#[test]
#[cfg(feature = "parquet")]
fn half_a_parquet_file_is_skipped_and_the_next_file_is_read() {
    let scene = Scene::of(
        "arrivals (id BIGINT) USING parquet OPTIONS (path 'in')",
        "id",
    );
    let whole = crate::stage::parquet_of(&[0, 1, 2]);
    crate::appear(scene.dir.path(), "a.parquet", &whole[..whole.len() / 2]);
    let failed = ended(scene.start("once"));
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(
        failed
            .err
            .contains("in/a.parquet, row 1: the file is no whole parquet file")
    );
    let job = fs::read_to_string(scene.path("copies.sql")).unwrap();
    fs::write(
        scene.path("copies.sql"),
        format!("SET onError = 'skip';\n{job}"),
    )
    .unwrap();
    let child = scene.start("continuous");
    crate::appear(scene.dir.path(), "b.parquet", &whole);
    until("the rows of the next file", || scene.copied().len() == 3);
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("skipped"), "{done:?}");
}

#[test]
#[cfg(feature = "orc")]
fn files_of_orc_are_read_as_they_come() {
    let scene = Scene::of(
        "arrivals (id BIGINT) USING orc OPTIONS (path 'in')",
        "_metadata.row_index AS id, _metadata.file_name AS file",
    );
    let spark = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/spark/blocks/times.orc"
    );
    let rows = fs::read_to_string(format!("{spark}.jsonl")).unwrap();
    let rows = rows.lines().count() as u64;
    let child = scene.start("continuous");
    for (number, name) in ["a.orc", "b.orc"].iter().enumerate() {
        crate::appear(scene.dir.path(), name, fs::read(spark).unwrap());
        until("each row of the file", || {
            let copied = scene.copied();
            (0..rows).all(|row| copied.get(&row) == Some(&(number as u64 + 1)))
        });
    }
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
}
