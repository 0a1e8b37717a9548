//! Stories of lanes that processes hand on to each other: an heir shows what is committed, whatever its predecessor does.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::{Failure, Remedy};
#[cfg(feature = "parquet")]
use thalweg_engine::row::Value;
use thalweg_engine::sink::{Recovery, TakenOver};

use super::scene::{Run, Scene};
#[cfg(feature = "parquet")]
use super::table::PARQUET;
use super::table::TEXT;

pub(super) const LANE: &str = "in:records/0";

impl Scene {
    /// A process takes a lane over.
    pub(super) fn try_heir(
        &mut self,
        lane: &str,
        prepared: Option<&[u8]>,
        owned: bool,
    ) -> Result<Run, Failure> {
        let schema = self.schema();
        let sink = self.open(&schema)?;
        let prepared = prepared.map(|bytes| (SmolStr::from(lane), bytes.to_vec()));
        let prepared: BTreeMap<SmolStr, Vec<u8>> = prepared.into_iter().collect();
        sink.take_over(&TakenOver {
            lane,
            recovery: Recovery {
                checkpoint: "c0ffee",
                epoch: 7,
                rewound: false,
                prepared: &prepared,
                partitions: &[],
                store: &*self.store,
            },
            owned: &|| owned,
        })?;
        let writer = sink.open(self.context(lane))?;
        Ok(Run { sink, writer })
    }

    pub(super) fn heir(&mut self, lane: &str, prepared: Option<&[u8]>) -> Run {
        self.try_heir(lane, prepared, true).unwrap()
    }

    /// The names of what is hidden of a lane.
    fn hidden_of(&self, lane: &str) -> Vec<String> {
        let lane = lane.replace(':', "%3A").replace('/', "%2F");
        let entries = fs::read_dir(self.path().join("_thalweg/c0ffee").join(lane)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".run")).collect()
    }
}

fn shared(options: &[(&'static str, &'static str)]) -> Scene {
    Scene::new(TEXT, options).shared()
}

