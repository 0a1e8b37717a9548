//! Functions of dates and times.

use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[];
