//! Processes that share a job: which of them reads how much.

use super::{PATIENCE, Running, until};

/// How many partitions a member reads now.
fn share(running: &mut Running) -> usize {
    let (_, text) = running.get("/metrics");
    text.lines()
        .filter(|line| line.starts_with("thalweg_partition_position{"))
        .count()
}

/// Waits until the members have so many partitions each.
pub fn until_shared(members: &mut [Running], shares: &[usize]) {
    until("the partitions are shared out", PATIENCE, || {
        let mut now: Vec<usize> = members.iter_mut().map(share).collect();
        now.sort_unstable();
        now == shares
    });
}
