//! Objects that are replaced or deleted while they are read, or between two runs.

use std::time::Duration;

use serde_json::json;

use super::stage::{PATIENCE, S3, until};
use super::{copied, copies, ended, ids};

/// The rows of an object that is read in parts.
fn lines() -> String {
    (0..200_000)
        .map(|id| format!("{{\"id\":{id},\"of\":\"a long file\"}}\n"))
        .collect()
}

#[test]
fn an_object_that_is_replaced_or_deleted_while_it_is_read_is_one_bad_record_that_says_so() {
    for (deleted, why) in [
        (false, "was replaced while it was read"),
        (true, "the file is gone"),
    ] {
        let s3 = S3::start();
        s3.put("in/big.json", lines());
        let third = (512 << 10) + (4 << 20);
        s3.plant(&json!([{ "method": "GET", "path": "/in/big", "from": third, "hold": true, "times": -1 }]));
        let job = copies(&s3, "s3://shop/in", "");
        let mut running = s3.run(&job, &["--set", "onError=skip"]);
        s3.until_out(1_000);
        if deleted {
            s3.delete("in/big.json");
        } else {
            s3.put("in/big.json", ids(0..10));
        }
        s3.put("in/small.json", ids(500_000..500_010));
        s3.back();
        let said = running.until_said(why, PATIENCE);
        assert!(said.contains("s3://shop/in/big.json, row "), "{said}");
        until("the next file", PATIENCE, || {
            copied(&s3.out()).contains_key(&500_009)
        });
        ended(running);
    }
}

#[test]
fn an_object_that_is_replaced_between_two_runs_is_one_bad_record_that_says_so() {
    let s3 = S3::start();
    s3.put("in/big.json", lines());
    let third = (512 << 10) + (4 << 20);
    s3.plant(
        &json!([{ "method": "GET", "path": "/in/big", "from": third, "hold": true, "times": -1 }]),
    );
    let job = copies(&s3, "s3://shop/in", "");
    let running = s3.run(&job, &["--set", "onError=skip"]);
    s3.until_out(1_000);
    // Behind an epoch, and in another second: a store tells times in these.
    std::thread::sleep(Duration::from_millis(1_500));
    running.kill();
    s3.put("in/big.json", lines());
    s3.put("in/small.json", ids(500_000..500_010));
    s3.back();
    let mut running = s3.run(&job, &["--set", "onError=skip"]);
    let said = running.until_said("the object was replaced after the rows before", PATIENCE);
    assert!(said.contains("s3://shop/in/big.json, row "), "{said}");
    until("the next file", PATIENCE, || {
        copied(&s3.out()).contains_key(&500_009)
    });
    ended(running);
}
