//! What a record meets.

pub mod pipeline;
pub mod watermark;
