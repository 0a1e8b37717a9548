//! Inputs.

pub mod file;
pub(crate) mod file_lines;
pub mod given;
pub mod kafka;
pub mod rate;
pub mod socket;
mod socket_lines;
