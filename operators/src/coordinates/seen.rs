//! A set of coordinates of one input partition: a bit each, in blocks, so that millions take little.

use std::collections::BTreeMap;

use super::Coordinate;

/// Offsets of one block.
const BLOCK: i64 = 4096;
const WORDS: usize = 64;

/// Coordinates of one input partition.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By number of the block and index.
    blocks: BTreeMap<(i64, u32), Box<[u64; WORDS]>>,
    count: u64,
}

/// The block, the word in it and the bit.
fn place(at: Coordinate) -> ((i64, u32), usize, u64) {
    let within = at.offset.rem_euclid(BLOCK);
    let (word, bit) = (within / 64, within % 64);
    let word = usize::try_from(word).unwrap_or(0);
    ((at.offset.div_euclid(BLOCK), at.index), word, 1 << bit)
}

impl Seen {
    /// Bytes that a block takes, with its bookkeeping.
    pub const BLOCK_BYTES: u64 = 560;

    /// Adds a coordinate; whether it was new.
    pub fn insert(&mut self, at: Coordinate) -> bool {
        let (block, word, bit) = place(at);
        let block = self.blocks.entry(block);
        let word = &mut block.or_insert_with(|| Box::new([0; WORDS]))[word];
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        new
    }

    /// Whether it holds the coordinate.
    pub fn contains(&self, at: Coordinate) -> bool {
        let (block, word, bit) = place(at);
        self.blocks
            .get(&block)
            .is_some_and(|words| words[word] & bit != 0)
    }

    /// Takes a coordinate out; whether it was in.
    pub fn remove(&mut self, at: Coordinate) -> bool {
        let (key, word, bit) = place(at);
        let Some(words) = self.blocks.get_mut(&key) else {
            return false;
        };
        let was = words[word] & bit != 0;
        words[word] &= !bit;
        self.count -= u64::from(was);
        was
    }

    /// Takes out the blocks that end before this offset; how many coordinates there were in them. What stands before the
    /// offset in its own block stays.
    pub fn drop_blocks_before(&mut self, offset: i64) -> u64 {
        let before = self.count;
        let block = offset.div_euclid(BLOCK);
        while let Some(entry) = self.blocks.first_entry() {
            if entry.key().0 >= block {
                break;
            }
            let words = entry.remove();
            let bits = words.iter().map(|word| u64::from(word.count_ones()));
            self.count -= bits.sum::<u64>();
        }
        before - self.count
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> u64 {
        self.blocks.len() as u64 * Self::BLOCK_BYTES
    }

    /// All coordinates: block by block, in each by index and then by offset.
    pub fn iter(&self) -> impl Iterator<Item = Coordinate> {
        self.blocks.iter().flat_map(|((block, index), words)| {
            (0..BLOCK).filter_map(move |within| {
                let word = usize::try_from(within / 64).unwrap_or(0);
                (words[word] & (1 << (within % 64)) != 0).then_some(Coordinate {
                    offset: block * BLOCK + within,
                    index: *index,
                })
            })
        })
    }

    /// How many rows of this record there are beyond the first `expected`.
    pub fn beyond(&self, offset: i64, expected: u32) -> Vec<u32> {
        let block = offset.div_euclid(BLOCK);
        self.blocks
            .range((block, expected)..=(block, u32::MAX))
            .map(|((_, index), _)| *index)
            .filter(|index| {
                self.contains(Coordinate {
                    offset,
                    index: *index,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is a set, whatever goes in and out.
        #[test]
        fn it_is_a_set(
            acts in prop::collection::vec((0_u8..3, 0_i64..20_000, 0_u32..3), 1..200),
            cut in 0_i64..20_000,
        ) {
            let mut seen = Seen::default();
            let mut model = BTreeSet::new();
            for (act, offset, index) in acts {
                let at = Coordinate { offset, index };
                match act {
                    0 => prop_assert_eq!(seen.remove(at), model.remove(&at)),
                    _ => prop_assert_eq!(seen.insert(at), model.insert(at)),
                }
                prop_assert_eq!(seen.contains(at), model.contains(&at));
            }
            prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>(), model.clone());
            let kept: BTreeSet<Coordinate> =
                model.iter().copied().filter(|at| at.offset >= cut - cut % 4096).collect();
            let gone = (model.len() - kept.len()) as u64;
            prop_assert_eq!(seen.drop_blocks_before(cut), gone);
            prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>(), kept.clone());
            prop_assert_eq!(seen.len(), kept.len() as u64);
            if let Some(at) = kept.first() {
                let beyond: Vec<u32> =
                    kept.iter().filter(|k| k.offset == at.offset).map(|k| k.index).collect();
                prop_assert_eq!(seen.beyond(at.offset, 0), beyond);
            }
        }
    }
}
