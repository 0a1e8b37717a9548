//! Windows of a fixed size, one every slide.

use thalweg_engine::error::RecordError;
use thalweg_engine::record::Micros;

/// How windows lie on the line of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Their length.
    pub size: Micros,
    /// From one beginning to the next.
    pub slide: Micros,
    /// What beginnings are counted from.
    pub start: Micros,
}

impl Grid {
    /// The last window that begins at this time or before; the first of all where there is none.
    #[inline]
    pub fn last_start(&self, time: Micros) -> Micros {
        time.saturating_sub(self.into(time, self.slide))
    }

    /// How long before this time a piece of this length began.
    #[inline]
    fn into(&self, time: Micros, length: Micros) -> Micros {
        match time.checked_sub(self.start) {
            Some(since) => since.rem_euclid(length),
            // Only at the ends of all times.
            None => time
                .rem_euclid(length)
                .wrapping_sub(self.start.rem_euclid(length))
                .rem_euclid(length),
        }
    }

    /// The first and the last beginning of the windows that hold this time. Within them and one slide beyond, and with the size
    /// added, nothing overflows.
    ///
    /// # Errors
    /// A window of this time begins before all times or ends behind them.
    #[inline]
    pub fn starts(&self, time: Micros) -> Result<(Micros, Micros), RecordError> {
        self.checked_starts(time).ok_or_else(out_of_range)
    }

    fn checked_starts(&self, time: Micros) -> Option<(Micros, Micros)> {
        let into = self.into(time, self.slide);
        let last = time.checked_sub(into)?;
        let before = (self.size - 1 - into).max(0) / self.slide;
        let first = last.checked_sub(before.checked_mul(self.slide)?)?;
        // The loops over windows go one further, in both directions.
        first.checked_sub(self.slide)?;
        last.checked_add(self.size.max(self.slide))?;
        Some((first, last))
    }

    /// The last end of a window that is not after this time.
    #[inline]
    pub fn last_end(&self, time: Micros) -> Micros {
        self.last_start(time.saturating_sub(self.size))
            .saturating_add(self.size)
    }

    /// The length of the pieces that every window is made of.
    pub fn pane(&self) -> Micros {
        let (mut a, mut b) = (self.size, self.slide);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    }

    /// The beginning of the pane that holds this time.
    #[inline]
    pub fn pane_of(&self, time: Micros) -> Micros {
        time.saturating_sub(self.into(time, self.pane()))
    }
}

#[cold]
pub(crate) fn out_of_range() -> RecordError {
    RecordError::expression("a window of the time begins before all times or ends behind them")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_lies_in_each_window_from_the_first_to_the_last(
            time in -1000..1000_i64, slide in 1..20_i64, more in 0..50_i64, start in -30..30_i64
        ) {
            let grid = Grid { size: slide + more, slide, start };
            let (first, last) = grid.starts(time).unwrap();
            let expected: Vec<_> = (-2000..2000)
                .filter(|begin| (begin - start).rem_euclid(slide) == 0)
                .filter(|begin| (*begin..begin + grid.size).contains(&time))
                .collect();
            let found: Vec<_> = (0..).map(|n| first + n * slide).take_while(|b| *b <= last).collect();
            prop_assert_eq!(found, expected);
            let end = grid.last_end(time);
            prop_assert!(end <= time && end + slide > time);
            prop_assert_eq!((end - grid.size - start).rem_euclid(slide), 0);
            let pane = grid.pane_of(time);
            prop_assert!((pane..pane + grid.pane()).contains(&time));
            prop_assert_eq!((first - pane) % grid.pane(), 0);
        }

        #[test]
        fn at_the_ends_of_all_times_windows_are_right_or_an_error(
            from in 0..2000_i64, slide in 1..20_i64, more in 0..50_i64, start in -30..30_i64, low: bool
        ) {
            let time = if low { i64::MIN + from } else { i64::MAX - from };
            let grid = Grid { size: slide + more, slide, start };
            let exact = |begin: Micros| (i128::from(begin) - i128::from(start)).rem_euclid(slide.into());
            match grid.starts(time) {
                Ok((first, last)) => {
                    prop_assert_eq!((exact(first), exact(last)), (0, 0));
                    prop_assert!(last <= time && time < last + slide);
                    prop_assert!(time < first + grid.size && first - slide + grid.size <= time);
                }
                Err(_) => prop_assert!(from < 2 * grid.size),
            }
        }
    }
}
