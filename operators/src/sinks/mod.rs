//! Outputs.

pub mod kafka;
