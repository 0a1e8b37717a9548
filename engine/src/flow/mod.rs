//! What a record meets.

mod alignment;
mod bad_record;
mod building;
pub(crate) mod cut;
mod emission;
mod exchange;
pub(crate) mod gate;
mod housekeeping;
pub mod lane;
pub mod partition;
mod pausing;
pub mod pipeline;
mod recording;
mod taking;
mod telling;
mod warm_up;
pub mod watermark;
