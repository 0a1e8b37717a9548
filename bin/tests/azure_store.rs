//! Files and checkpoints in Azure Blob Storage, against a server on loopback.

#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use serde_json::Value;
use stage::{Azure, PATIENCE, kills, thalweg, until};

const ARCHIVE: &str = "
    SET checkpointLocation = './checkpoints';
    SET checkpointInterval = '100 ms';
    CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');
    CREATE TABLE archive (id BIGINT) USING json OPTIONS (path 'az://shop/archive', rollInterval '300 ms');
    INSERT INTO archive SELECT id FROM arrivals;";

const COUNTS: &str = "
    SET checkpointLocation = 'az://shop/jobs';
    SET checkpointInterval = '100 ms';
    SET outputMode = 'update';
    CREATE TABLE archive (id BIGINT) USING json OPTIONS (path 'az://shop/archive', maxFilesPerTrigger '1');
    CREATE TABLE counts USING file OPTIONS (path 'out.jsonl');
    INSERT INTO counts SELECT id % 7 AS k, count(*) AS n, sum(id) AS total FROM archive GROUP BY id % 7;";

/// The last count and sum of each key, added up.
fn counted(azure: &Azure) -> (u64, u64) {
    let text = std::fs::read_to_string(azure.dir().join("out.jsonl")).unwrap_or_default();
    let mut last = std::collections::BTreeMap::new();
    for row in text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let of = |name: &str| row[name].as_u64().unwrap();
        last.insert(of("k"), (of("n"), of("total")));
    }
    last.values()
        .fold((0, 0), |(n, total), one| (n + one.0, total + one.1))
}

#[test]
fn what_arrives_stands_in_a_container_once_and_is_counted_from_there_whatever_is_killed() {
    let azure = Azure::start();
    let input = azure.dir().join("in");
    std::fs::create_dir(&input).unwrap();
    azure.job("archive.sql", ARCHIVE);
    azure.job("counts.sql", COUNTS);
    let run = |job| azure.run(&["run", job, "--http", "127.0.0.1:0"]);
    let mut next = 0_u64;
    for kill in 0..u64::from(kills(3)) {
        let (archive, counts) = (run("archive.sql"), run("counts.sql"));
        let before = counted(&azure).0;
        for _ in 0..3 {
            let text: String = (next..next + 50)
                .map(|id| format!("{{\"id\":{id}}}\n"))
                .collect();
            std::fs::write(azure.dir().join("aside"), text).unwrap();
            std::fs::rename(
                azure.dir().join("aside"),
                input.join(format!("{next:06}.json")),
            )
            .unwrap();
            next += 50;
        }
        until("more is counted", PATIENCE, || counted(&azure).0 > before);
        std::thread::sleep(std::time::Duration::from_millis(kill * 97 % 300));
        archive.kill();
        counts.kill();
    }
    for job in ["archive.sql", "counts.sql"] {
        azure
            .call(&["run", job, "--http", "off", "--set", "trigger=once"])
            .expect(0, &[]);
    }
    assert_eq!(counted(&azure), (next, next * (next - 1) / 2));
    let said = azure.call(&["inspect", "az://shop/jobs", "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report[0]["folder"], "az://shop/jobs/counts");
    assert_eq!(report[0]["trouble"], Value::Null);
}

#[test]
fn a_container_without_an_account_is_told_how_to_name_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("archive.sql"), ARCHIVE).unwrap();
    let mut command = thalweg(&["check", "archive.sql", "--connect"]);
    command.current_dir(dir.path());
    stage::Running::start(command).end(PATIENCE).expect(
        2,
        &[
            "az://shop",
            "fs.azure.account.key.ACCOUNT",
            "AZURE_STORAGE_ACCOUNT_NAME",
        ],
    );
}
