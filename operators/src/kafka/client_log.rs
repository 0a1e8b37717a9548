//! What the client writes to its log becomes lines of ours.

use std::ffi::{c_char, c_int};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka_sys as sys;
use thalweg_engine::behalf::Behalf;

use super::client::text;
use super::words;

/// How often a failed connection is logged.
const FAILURE_SHOWN_EVERY: Duration = Duration::from_secs(1);

/// Whether a line about a failed connection may be shown: one a second says all, the client tries many times.
fn failure_shown() -> bool {
    static SHOWN: Mutex<Option<Instant>> = Mutex::new(None);
    let mut shown = SHOWN.lock();
    let due = shown.is_none_or(|at| at.elapsed() >= FAILURE_SHOWN_EVERY);
    if due {
        *shown = Some(Instant::now());
    }
    due
}

/// What the client calls its warnings about addresses of two clusters, certificates and logins: only a person can mend those. Its
/// other warnings are of outages, which the query tells of itself.
const TO_MEND: [&str; 4] = ["CLUSTERID", "SSL", "SSLPASSWD", "SASLREFRESH"];

/// The client's log lines become ours; those about properties of the other role are noise.
pub(super) unsafe extern "C" fn on_log(
    client: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: the client passes terminated strings that live for the call.
    let (facility, line) = unsafe { (text(facility), text(line)) };
    let behalf: Option<&'static Behalf> = if client.is_null() {
        None
    } else {
        // SAFETY: a live client; what was set as its opaque is a `Behalf` that lives as long as the process.
        unsafe { sys::rd_kafka_opaque(client).cast::<Behalf>().as_ref() }
    };
    let _for = behalf.map(Behalf::enter);
    let line = words::plain(words::without_thread(&line));
    match level {
        _ if facility == "CONFWARN" => tracing::debug!(target: "kafka", "{facility}: {line}"),
        0..=3 if facility == "FAIL" && !failure_shown() => {
            tracing::debug!(target: "kafka", "{facility}: {line}");
        }
        0..=3 => tracing::warn!(target: "kafka", "the Kafka client says: {line}"),
        4 if TO_MEND.contains(&&*facility) => {
            tracing::warn!(target: "kafka", "the Kafka client says: {line}");
        }
        4 => tracing::info!(target: "kafka", "the Kafka client says: {line}"),
        _ => tracing::debug!(target: "kafka", "{facility}: {line}"),
    }
}
