//! What a record meets.

pub(crate) mod gate;
pub mod lane;
pub mod partition;
pub mod pipeline;
pub mod watermark;
