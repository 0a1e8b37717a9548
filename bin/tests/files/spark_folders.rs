//! Folders that a stream of Spark has written: its log says which files count.

use std::fs;

use super::Scene;
use crate::stage::plain::{ended, terminate, until};

/// Names a file in the log of the folder, as the batch of this number.
fn named(scene: &Scene, batch: &str, file: &str) {
    let log = scene.path("in/_spark_metadata");
    fs::create_dir_all(&log).unwrap();
    let line = format!("{{\"path\":\"file:///moved/since/{file}\",\"size\":9,\"action\":\"add\"}}");
    fs::write(scene.path("aside/batch"), format!("v1\n{line}")).unwrap();
    fs::rename(scene.path("aside/batch"), log.join(batch)).unwrap();
}

#[test]
fn what_an_attempt_of_spark_left_over_is_not_read_and_what_it_names_later_is() {
    let scene = Scene::new("");
    scene.arrive("part-0.json", 0..10);
    scene.arrive("left-over.json", 100..110);
    named(&scene, "0", "part-0.json");
    let running = scene.start("continuous");
    until("the rows of the first batch", || scene.copied().len() == 10);
    scene.arrive("part-1.json", 10..20);
    scene.arrive("left-over-too.json", 110..120);
    // Long enough for the system to have told of both.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(scene.copied().len(), 10, "nothing names the others yet");
    named(&scene, "1", "part-1.json");
    until("the rows of the second batch", || {
        scene.copied().len() == 20
    });
    terminate(&running);
    let done = ended(running);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(scene.copied().into_keys().eq(0..20));
}

#[test]
fn files_that_spark_names_are_not_taken_away() {
    let scene = Scene::new(", cleanSource 'delete'");
    scene.arrive("part-0.json", 0..10);
    named(&scene, "0", "part-0.json");
    let refused = ended(scene.start("once"));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("leave cleanSource out"), "{refused:?}");
    assert!(scene.path("in/part-0.json").exists());
}

#[test]
fn an_output_is_not_written_where_no_reader_of_spark_would_see_it() {
    let scene = Scene::new("");
    named(&scene, "0", "part-0.json");
    let job = "SET checkpointLocation = 'checkpoints';\n\
         CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'aside');\n\
         CREATE TABLE copies USING json OPTIONS (path 'in');\n\
         INSERT INTO copies SELECT id FROM arrivals;\n";
    fs::write(scene.path("copies.sql"), job).unwrap();
    let refused = ended(scene.start("once"));
    assert_eq!(refused.code, 2, "{refused:?}");
    let said = "remove _spark_metadata once no stream of Spark writes there";
    assert!(refused.err.contains(said), "{refused:?}");
    assert_eq!(fs::read_dir(scene.inbox()).unwrap().count(), 1);
    fs::remove_dir_all(scene.path("in/_spark_metadata")).unwrap();
    let done = ended(scene.start("once"));
    assert_eq!(done.code, 0, "{done:?}");
}
