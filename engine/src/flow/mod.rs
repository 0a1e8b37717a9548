//! What a record meets.

mod alignment;
pub(crate) mod cut;
mod emission;
pub(crate) mod gate;
pub mod lane;
pub mod partition;
pub mod pipeline;
pub mod watermark;
