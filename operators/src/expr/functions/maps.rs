//! Functions of maps and structs.

use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[];
