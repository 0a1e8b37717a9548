//! What a record meets.

pub mod partition;
pub mod pipeline;
pub mod watermark;