#[test]
fn an_heir_shows_what_is_committed_while_its_predecessor_writes_on() {
    let mut scene = shared(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    let committed = first.prepare(false).unwrap();
    first.text("b");
    first.prepare(false).unwrap();
    let mut second = scene.heir(LANE, Some(&committed));
    assert_eq!(scene.lines(), ["a"]);
    first.text("c");
    first.prepare(true).unwrap();
    assert_eq!(scene.lines(), ["a"], "what is not committed is seen");
    second.text("b");
    let last = second.prepare(true).unwrap();
    second.commit(&last);
    assert_eq!(scene.lines(), ["a", "b"]);
    // The next one finds nothing to do, and what the first has left is gone.
    scene.heir(LANE, None);
    assert!(scene.hidden_of(LANE).is_empty());
    assert_eq!(scene.lines(), ["a", "b"]);
}

#[test]
fn an_heir_leaves_alone_what_is_of_other_lanes() {
    let mut scene = shared(&[]);
    let (mut one, mut other) = (scene.heir(LANE, None), scene.heir("in:records/1", None));
    one.text("lost");
    one.prepare(false).unwrap();
    other.text("kept");
    other.prepare(false).unwrap();
    one.crash();
    scene.heir(LANE, None);
    assert!(scene.hidden_of(LANE).is_empty(), "orphans stay");
    assert_eq!(scene.hidden_of("in:records/1").len(), 1);
    let last = other.prepare(true).unwrap();
    other.commit(&last);
    assert_eq!(scene.lines(), ["kept"]);
}

#[test]
fn one_process_writes_several_lanes_and_gives_them_up_one_by_one() {
    let mut scene = shared(&[]);
    let mut first = scene.heir(LANE, None);
    let lane = "in:records/1";
    first
        .sink
        .take_over(&TakenOver {
            lane,
            recovery: Recovery {
                checkpoint: "c0ffee",
                epoch: 1,
                rewound: false,
                prepared: &BTreeMap::new(),
                partitions: &[],
                store: &*scene.store,
            },
            owned: &|| true,
        })
        .unwrap();
    let second = first.sink.open(scene.context(lane));
    let mut second = Run {
        sink: Arc::clone(&first.sink),
        writer: second.unwrap(),
    };
    first.text("a");
    second.text("b");
    let (a, b) = (first.prepare(false).unwrap(), second.prepare(true).unwrap());
    assert_eq!(
        (scene.hidden_of(LANE).len(), scene.hidden_of(lane).len()),
        (1, 1)
    );
    second.commit(&b);
    drop(second);
    first.text("c");
    assert_eq!(scene.lines(), ["b"]);
    scene.heir(LANE, Some(&a));
    assert_eq!(scene.lines(), ["a", "b"]);
}

#[test]
fn one_that_comes_too_late_removes_nothing_of_its_successor() {
    let mut scene = shared(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    let committed = first.prepare(false).unwrap();
    first.crash();
    let mut successor = scene.heir(LANE, Some(&committed));
    successor.text("b");
    successor.prepare(false).unwrap();
    // It had claimed the lane before, and was paused ever since.
    scene.try_heir(LANE, Some(&committed), false).unwrap();
    let last = successor.prepare(true).unwrap();
    successor.commit(&last);
    assert_eq!(scene.lines(), ["a", "b"]);
}

#[test]
fn what_an_heir_has_shown_does_not_come_back_when_its_predecessor_goes_on() {
    let mut scene = shared(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    // Committed, and paused before it was made visible.
    let committed = first.prepare(true).unwrap();
    scene.heir(LANE, Some(&committed));
    assert_eq!(scene.lines(), ["a"]);
    for file in scene.seen().into_keys() {
        fs::remove_file(scene.path().join(file)).unwrap();
    }
    first.commit(&committed);
    assert!(scene.seen().is_empty(), "what somebody has fetched is back");
}

#[test]
fn a_folder_that_the_processes_do_not_share_is_found() {
    let (mut here, mut there) = (shared(&[]), shared(&[]));
    let mut first = here.heir(LANE, None);
    first.text("a");
    let committed = first.prepare(false).unwrap();
    for _ in 0..2 {
        let Err(failure) = there.try_heir(LANE, Some(&committed), true) else {
            panic!("the loss is not noticed");
        };
        assert_eq!(failure.remedy, Remedy::Refuse);
        assert!(
            failure.message.contains("all processes of the job see"),
            "{failure}"
        );
    }
    here.heir(LANE, Some(&committed));
    // With nothing hidden the lane moves without a word; it is noticed when it comes back.
    there.heir("x", None);
    let mut second = there.heir(LANE, None);
    second.text("b");
    let committed = second.prepare(false).unwrap();
    assert!(here.try_heir(LANE, Some(&committed), true).is_err());
}

#[test]
fn a_hidden_file_of_a_lane_that_is_too_short_is_refused() {
    let mut scene = shared(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    let committed = first.prepare(false).unwrap();
    first.crash();
    let hidden = scene.hidden_of(LANE).remove(0);
    let lane = scene.path().join("_thalweg/c0ffee/in%3Arecords%2F0");
    fs::write(lane.join(hidden), b"").unwrap();
    let Err(failure) = scene.try_heir(LANE, Some(&committed), true) else {
        panic!("the damage is not noticed");
    };
    assert!(failure.message.contains("is damaged"), "{failure}");
}

#[test]
fn a_folder_is_shared_by_the_processes_of_one_query_and_by_nobody_else() {
    let root = tempfile::tempdir().unwrap();
    let held = super::lock::shared(root.path(), "job query").unwrap();
    let other = super::lock::shared(root.path(), "job query").unwrap();
    drop(held);
    let refused = [
        super::lock::shared(root.path(), "job other"),
        super::lock::alone(root.path()),
    ];
    for refused in refused {
        let failure = refused.unwrap_err();
        assert!(failure.message.contains("by another query"), "{failure}");
    }
    drop(other);
    super::lock::alone(root.path()).unwrap();
    super::lock::shared(root.path(), "job other").unwrap();
}

#[cfg(feature = "parquet")]
#[test]
fn an_heir_makes_parquet_of_what_is_committed_while_its_predecessor_writes_on() {
    let mut scene = Scene::new(PARQUET, &[]).shared();
    let mut first = scene.heir(LANE, None);
    let row = |run: &mut Run, text: &str| run.write(&[Value::from(text)]);
    row(&mut first, "a");
    let committed = first.prepare(false).unwrap();
    row(&mut first, "b");
    first.prepare(true).unwrap();
    scene.heir(LANE, Some(&committed));
    row(&mut first, "c");
    first.prepare(true).unwrap();
    let seen: Vec<String> = scene.seen().into_keys().collect();
    let [name] = &seen[..] else {
        panic!("{seen:?}");
    };
    let rows = super::parquet_tests::read(&scene.path().join(name));
    assert_eq!(rows, ["{value: \"a\"}"]);
}
