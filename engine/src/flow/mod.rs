//! What a record meets.

pub mod pipeline;
