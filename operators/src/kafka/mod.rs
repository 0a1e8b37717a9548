//! Kafka: what the source and the sink share.
//!
//! `client` is the only room that speaks to the C client; `scout` asks a broker before anything is read or written;
//! `options`, `starting`, `witness`, `window` and `murmur2` decide and touch nothing.

mod budget;
mod client;
mod connect;
mod consumer;
mod delivery_errors;
mod java_names;
mod layout;
mod murmur2;
mod options;
mod outlet;
mod reader;
mod scout;
mod starting;
mod statistics;
mod window;
mod witness;

pub use connect::{ConnectReport, TopicReport, check_connect};
pub use delivery_errors::{DELIVERY_ERRORS, DeliveryError};

pub(crate) use consumer::{Consumer, Limits};
pub(crate) use layout::{Encoders, Layout, Staged};
pub(crate) use murmur2::partition_of;
pub(crate) use options::{Connection, SINK_OPTIONS, SOURCE_OPTIONS, SourceSettings, verify};
pub(crate) use outlet::{Delivered, Drained, Outlet, Shared as OutletShared, Target, Window};
pub(crate) use reader::{Fill, Reader, Shape};
pub(crate) use scout::{EARLIEST, LATEST, Scout};
pub(crate) use starting::{
    Ends, Place, Starting, Times, loss, partition_name, place_of, resumed, start,
};
pub(crate) use witness::{Witness, group_id, judge};
