//! Inputs.

pub mod file;
mod file_lines;
pub mod given;
pub mod kafka;
pub mod rate;
pub mod socket;
mod socket_lines;
