//! Inputs.

pub mod kafka;
