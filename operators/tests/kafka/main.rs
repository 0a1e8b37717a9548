//! The Kafka source and sink against a real Apache Kafka broker.
//!
//! The broker is started by the project's script (`loadtest/broker.sh`; another one by `THALWEG_BROKER`), once for all
//! tests; those that stop it have one of their own.

// Also outside of the test functions a surprise ends the test.
#![allow(clippy::unwrap_used)]

mod broker;
mod drivers;
mod reading;
mod refusals;
mod secured;
mod topics;
mod writing;
