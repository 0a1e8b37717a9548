//! Gives back the memory of the program's own file that only its start needed: the command line, the parser, the planner.
//!
//! Two thirds of what a small job has resident would otherwise be code that never runs again.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::status::{Phase, QueryStatus};

/// Between two looks whether all queries run.
const LOOK: Duration = Duration::from_millis(200);
/// From then until clients, their handshakes and the first epochs are through.
const SETTLED: Duration = Duration::from_secs(2);

/// Lets go of what the start of these queries needed, as soon as all of them have begun to read.
pub(crate) async fn after_start(queries: Vec<Arc<QueryStatus>>) {
    let begun = |query: &Arc<QueryStatus>| {
        let (phase, _) = query.phase();
        !matches!(phase, Phase::Starting | Phase::Waiting(_))
    };
    while !queries.iter().all(begun) {
        actix::clock::sleep(LOOK).await;
    }
    actix::clock::sleep(SETTLED).await;
    let_go();
}

/// Unmaps every page of the program and its libraries that is as the file says. What is needed again comes back from the
/// page cache, 64 KiB at a time and within microseconds; in a container such pages are the file's, not the process' own.
pub(crate) fn let_go() {
    #[cfg(target_os = "linux")]
    // SAFETY: the callback is called during the call only, and reads nothing but its arguments.
    unsafe {
        libc::dl_iterate_phdr(Some(linux::let_go_of), std::ptr::null_mut());
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_void;
    use std::slice;

    use libc::{c_int, dl_phdr_info, size_t};

    /// One loaded object: its segments that nobody may write (so no relocation stands in them) are dropped.
    pub(super) unsafe extern "C" fn let_go_of(
        object: *mut dl_phdr_info,
        _: size_t,
        _: *mut c_void,
    ) -> c_int {
        // SAFETY: the C library passes a valid object whose headers outlive the call.
        let (base, headers) = unsafe {
            let object = &*object;
            let count = usize::from(object.dlpi_phnum);
            (
                object.dlpi_addr,
                slice::from_raw_parts(object.dlpi_phdr, count),
            )
        };
        // SAFETY: asks for a constant.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as u64;
        for header in headers {
            if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
                continue;
            }
            let from = (base + header.p_vaddr) / page * page;
            let to = base + header.p_vaddr + header.p_memsz;
            // SAFETY: whole pages of a segment that is mapped from its file and never written: the kernel reads them anew
            // when they are touched. Where it refuses (the kernel's own object has no file), all stays as it is.
            unsafe {
                libc::madvise(
                    from as *mut c_void,
                    (to - from) as size_t,
                    libc::MADV_DONTNEED,
                );
            }
        }
        0
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Memory of this process that its program's files stand behind, in kB.
    fn of_files() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("RssFile:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|kb| kb.parse().ok()).unwrap_or_default()
    }

    #[test]
    fn code_that_is_not_needed_again_is_given_back_and_all_other_comes_back() {
        // The command line is known to the last option: half a megabyte of code that a job needs once.
        let help = || crate::cli::Cli::command().render_long_help().to_string();
        let said = help();
        let before = of_files();
        let_go();
        let after = of_files();
        assert!(
            after < before * 3 / 4,
            "{before} kB before, {after} kB after"
        );
        assert_eq!(help(), said);
    }
}
