//! Kafka: what the source and the sink share.
//!
//! `client` is the only room that speaks to the C client; `scout` asks a broker before anything is read or written;
//! `commits`, `lease`, `options`, `starting`, `known_topics`, `witness`, `strangers`, `gate`, `partitioner` and `murmur2` decide and
//! touch nothing.

mod acknowledgements;
mod addresses;
mod admin;
mod assignment;
mod budget;
mod client;
mod client_log;
mod codes;
mod commits;
mod connect;
mod consumer;
#[cfg(test)]
mod consumer_stories;
mod delivery_errors;
mod gate;
mod group;
mod hand_over;
mod inquiry;
mod jaas;
mod java_names;
mod known_topics;
mod lane;
mod layout;
mod lease;
pub mod look;
mod manual;
mod membership;
mod message;
mod murmur2;
mod nudge;
mod options;
mod outlet;
mod outlet_settings;
mod partition_list;
mod partitioner;
mod pending;
mod questions;
mod reader;
mod scout;
mod sender;
mod sharing;
mod source;
mod stamp;
mod starting;
mod starts;
mod statistics;
mod strangers;
mod survey;
mod target;
pub(crate) mod trial;
mod trust;
mod window;
mod witness;
mod words;

pub use connect::{ConnectReport, TopicReport, check_connect};
pub(crate) use connect::{EXCHANGE, missing_rights};
pub use delivery_errors::{DELIVERY_ERRORS, DeliveryError};
pub use sender::{Sender, Unsent};
pub use survey::{Found, Read, Span, Survey};

pub use layout::unwritten;
pub(crate) use layout::{Encoders, Header, Layout, Staged};
pub(crate) use manual::{SINK_OPTIONS, SOURCE_OPTIONS};
pub(crate) use message::{Facts, ReadWhole};
pub use murmur2::partition_of;
pub(crate) use options::{Connection, SourceSettings, verify};
pub(crate) use outlet::{LookUp, Outlet, Shared as OutletShared};
pub(crate) use pending::{Answered, Delivered, Drained};
pub(crate) use reader::{Fill, KeyShape, Shape};
pub(crate) use scout::Scout;
pub(crate) use source::KafkaSource;
pub(crate) use stamp::{Stamp, Way};
pub(crate) use starting::{Starting, Subscription};
pub(crate) use target::Target;
pub(crate) use window::Window;
pub(crate) use witness::group_id;
