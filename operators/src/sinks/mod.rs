//! Outputs.

pub mod console;
mod console_table;
pub mod file;
mod file_outlet;
pub mod folder;
pub mod http;
pub mod kafka;
mod last_line;
pub mod noop;
mod stream;
#[cfg(test)]
mod testing;
