//! Windows of a fixed size, one every slide.

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
    /// The last window that begins at this time or before.
    #[inline]
    pub fn last_start(&self, time: Micros) -> Micros {
        let into = time.wrapping_sub(self.start).rem_euclid(self.slide);
        time.saturating_sub(into)
    }

    /// The first and the last beginning of the windows that hold this time.
    #[inline]
    pub fn starts(&self, time: Micros) -> (Micros, Micros) {
        let last = self.last_start(time);
        let before = (self.size - 1 - time.saturating_sub(last)).max(0) / self.slide;
        (last.saturating_sub(before * self.slide), last)
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
        time.saturating_sub(time.wrapping_sub(self.start).rem_euclid(self.pane()))
    }
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
            let (first, last) = grid.starts(time);
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
    }
}
