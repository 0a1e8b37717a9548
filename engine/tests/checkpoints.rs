//! The checkpoint folder: what is refused, what is kept, what a broken file does.
#![allow(clippy::unwrap_used)]

mod epochs;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use epochs::checkpoint;
use proptest::prelude::*;
use thalweg_engine::epoch::checkpoint::{
    Checkpoint, Damage, FORMAT, LaneCut, PartitionCut, START_MAX, UPGRADE,
};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::{FolderStore, OpenError};
use thalweg_engine::error::Remedy;
use thalweg_engine::record::Position;

fn log(folder: &Path, kept: usize) -> CheckpointLog {
    let store = FolderStore::lock(folder).expect("the folder is free");
    CheckpointLog::new(Arc::new(store), kept, false)
}

fn newest_file(folder: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder.join("epochs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn the_newest_epoch_is_read_back_and_only_the_kept_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 3);
    assert_eq!(log.recover().unwrap(), None);
    for epoch in 0..10 {
        log.commit(&checkpoint(epoch, &[])).unwrap();
    }
    assert_eq!(log.newest().unwrap(), Some(checkpoint(9, &[])));
    let epochs: Vec<u64> = log.list().unwrap().iter().map(|kept| kept.epoch).collect();
    assert_eq!(epochs, [7, 8, 9]);
}

#[test]
fn an_epoch_is_never_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 3);
    log.commit(&checkpoint(1, &[])).unwrap();
    // One that seemed to fail is tried again, and is the same.
    log.commit(&checkpoint(1, &[])).unwrap();
    let error = log.commit(&checkpoint(1, &["another"])).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
}

#[test]
fn a_second_process_is_refused_with_the_first_ones_number() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 3);
    log.commit(&checkpoint(0, &[])).unwrap();
    match FolderStore::lock(folder.path()) {
        Err(OpenError::InUse { by }) => assert_eq!(by, Some(std::process::id())),
        _ => panic!("the folder was locked twice"),
    }
}

