//! Processes that share a job: which of them reads what.

use std::collections::BTreeSet;

use super::{PATIENCE, Running, until};

/// The partitions that a member reads now.
pub fn owned(running: &mut Running) -> BTreeSet<String> {
    let (_, text) = running.get("/metrics");
    let lines = text.lines();
    lines
        .filter(|line| line.starts_with("thalweg_partition_position{"))
        .filter_map(|line| line.split("partition=\"").nth(1)?.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Waits until the members have so many partitions each.
pub fn until_shared(members: &mut [Running], shares: &[usize]) {
    until("the partitions are shared out", PATIENCE, || {
        let mut now: Vec<usize> = members
            .iter_mut()
            .map(|member| owned(member).len())
            .collect();
        now.sort_unstable();
        now == shares
    });
}
