//! Object stores as places of files: Amazon S3, Google Cloud Storage and Azure Blob Storage, by one code.
//!
//! A [`Remote`] is what a URL and options say, and is known in every build. `Store` is what it opens, and `Object` one object that is being read: both may be asked from any thread, and block. They are
//! there with the feature `object-store` only. Nothing here knows what the objects hold.

mod access;
mod address;
#[cfg(feature = "object-store")]
mod aws;
#[cfg(all(feature = "object-store", any(feature = "parquet", feature = "orc")))]
mod blocks;
#[cfg(feature = "object-store")]
mod bucket;
mod endpoint;
mod manual;
#[cfg(feature = "object-store")]
mod object;
#[cfg(feature = "object-store")]
mod open;
#[cfg(feature = "object-store")]
mod reach;
mod remote;
#[cfg(feature = "object-store")]
mod store;
#[cfg(feature = "object-store")]
mod trouble;
mod trust;
#[cfg(feature = "object-store")]
mod upload;

pub(crate) use address::Located;
#[cfg(all(feature = "object-store", any(feature = "parquet", feature = "orc")))]
pub(crate) use blocks::At;
#[cfg(feature = "object-store")]
pub(crate) use bucket::Bucket;
pub(crate) use manual::OPTIONS;
#[cfg(feature = "object-store")]
pub(crate) use object::{Object, Patience, Stream};
#[cfg(feature = "object-store")]
pub(crate) use reach::{Need, reach};
pub(crate) use remote::Remote;
#[cfg(feature = "object-store")]
pub(crate) use store::{Facts, Store};
pub(crate) use trust::untrusted;

/// What a build without object stores says of an address.
#[cfg(not(feature = "object-store"))]
pub(crate) const LACKS: &str =
    "this build lacks the feature `object-store`: cargo build --release --features object-store";
