//! The audit log: one line for each change, who made it, when, and what was before. Its target is `audit`, and it is
//! written at every level of the log but `audit=off`.

use std::fmt::Display;

use crate::http::access::Caller;

/// Notes a change.
pub(crate) fn note(who: &Caller, what: &str, before: &dyn Display, after: &dyn Display) {
    let who = who.0.as_str();
    tracing::info!(target: "audit", who, what, %before, %after, "changed");
}

/// Notes that a change was asked for by somebody who may, and could not be made.
pub(crate) fn in_vain(who: &Caller, what: &str, before: &dyn Display, why: &str) {
    let who = who.0.as_str();
    tracing::info!(target: "audit", who, what, %before, why, "not changed");
}
