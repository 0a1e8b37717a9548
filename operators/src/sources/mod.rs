//! Inputs.

mod declared;
pub mod file;
pub(crate) mod file_lines;
mod file_reader;
pub mod given;
pub mod kafka;
pub mod kinesis;
pub mod rate;
pub mod socket;
mod socket_lines;
pub mod stretch;
