//! The audit log: one line for each change, who made it, when, and what was before.

use std::fmt::Display;

use crate::http::access::Caller;

/// Notes a change. Its target is `audit`, and it is written at every level of the log but `audit=off`.
pub(crate) fn note(who: &Caller, what: &str, before: &dyn Display, after: &dyn Display) {
    let who = who.0.as_str();
    tracing::info!(target: "audit", who, what, %before, %after, "changed");
}
