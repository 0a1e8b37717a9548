//! The `thalweg` command: the command line of the library, with allocators that suit it.

use thalweg::Extensions;

/// Small allocations of many lengths on few threads are what a job does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs before `main` and before anything is allocated: what is set here holds for the allocators' first page.
///
/// Huge pages would make every arena of every thread 2 MiB at least; a large state gets them later, where they pay. Rust's side
/// allocates with mimalloc; the Kafka client, in C, with the system's allocator, which would give each of its threads an arena
/// that grows by itself and keeps its peak.
#[used]
#[unsafe(link_section = ".init_array.00101")]
static SPARE_MEMORY: extern "C" fn() = {
    extern "C" fn spare_memory() {
        thalweg_engine::huge_pages::forgo();
        #[cfg(target_env = "gnu")]
        // SAFETY: sets a limit of the allocator before any other thread lives.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 2)
        };
    }
    spare_memory
};

fn main() {
    thalweg::command_line(Extensions::default())
}
