//! A look at all that a step keeps, a part at a time.

use thalweg_engine::operator::EXPIRE_CALLS;

/// How many of so many one call of `Operator::expire` looks at, so that [`EXPIRE_CALLS`] calls see all: at least `least`.
pub(super) fn part(of: usize, least: usize) -> usize {
    of.div_ceil(EXPIRE_CALLS).max(least)
}

/// Where the look at the slots of keys goes on.
#[derive(Debug, Default)]
pub(super) struct Round {
    next: u32,
}

impl Round {
    /// The slots of the next part, of so many.
    pub(super) fn slots(&mut self, all: u32, least: usize) -> impl Iterator<Item = u32> + use<> {
        let begin = if self.next < all { self.next } else { 0 };
        let count = u32::try_from(part(all as usize, least)).map_or(all, |count| count.min(all));
        let behind = all - begin;
        let again = count.saturating_sub(behind);
        self.next = match again {
            0 => begin + count,
            again => again,
        };
        (begin..begin + count.min(behind)).chain(0..again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_see_all_slots_wherever_they_begin() {
        for (all, least) in [(0, 5), (1, 5), (7, 3), (1_000, 3), (40_001, 100)] {
            let mut round = Round { next: 5 };
            let mut seen = vec![0; all as usize];
            for _ in 0..EXPIRE_CALLS {
                let slots: Vec<u32> = round.slots(all, least).collect();
                assert!(slots.len() <= part(all as usize, least));
                slots.iter().for_each(|slot| seen[*slot as usize] += 1);
            }
            assert!(seen.iter().all(|times| *times > 0), "{all}, {least}");
        }
    }

    #[test]
    fn a_look_goes_on_where_the_last_one_ended_and_begins_again_behind_the_last() {
        let mut round = Round::default();
        let mut next = |all| round.slots(all, 3).collect::<Vec<_>>();
        assert_eq!([next(7), next(7)], [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(next(7), [6, 0, 1]);
        assert_eq!(next(2), [0, 1], "fewer than there were");
    }
}
