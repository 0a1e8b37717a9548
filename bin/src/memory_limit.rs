//! How much memory this process may take: its control group's limit, else what the machine has.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use thalweg_engine::state::StateBudget;
use thalweg_operators::sql::settings::Memory;

/// The memory that state may take, as `stateMemoryMax` says.
pub(crate) fn budget(max: Memory) -> Arc<StateBudget> {
    Arc::new(StateBudget::new(match max {
        Memory::Bytes(bytes) => bytes,
        Memory::Share(share) => limit().map_or(u64::MAX, |limit| part(limit, share)),
    }))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn part(limit: u64, share: f64) -> u64 {
    (limit as f64 * share) as u64
}

/// Bytes; None where the system does not say.
fn limit() -> Option<u64> {
    let machine = machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group(&own, |file| fs::read_to_string(file).ok());
    Some(group.map_or(machine, |group| group.min(machine)))
}

fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The smallest limit of the control group and those above it, version 2 or 1.
fn group(own: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut smallest: Option<u64> = None;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        for above in path.ancestors() {
            let limit = read(&Path::new(root).join(above).join(file))
                .and_then(|text| text.trim().parse().ok());
            smallest = match (smallest, limit) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_of_the_groups_around_it_counts() {
        let read = |file: &Path| match file.to_str() {
            Some("/sys/fs/cgroup/pods/one/memory.max") => Some("max\n".to_owned()),
            Some("/sys/fs/cgroup/pods/memory.max") => Some("536870912\n".to_owned()),
            Some("/sys/fs/cgroup/memory.max") => Some("1073741824\n".to_owned()),
            _ => None,
        };
        assert_eq!(group("0::/pods/one\n", read), Some(512 << 20));
        assert_eq!(group("0::/\n", |_| None), None);
    }

    #[test]
    fn the_machine_says_what_it_has() {
        assert_eq!(
            machine("MemTotal:       24576 kB\nMemFree: 1 kB\n"),
            Some(24 << 20)
        );
    }
}
