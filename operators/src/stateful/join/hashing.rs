//! A hash of keys' bytes: quick on short ones, and seeded anew in each process, so that nobody can send keys that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

use xxhash_rust::xxh64::xxh64;

/// Makes hashers of one map.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHash(u64);

impl Default for KeyHash {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }
}

impl BuildHasher for KeyHash {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        Hash(self.0)
    }
}

/// The hash so far.
pub(super) struct Hash(u64);

impl Hasher for Hash {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh64(bytes, self.0);
    }

    /// The length of the bytes, which follow: they are hashed with it.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
