//! Locations as other tools write them: URIs of this machine, and those of places that are not reached.

use std::fs;
use std::path::Path;

use crate::stage::plain::{Said, ended, thalweg};

/// A job of files that names three locations in this way.
fn job(checkpoints: &str, output: &str, archive: &str) -> String {
    format!(
        "SET checkpointLocation = '{checkpoints}';\nSET trigger = 'available now';\n\
         CREATE TABLE arrivals USING text OPTIONS (path 'in', cleanSource 'archive', sourceArchiveDir '{archive}');\n\
         CREATE TABLE copies USING text OPTIONS (path '{output}');\n\
         INSERT INTO copies SELECT value FROM arrivals;\n"
    )
}

fn done(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = thalweg(arguments);
    ended(command.current_dir(folder).spawn().unwrap())
}

#[test]
fn a_uri_of_this_machine_is_its_path_wherever_a_location_stands() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("in")).unwrap();
    fs::write(path("in/a.txt"), "hello\n").unwrap();
    let root = dir.path().display();
    let text = job(
        &format!("file://{root}/checkpoints"),
        &format!("file:{root}/out"),
        &format!("FILE://localhost{root}/old"),
    );
    fs::write(path("copies.sql"), text).unwrap();
    let copied = done(dir.path(), &["run", "copies.sql", "--http", "off"]);
    assert_eq!(copied.code, 0, "{copied:?}");
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["checkpoints", "copies.sql", "in", "old", "out"]);
    let shown = done(
        dir.path(),
        &["inspect", &format!("file:{root}/checkpoints")],
    );
    assert_eq!(shown.code, 0, "{shown:?}");
}

#[test]
fn a_uri_of_another_place_is_refused_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    for (location, said) in [
        ("dbfs:/mnt/x", "`dbfs:/` is no place of files"),
        ("s3:/bucket/x", "write s3://bucket/folder"),
        ("file://host/x", "write file:///"),
        ("~/x", "write ${HOME}"),
    ] {
        let jobs = [
            job(location, "out", "old"),
            job("checkpoints", location, "old"),
            job("checkpoints", "out", location),
        ];
        for text in jobs {
            fs::write(dir.path().join("copies.sql"), &text).unwrap();
            for verb in ["check", "run"] {
                let refused = done(dir.path(), &[verb, "copies.sql"]);
                assert_eq!(refused.code, 2, "{text} {refused:?}");
                assert!(refused.err.contains(said), "{text} {refused:?}");
            }
        }
        let refused = done(dir.path(), &["inspect", location]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains(said), "{refused:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
