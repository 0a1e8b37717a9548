//! Huge pages for a large state: whoever looks up keys by chance in hundreds of megabytes waits for the tables of pages as long
//! as for the keys themselves, and a page of 2 MiB needs one entry there instead of 512.
//!
//! A page is never made huge when it is touched first. That would give every small stretch of memory 2 MiB, and a record would
//! wait while the kernel clears them or moves others aside. Once the state is large, a thread beside the lanes looks through the
//! process's memory and asks the kernel to put together what is full already. So a process takes no more memory than before
//! but for a sixteenth at most, and what is freed again goes back: the kernel takes a huge page apart for that.
//!
//! Where the kernel cannot (before Linux 6.1), may not (a container's filter) or shall not (`never` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`), nothing happens.

use std::fs;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::state::StateBudget;

/// Bytes of state from which on it pays.
const FROM: u64 = 128 << 20;

/// A huge page.
const HUGE: usize = 2 << 20;
/// A page; where pages are larger than this, nothing is asked of the kernel.
const PAGE: usize = 4 << 10;
/// Pages of a huge one that must be there before it is made.
const FULL: usize = HUGE / PAGE / 16 * 15;

/// `MADV_COLLAPSE`, which not every C library names.
const COLLAPSE: libc::c_int = 25;

/// What a round takes at most, about: some forty huge pages. Who touches one in the making waits for it, half a millisecond.
const ROUND: Duration = Duration::from_millis(25);

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// There is more to look at.
    More,
    /// All has been looked at.
    Done,
    /// The kernel found no room for a huge page.
    NoRoom,
}

impl Round {
    /// How long until the next one.
    fn pause(self) -> Duration {
        Duration::from_secs(match self {
            Self::More => 1,
            Self::Done => 10,
            Self::NoRoom => 60,
        })
    }
}

/// From now on memory of this process is made of small pages, also where the system gives huge ones to all. For a program's
/// first moment: it allocates nothing. Where the kernel refuses, only memory is larger.
pub fn forgo() {
    set_banned(true);
}

/// Once the state of this budget is large, looks after the process's memory beside everything else, as long as there is the
/// budget. To be called about once a second; it costs an atomic load.
pub fn tend(budget: &Arc<StateBudget>) {
    if budget.used() < FROM || budget.tended.swap(true, Relaxed) || !possible() {
        return;
    }
    let budget = Arc::downgrade(budget);
    let work = move || {
        let mut walk = Walk::default();
        while let Some(budget) = budget.upgrade() {
            let round = if budget.used() < FROM {
                Round::Done
            } else {
                walk.round()
            };
            drop(budget);
            thread::sleep(round.pause());
        }
    };
    let thread = thread::Builder::new().name("huge pages".to_owned());
    // Of the same precedence as lanes: one that waits for a page in the making must not wait for others as well. Where there is
    // no thread, all goes on as it was.
    let _ = thread.stack_size(64 << 10).spawn(work);
}

/// Whether the kernel can and the system's owner wants it.
fn possible() -> bool {
    let wanted = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    // SAFETY: asks for a number, and whether the advice is known: of no memory.
    let (page, known) = unsafe {
        (
            libc::sysconf(libc::_SC_PAGESIZE),
            libc::madvise(ptr::null_mut(), 0, COLLAPSE) == 0,
        )
    };
    known && usize::try_from(page) == Ok(PAGE) && wanted.is_ok_and(|text| !text.contains("[never]"))
}

/// Whether the process has forgone huge pages.
fn banned() -> bool {
    // SAFETY: asks for a flag of this process; no memory is passed.
    unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1 }
}

fn set_banned(to: bool) {
    // SAFETY: sets a flag of this process; no memory is passed. Where the kernel refuses, all stays as it was.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(to), 0, 0, 0) };
}

/// A way through the memory of the process, round after round.
#[derive(Default)]
struct Walk {
    /// Where the next round goes on.
    at: usize,
    /// A byte for each page of a huge one: whether it is there.
    there: Vec<u8>,
}

impl Walk {
    /// Goes on for a while, at most to the end.
    fn round(&mut self) -> Round {
        let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
            return Round::Done;
        };
        let banned = banned();
        if banned {
            set_banned(false);
        }
        let round = self.through(maps.lines().filter_map(anonymous));
        if banned {
            set_banned(true);
        }
        round
    }

    fn through(&mut self, stretches: impl Iterator<Item = Range<usize>>) -> Round {
        let begun = Instant::now();
        for stretch in stretches {
            let from = stretch.start.max(self.at).next_multiple_of(HUGE);
            for at in (from..stretch.end.saturating_sub(HUGE - 1)).step_by(HUGE) {
                self.at = at + HUGE;
                if self.full(at) && !collapse(at) {
                    return Round::NoRoom;
                }
                if begun.elapsed() > ROUND {
                    return Round::More;
                }
            }
        }
        self.at = 0;
        Round::Done
    }

    /// Whether nearly all pages of the huge one at this address are there.
    fn full(&mut self, at: usize) -> bool {
        self.there.resize(HUGE / PAGE, 0);
        // SAFETY: the kernel writes a byte for each page into a vector that has as many; it says so where the address is not
        // mapped any more, and then nothing is written.
        let asked = unsafe { libc::mincore(at as *mut _, HUGE, self.there.as_mut_ptr()) };
        asked == 0 && self.there.iter().filter(|page| **page & 1 == 1).count() >= FULL
    }
}