#[test]
fn a_truncated_an_edited_and_a_deleted_newest_file_are_refused_and_nothing_changes() {
    for damage in ["truncated", "edited", "deleted"] {
        let folder = tempfile::tempdir().unwrap();
        {
            let log = log(folder.path(), 3);
            log.commit(&checkpoint(0, &[])).unwrap();
            log.commit(&checkpoint(1, &[])).unwrap();
        }
        let file = newest_file(folder.path());
        let bytes = fs::read(&file).unwrap();
        match damage {
            "truncated" => fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
            "edited" => {
                let text = String::from_utf8(bytes).unwrap().replace("310", "910");
                fs::write(&file, text).unwrap();
            }
            _ => fs::remove_file(&file).unwrap(),
        }
        let before: Vec<_> = fs::read_dir(folder.path().join("epochs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        let failure = log(folder.path(), 3).recover().unwrap_err();
        assert_eq!(failure.remedy, Remedy::Refuse, "{damage}");
        assert!(
            failure.message.contains("00000000000000000001.json"),
            "{damage}: {failure}"
        );
        assert!(
            failure.message.contains("thalweg checkpoint rollback"),
            "{damage}: {failure}"
        );
        let after: Vec<_> = fs::read_dir(folder.path().join("epochs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(before, after, "{damage}");
    }
}

#[test]
fn a_newer_format_and_an_unknown_field_are_refused() {
    let sealed = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(b'\n');
        let seal = format!("crc32c:{:08x}\n", crc32c::crc32c(&bytes));
        bytes.extend_from_slice(seal.as_bytes());
        bytes
    };
    assert_eq!(
        Checkpoint::decode(&sealed(r#"{"format":3,"what":"ever"}"#)),
        Err(Damage::Format(3))
    );
    let text = String::from_utf8(checkpoint(1, &[]).encode()).unwrap();
    let (json, _) = text.split_once('\n').unwrap();
    let foreign = json.replacen("{", r#"{"later":1,"#, 1);
    assert!(matches!(
        Checkpoint::decode(&sealed(&foreign)),
        Err(Damage::Content(why)) if why.contains("later")
    ));
}

/// What a program wrote that knew format 1 alone.
const FORMAT_1: &[u8] = include_bytes!("formats/1.json");

#[test]
fn the_format_before_is_read_and_written_byte_by_byte_as_it_was() {
    let mut read = Checkpoint::decode(FORMAT_1).unwrap();
    assert_eq!((read.format, read.epoch), (1, 16));
    assert_eq!(read.encode(), FORMAT_1);
    // What it has no field for is no reason to write another format, or one that nobody knows.
    read.interval = Some(60_000_000);
    read.lanes[0].partitions[1].seen = Some(1);
    assert_eq!(read.encode(), FORMAT_1);
    read.format = FORMAT;
    let again = Checkpoint::decode(&read.encode()).unwrap();
    assert_eq!(again, read, "the format of this version has fields for all");
}

#[test]
fn the_start_that_processes_share_is_one_still_after_a_move_to_another_format() {
    let mut start = checkpoint(0, &[]);
    assert!(start.is_the_start());
    start.epoch = 1;
    assert!(!start.is_the_start(), "a process has gone on from it");
    start.run = UPGRADE.to_owned();
    assert!(start.is_the_start());
    start.epoch = START_MAX + 1;
    assert!(!start.is_the_start(), "what was moved was no start");
}

#[test]
fn state_that_no_kept_checkpoint_names_is_removed_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    {
        let log = log(folder.path(), 1);
        log.recover().unwrap();
        for name in ["a", "b", "c"] {
            log.store().put(&format!("state/{name}"), b"x").unwrap();
        }
        log.commit(&checkpoint(1, &["a", "b"])).unwrap();
        log.commit(&checkpoint(2, &["b"])).unwrap();
    }
    let names = |log: &CheckpointLog| -> Vec<String> {
        let entries = log.store().list("state").unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    };
    let log = log(folder.path(), 1);
    assert_eq!(names(&log), ["b", "c"], "a went with its epoch");
    log.recover().unwrap();
    assert_eq!(names(&log), ["b"], "c is what a later epoch had left");
}

#[test]
fn what_an_interrupted_write_has_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(log(folder.path(), 3));
    let left = folder.path().join("epochs/.tmp-00000000000000000001.json");
    fs::write(&left, b"{").unwrap();
    let log = log(folder.path(), 3);
    assert!(!left.exists());
    assert_eq!(log.newest().unwrap(), None);
}

proptest! {
    #[test]
    fn a_checkpoint_cut_at_any_byte_is_refused(cut in 0.0_f64..1.0) {
        let bytes = checkpoint(7, &["a"]).encode();
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = (bytes.len() as f64 * cut) as usize;
        prop_assert_eq!(Checkpoint::decode(&bytes[..at]), Err(Damage::Checksum));
    }

    #[test]
    fn a_flipped_bit_is_refused(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = checkpoint(7, &["a"]).encode();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Checkpoint::decode(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Checkpoint::decode(&bytes).is_err());
    }

    #[test]
    fn arbitrary_json_under_a_right_seal_never_panics(text in "\\PC{0,200}") {
        let mut bytes = text.into_bytes();
        bytes.push(b'\n');
        let seal = format!("crc32c:{:08x}\n", crc32c::crc32c(&bytes));
        bytes.extend_from_slice(seal.as_bytes());
        let _ = Checkpoint::decode(&bytes);
    }
}

#[test]
fn partitions_that_have_ended_are_let_go_but_not_with_what_their_lane_remembers() {
    let part = |name: &str, ended: bool| PartitionCut {
        input: "invoices".into(),
        partition: name.into(),
        position: Position::Number(1),
        watermark: None,
        seen: None,
        ended,
        start: None,
    };
    let lane = |name: &str, parts: Vec<PartitionCut>, writer: Option<&str>| LaneCut {
        lane: name.into(),
        partitions: parts,
        writer: writer.map(str::to_owned),
        kept: Vec::new(),
        state: Default::default(),
    };
    let mut whole = checkpoint(1, &["count"]);
    whole.lanes[0].partitions = vec![part("counted", true)];
    whole.lanes.extend([
        lane("alone", vec![part("a", true)], None),
        lane("reads on", vec![part("b", false)], None),
        lane("gathers", vec![part("c", true), part("d", false)], Some("")),
        lane("writes", vec![part("e", true)], Some("open")),
        lane("asked later", vec![part("f", true)], None),
    ]);
    let ended = whole.ended("invoices");
    assert_eq!(ended.len(), 5);
    let gone = ["counted", "a", "b", "c", "e"].map(Into::into).into();
    whole.let_go("orders", &gone);
    assert_eq!(whole.ended("invoices"), ended, "they are of another input");
    whole.let_go("invoices", &gone);
    let left: Vec<&str> = whole
        .partitions()
        .map(|part| part.partition.as_str())
        .collect();
    assert_eq!(left, ["counted", "b", "d", "e", "f"]);
    assert_eq!(whole.lanes.len(), 5);
}
