//! Functions of hashes and identifiers.

use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[];
