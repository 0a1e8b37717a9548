//! For which query, and which of its partitions, a thread works at the moment: what a log line says beside its message.
//!
//! Queries share threads, and much that writes to the log knows no query. So who begins work for one says so on the thread,
//! for as long as it lasts; a thread that is begun meanwhile goes on for the same ([`carrying`]). It costs two stores in the
//! thread's own memory.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use parking_lot::Mutex;
use smol_str::SmolStr;

/// Whom work is done for.
#[derive(Debug, PartialEq, Eq)]
pub struct Behalf {
    /// The query.
    pub query: SmolStr,
    /// The partition, where it is of a single one.
    pub partition: Option<SmolStr>,
}

thread_local! {
    static NOW: Cell<Option<&'static Behalf>> = const { Cell::new(None) };
}

/// One for each query and partition that the process has seen: they live as long as it does, so that they cost nothing to hand on.
type Known = BTreeMap<(SmolStr, Option<SmolStr>), &'static Behalf>;

impl Behalf {
    /// That of a query, or of one of its partitions.
    pub fn of(query: &str, partition: Option<&str>) -> &'static Self {
        static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
        let (query, partition) = (SmolStr::new(query), partition.map(SmolStr::new));
        let mut known = KNOWN.lock();
        known
            .entry((query.clone(), partition.clone()))
            .or_insert_with(|| Box::leak(Box::new(Self { query, partition })))
    }

    /// Whom this thread works for.
    pub fn now() -> Option<&'static Self> {
        NOW.get()
    }

    /// This thread works for it until the result is dropped.
    #[inline]
    pub fn enter(&'static self) -> Entered {
        enter(Some(self))
    }
}

fn enter(behalf: Option<&'static Behalf>) -> Entered {
    Entered {
        before: NOW.replace(behalf),
        on_this_thread: PhantomData,
    }
}

/// For as long as it lives, this thread works for somebody.
pub struct Entered {
    before: Option<&'static Behalf>,
    on_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        NOW.set(self.before);
    }
}

/// The same work for another thread, which does it for whom this one works.
pub fn carrying<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let behalf = Behalf::now();
    move || {
        let _for = enter(behalf);
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_for_whom_it_was_begun_for_and_a_thread_goes_on_for_the_same() {
        let (query, partition) = (Behalf::of("q", None), Behalf::of("q", Some("in/3")));
        assert!(std::ptr::eq(query, Behalf::of("q", None)));
        assert_eq!(Behalf::now(), None);
        let outer = query.enter();
        let inner = partition.enter();
        assert_eq!(Behalf::now(), Some(partition));
        let told = std::thread::spawn(carrying(Behalf::now));
        assert_eq!(told.join().unwrap(), Some(partition));
        drop(inner);
        assert_eq!(Behalf::now(), Some(query));
        drop(outer);
        assert_eq!(Behalf::now(), None);
    }
}
