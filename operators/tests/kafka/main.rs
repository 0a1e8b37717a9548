//! The Kafka source and sink against a real Apache Kafka broker.
//!
//! The broker is started by the project's script (`loadtest/broker.sh`; another one by `THALWEG_BROKER`), once for all
//! tests; those that stop it have one of their own.

mod broker;
mod reading;
mod secured;
mod writing;