/// Puts the pages at this address together, if they are not yet. False where there is no room for a huge page.
fn collapse(at: usize) -> bool {
    // SAFETY: the bytes stay what and where they are, whoever uses them, and also where it fails.
    let done = unsafe { libc::madvise(at as *mut _, HUGE, COLLAPSE) } == 0;
    // Beside these: pages that somebody has in hand, a mapping that is gone.
    let full = [Some(libc::ENOMEM), Some(libc::EBUSY)];
    done || !full.contains(&io::Error::last_os_error().raw_os_error())
}

/// The addresses of a line of `/proc/self/maps` that is memory for allocators.
fn anonymous(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let ("rw-p", _, _, "0") = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    ) else {
        return None;
    };
    let name = fields.next().unwrap_or_default();
    (name.is_empty() || name == "[heap]" || name.starts_with("[anon:")).then_some(())?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(from)?..address(to)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_allocators_is_told_from_files_and_stacks() {
        for line in [
            "7f0000000000-7f0040000000 rw-p 00000000 00:00 0 ",
            "7f0000000000-7f0040000000 rw-p 00000000 00:00 0   [heap]",
            "7f0000000000-7f0040000000 rw-p 00000000 00:00 0   [anon:state]",
        ] {
            assert_eq!(anonymous(line), Some(0x7f00_0000_0000..0x7f00_4000_0000));
        }
        for line in [
            "7f0000000000-7f0040000000 ---p 00000000 00:00 0 ",
            "7f0000000000-7f0040000000 rw-s 00000000 00:00 0 ",
            "7f0000000000-7f0040000000 rw-p 00000000 fe:00 7   /usr/lib/libc.so",
            "7f0000000000-7f0040000000 rw-p 00000000 00:00 0   [stack]",
            "",
        ] {
            assert_eq!(anonymous(line), None, "{line}");
        }
    }

    /// Kilobytes in huge pages of the mapping that holds an address.
    fn huge(address: usize) -> usize {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            let range = line
                .split_once(' ')
                .and_then(|(range, _)| range.split_once('-'));
            if let Some((from, to)) = range {
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                inside = (number(from)..number(to)).contains(&address);
            }
            if let (true, Some(size)) = (inside, line.strip_prefix("AnonHugePages:")) {
                return size.trim_end_matches("kB").trim().parse().unwrap();
            }
        }
        0
    }

    #[test]
    fn what_is_full_becomes_huge_and_the_rest_stays() {
        // The kernel's own daemon makes huge pages too, and fills what is missing: then once more. A walk that did so would do it
        // each time.
        if possible() {
            assert!((0..5).any(|_| walked()), "what is not full stays");
        }
    }

    /// Four huge pages' room, of which the second is not full: whether that has stayed so, and all the rest as it must be.
    fn walked() -> bool {
        // Shared with no other mapping: one page before and behind is not accessible.
        let length = 8 * HUGE;
        // SAFETY: new memory of this test alone, never given back.
        let memory = unsafe {
            let (protection, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0)
        } as usize;
        let from = (memory + 1).next_multiple_of(HUGE);
        let all = from..from + 4 * HUGE;
        // SAFETY: within the memory above, of which nobody else knows.
        unsafe {
            let (read, write) = (libc::PROT_READ, libc::PROT_WRITE);
            libc::mprotect(all.start as *mut _, all.len(), read | write);
            libc::madvise(all.start as *mut _, all.len(), libc::MADV_NOHUGEPAGE);
            for page in all.clone().step_by(PAGE) {
                (page as *mut u8).write(7);
            }
            libc::madvise(all.start as *mut _, all.len(), libc::MADV_HUGEPAGE);
            // A half of the second is not there.
            let second = all.start + HUGE;
            libc::madvise(second as *mut _, HUGE / 2, libc::MADV_DONTNEED);
        }
        let mut walk = Walk::default();
        let mut round = Round::More;
        while round == Round::More {
            round = walk.through(std::iter::once(all.clone()));
        }
        let made = huge(all.start);
        if walk.full(all.start + HUGE) {
            return false;
        }
        // A machine without room for huge pages gives fewer.
        assert!(made <= 3 * HUGE / 1024, "{made} kB");
        let bytes = all.clone().step_by(PAGE);
        // SAFETY: as above.
        let sum: usize = bytes
            .map(|page| usize::from(unsafe { *(page as *const u8) }))
            .sum();
        assert_eq!(sum, 7 * (4 * HUGE - HUGE / 2) / PAGE);
        if round == Round::Done {
            assert_eq!(made, 3 * HUGE / 1024);
        }
        true
    }
}
