//! Memory that is asked for before it is needed, so that waits for several places overlap.

/// Bytes that come at once.
const LINE: usize = 64;

/// Lets a value come.
#[inline]
pub(super) fn fetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of::<T>()).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place = std::ptr::from_ref(value).cast::<i8>().wrapping_add(offset);
        // SAFETY: the program reads and writes nothing by it; SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Lets the first values of a slice come, about a kilobyte of them, and the last one.
#[inline]
pub(super) fn fetch_all<T>(values: &[T]) {
    let step = (LINE / size_of::<T>().max(1)).max(1);
    for value in values.iter().step_by(step).take(16) {
        fetch(value);
    }
    if let Some(last) = values.last() {
        fetch(last);
    }
}
