//! Stories of files that were read.

use super::*;

const DAY: Micros = 86_400_000_000;
/// What the clock says, in seconds: 20 days.
const NOW: u32 = 1_728_000;

fn at(token: &str) -> Position {
    Position::Token(Arc::from(token))
}

fn begin(journal: &mut Journal, path: &str, time: u32) {
    let time = Micros::from(time) * 1_000_000;
    journal.begin(&Arc::from(path), Key::of(path), time);
}

fn restored(changes: &[StateChanges]) -> Seen {
    Seen::restore(changes, NOW).unwrap()
}

#[test]
fn a_cut_saves_the_files_up_to_its_position_and_no_other() {
    let mut journal = Journal::default();
    for path in ["a", "b", "c"] {
        begin(&mut journal, path, 7);
    }
    let within = journal.changes(&at("3:b"), Key::of).unwrap();
    let seen = restored(std::slice::from_ref(&within));
    assert!(seen.contains(Key::of("a")) && !seen.contains(Key::of("c")));
    assert_eq!(seen.time(Key::of("b")), Some(7), "the one under way");
    assert_eq!(journal.changes(&at("4:b"), Key::of), None);
    let behind = journal.changes(&at("end:b"), Key::of).unwrap();
    let seen = restored(&[within, behind]);
    assert!(seen.contains(Key::of("b")) && !seen.contains(Key::of("c")));
    assert_eq!(journal.changes(&at("end:b"), Key::of), None);
}

#[test]
fn what_is_older_than_the_age_is_forgotten_and_stays_so_after_a_restart() {
    let mut journal = Journal::default();
    let mut seen = Seen::default();
    for (path, time) in [("old", 1_000), ("new", 1_000_000)] {
        seen.insert(Key::of(path), time, NOW);
        begin(&mut journal, path, time);
    }
    assert_eq!(
        seen.forget(DAY, Some(500_000_000)),
        None,
        "an old file waits"
    );
    journal.forget(seen.forget(DAY, None).unwrap());
    let seen_again = restored(&[journal.changes(&at("end:new"), Key::of).unwrap()]);
    for seen in [seen, seen_again] {
        assert!(!seen.contains(Key::of("old")) && seen.contains(Key::of("new")));
        assert!(seen.is_old(1_000_000_000) && !seen.is_old(999_999 * 1_000_000));
        assert_eq!(seen.len(), 1);
    }
}

#[test]
fn what_is_forgotten_counts_only_with_the_file_that_made_it_so() {
    let mut journal = Journal::default();
    let mut seen = Seen::default();
    for (path, time) in [("old", 1_000), ("new", 1_000_000)] {
        seen.insert(Key::of(path), time, NOW);
        begin(&mut journal, path, time);
    }
    journal.forget(seen.forget(DAY, None).unwrap());
    // A crash while the newer one was being read.
    let seen = restored(&[journal.changes(&at("0:new"), Key::of).unwrap()]);
    assert!(seen.contains(Key::of("old")) && !seen.is_old(0));
}

#[test]
fn a_file_that_is_dated_ahead_makes_no_other_too_old() {
    let mut seen = Seen::default();
    for (path, time) in [("read", NOW - 10), ("ahead", NOW + 700_000)] {
        seen.insert(Key::of(path), time, NOW);
    }
    seen.forget(DAY, None).unwrap();
    assert!(seen.contains(Key::of("read")), "else it is read again");
    assert!(!seen.is_old(Micros::from(NOW - 10) * 1_000_000));
    assert_eq!(seen.time(Key::of("ahead")), Some(NOW + 700_000));
}

#[test]
fn a_limit_ahead_of_the_clock_is_lowered_to_it_and_saved_so() {
    // As it was saved when a time ahead of the clock counted.
    let mut entries = Entries::default();
    entries.put(&[], |out| {
        out.extend_from_slice(&(NOW + 86_400).to_le_bytes());
    });
    let saved = StateChanges {
        whole: false,
        layout: LAYOUT.to_owned(),
        entries,
    };
    let mut seen = restored(std::slice::from_ref(&saved));
    assert!(seen.was_lowered());
    let just_now = Micros::from(NOW) * 1_000_000;
    assert!(!seen.is_old(just_now), "what comes from now on is read");
    assert!(
        seen.is_old(just_now - 1),
        "it may have been read and forgotten"
    );
    let mut journal = Journal::default();
    journal.forget(seen.forget(DAY, None).unwrap());
    assert_eq!(seen.forget(DAY, None), None);
    begin(&mut journal, "next", NOW + 60);
    let next = journal.changes(&at("end:next"), Key::of).unwrap();
    let later = Seen::restore(&[saved, next], NOW + 120).unwrap();
    assert!(!later.was_lowered());
    assert!(!later.is_old(just_now), "a restart leaves out no more");
}

#[test]
fn files_are_cleaned_once_and_only_when_an_epoch_that_covers_them_is_committed() {
    let mut journal = Journal {
        cleans: true,
        ..Journal::default()
    };
    for path in ["a", "b", "c"] {
        begin(&mut journal, path, 7);
    }
    journal.changes(&at("1:b"), Key::of);
    journal.changes(&at("end:c"), Key::of);
    let safe = |journal: &mut Journal, token: &str| -> Vec<String> {
        journal
            .safe(&at(token))
            .iter()
            .map(|(path, _)| path.to_string())
            .collect()
    };
    assert_eq!(safe(&mut journal, "1:b"), ["a"]);
    assert_eq!(safe(&mut journal, "1:b"), [""; 0]);
    assert_eq!(safe(&mut journal, "end:c"), ["b", "c"]);
}

#[test]
fn the_state_of_another_source_is_refused() {
    let other = StateChanges {
        layout: "{}".to_owned(),
        ..StateChanges::default()
    };
    assert!(
        Seen::restore(&[other], NOW)
            .unwrap_err()
            .message
            .contains("another version")
    );
}
