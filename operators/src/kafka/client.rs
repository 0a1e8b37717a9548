//! The C client behind a small safe face: handles, events, partition lists, error codes.
//!
//! Everything the client reports comes as events of one queue, polled by one thread, but acknowledgements, of which
//! `acknowledgements` tells; records come from queues of their own. Objects that the client hands out keep their handle
//! alive, because it must be destroyed last.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rdkafka_sys as sys;
use thalweg_engine::behalf::Behalf;
use thalweg_engine::error::Failure;

use super::acknowledgements::{Acknowledgements, Told};
use super::client_log;
use super::codes::Code;
use super::partition_list::{Entry, entries_of};
use super::words;

/// So often in a row a client begins again, and later once for so many times.
const AT_FIRST: u32 = 60;

/// The code that stands in a field of a native struct; read as a number, because a broker newer than the client may
/// send one that the enumeration lacks.
///
/// # Safety
/// `field` points to a readable code.
pub(crate) unsafe fn code_of(field: *const sys::rd_kafka_resp_err_t) -> Code {
    // SAFETY: the enumeration is represented as an i32.
    Code(unsafe { field.cast::<i32>().read() })
}

/// A copy of a terminated string; empty for a null pointer.
///
/// # Safety
/// `pointer` is null or points to a terminated string.
pub(crate) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}

/// A name as the client takes it. Names with a NUL cannot exist in Kafka.
pub(crate) fn c_name(name: &str) -> Result<CString, Failure> {
    CString::new(name).map_err(|_| Failure::refuse(format!("`{name:?}` holds a NUL character")))
}

/// Consumes a native error object.
///
/// # Safety
/// `error` is null or an error object that nobody else will destroy.
pub(crate) unsafe fn take_error(error: *mut sys::rd_kafka_error_t) -> Result<(), (Code, String)> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller promises; the strings are copied before the object goes.
    unsafe {
        let code = Code::from(sys::rd_kafka_error_code(error));
        let message = text(sys::rd_kafka_error_string(error));
        sys::rd_kafka_error_destroy(error);
        Err((code, message))
    }
}

/// A configuration under construction.
pub(crate) struct Configuration {
    conf: *mut sys::rd_kafka_conf_t,
    told: Option<Told>,
}

/// Why a property was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PropertyError {
    Unknown,
    /// The client's text. It may hold the value.
    Invalid(String),
}

impl Configuration {
    pub(crate) fn new() -> Self {
        // SAFETY: allocates; no preconditions.
        let conf = unsafe { sys::rd_kafka_conf_new() };
        Self { conf, told: None }
    }

    /// Tells this listener of acknowledgements; what fails comes as events.
    pub(crate) fn tell(&mut self, listener: Arc<dyn Acknowledgements>) {
        let told = self.told.insert(Told::of(listener));
        // SAFETY: an owned configuration; what it is given outlives it, and the client made of it.
        unsafe { told.intercept(self.conf) };
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), PropertyError> {
        let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
            return Err(PropertyError::Invalid(
                "it holds a NUL character".to_owned(),
            ));
        };
        let mut reason = [0 as c_char; 512];
        // SAFETY: all pointers live for the call and the length is the array's.
        let result = unsafe {
            sys::rd_kafka_conf_set(
                self.conf,
                name.as_ptr(),
                value.as_ptr(),
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        match result {
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Err(PropertyError::Unknown),
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                // SAFETY: the client terminates what it writes.
                let reason = unsafe { text(reason.as_ptr()) };
                Err(PropertyError::Invalid(reason))
            }
        }
    }

    /// Trusts the certificates of a PKCS#12 file. Sets `ssl.key.password` on the way: the client reads the file's
    /// password from there.
    pub(crate) fn trust_pkcs12(&mut self, content: &[u8], password: &str) -> Result<(), String> {
        if let Err(PropertyError::Invalid(reason)) = self.set("ssl.key.password", password) {
            return Err(reason);
        }
        let mut reason = [0 as c_char; 512];
        // SAFETY: the buffer outlives the call, which copies it.
        let result = unsafe {
            sys::rd_kafka_conf_set_ssl_cert(
                self.conf,
                sys::rd_kafka_cert_type_t::RD_KAFKA_CERT_CA,
                sys::rd_kafka_cert_enc_t::RD_KAFKA_CERT_ENC_PKCS12,
                content.as_ptr().cast::<c_void>(),
                content.len(),
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        if result == sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            Ok(())
        } else {
            // SAFETY: the client terminates what it writes.
            Err(unsafe { text(reason.as_ptr()) })
        }
    }

    /// Every property the client knows, without its aliases.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut count = 0;
        // SAFETY: the dump is an array of `count` strings, name and value in turn, freed after the copy.
        unsafe {
            let dump = sys::rd_kafka_conf_dump(self.conf, &raw mut count);
            for index in (0..count).step_by(2) {
                names.push(text(*dump.add(index)));
            }
            sys::rd_kafka_conf_dump_free(dump, count);
        }
        names
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        if !self.conf.is_null() {
            // SAFETY: owned and not yet given to a client.
            unsafe { sys::rd_kafka_conf_destroy(self.conf) };
        }
    }
}

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Consumer,
    /// A consumer whose partitions the group assigns.
    Member,
    Producer,
}

/// A client handle.
pub(crate) struct Client {
    rk: NonNull<sys::rd_kafka_t>,
    role: Role,
    told: Option<Told>,
    /// How often nobody has answered, one time after the other.
    unanswered: AtomicU32,
}

// SAFETY: the client library is thread safe.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Creates a client; it connects in the background.
    pub(crate) fn new(role: Role, mut configuration: Configuration) -> Result<Arc<Self>, Failure> {
        // Or the library would be taken down at the end of the process, while a client that ends aside may still be
        // logging in: the process would end by a signal.
        openssl_sys::init();
        let mut reason = [0 as c_char; 512];
        let kind = match role {
            Role::Consumer | Role::Member => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            Role::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
        };
        // SAFETY: the configuration is owned; on success the client takes it over.
        let rk = unsafe {
            sys::rd_kafka_conf_set_log_cb(configuration.conf, Some(client_log::on_log));
            if let Some(behalf) = Behalf::now() {
                // Lives as long as the process.
                let opaque = ptr::from_ref(behalf).cast_mut().cast();
                sys::rd_kafka_conf_set_opaque(configuration.conf, opaque);
            }
            sys::rd_kafka_conf_enable_sasl_queue(configuration.conf, 1);
            sys::rd_kafka_conf_set_events(
                configuration.conf,
                sys::RD_KAFKA_EVENT_DR
                    | sys::RD_KAFKA_EVENT_ERROR
                    | sys::RD_KAFKA_EVENT_STATS
                    | sys::RD_KAFKA_EVENT_OFFSET_COMMIT
                    | if role == Role::Member {
                        sys::RD_KAFKA_EVENT_REBALANCE
                    } else {
                        0
                    },
            );
            sys::rd_kafka_new(kind, configuration.conf, reason.as_mut_ptr(), reason.len())
        };
        let Some(rk) = NonNull::new(rk) else {
            if configuration.told.is_some() {
                // Where it fails late the client has freed the list of interceptors, and the configuration has it still: not
                // to be freed twice, it is left.
                configuration.conf = ptr::null_mut();
            }
            // SAFETY: the client terminates what it writes.
            let reason = unsafe { text(reason.as_ptr()) };
            return Err(Failure::refuse(words::unmade(&reason)));
        };
        configuration.conf = ptr::null_mut();
        // SAFETY: a live handle. Tokens of OAUTHBEARER are fetched on the client's own thread; with other mechanisms
        // the call has no effect.
        unsafe {
            let _ = take_error(sys::rd_kafka_sasl_background_callbacks_enable(rk.as_ptr()));
        }
        Ok(Arc::new(Self {
            rk,
            role,
            told: configuration.told.take(),
            unanswered: AtomicU32::new(0),
        }))
    }

    /// The value of a property as the client has taken it.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        let mut value: [c_char; 512] = [0; 512];
        let mut size = value.len();
        // SAFETY: a live handle, a terminated name, and room of that size, in which the client terminates what it writes.
        unsafe {
            let conf = sys::rd_kafka_conf(self.rk.as_ptr());
            let got =
                sys::rd_kafka_conf_get(conf, name.as_ptr(), value.as_mut_ptr(), &raw mut size);
            (got == sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK).then(|| text(value.as_ptr()))
        }
    }

    /// The native handle, for calls within the room.
    pub(crate) fn native(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    /// Hears, every second or so, whether any broker answers. Where none does it begins with these servers again: a broker that stops
    /// cleanly may say last that there are no brokers, and the client then forgets the one it had and has nobody left to
    /// ask. Servers that it knows stay as they are. It keeps each list that it is given, so in a long outage only one call
    /// in sixty gives it one more.
    pub(crate) fn hear(&self, answered: bool, servers: &str) {
        if answered {
            return self.unanswered.store(0, Ordering::Relaxed);
        }
        let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
        if before >= AT_FIRST && !before.is_multiple_of(AT_FIRST) {
            return;
        }
        if let Ok(servers) = c_name(servers) {
            // SAFETY: a live handle and a terminated string, which the client copies.
            unsafe { sys::rd_kafka_brokers_add(self.native(), servers.as_ptr()) };
        }
    }

    /// Records that it holds: not acknowledged, or failed and not told of yet.
    pub(crate) fn records(&self) -> usize {
        // The events that wait count too, but not here. They are read first: one that comes in between makes it more.
        // SAFETY: a live handle, and a queue that is let go of.
        unsafe {
            let main = sys::rd_kafka_queue_get_main(self.native());
            let events = sys::rd_kafka_queue_length(main);
            sys::rd_kafka_queue_destroy(main);
            let all = usize::try_from(sys::rd_kafka_outq_len(self.native())).unwrap_or(0);
            all.saturating_sub(events)
        }
    }

    /// The text of the error that has made this client unusable, if any.
    pub(crate) fn fatal(&self) -> Option<(Code, String)> {
        let mut reason = [0 as c_char; 512];
        // SAFETY: a live handle and a buffer of the given length.
        let code = Code::from(unsafe {
            sys::rd_kafka_fatal_error(self.native(), reason.as_mut_ptr(), reason.len())
        });
        // SAFETY: the client terminates what it writes.
        (code != Code::OK).then(|| (code, unsafe { text(reason.as_ptr()) }))
    }
}

/// A handle that has no owner any more.
struct Orphan {
    rk: NonNull<sys::rd_kafka_t>,
    /// Called until the handle is destroyed.
    _told: Option<Told>,
}

// SAFETY: the client library is thread safe.
unsafe impl Send for Orphan {}

impl Orphan {
    fn destroy(self) {
        // SAFETY: the last owner is gone; queues and records hold an owner, so none of them is left.
        unsafe {
            sys::rd_kafka_destroy_flags(
                self.rk.as_ptr(),
                sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as c_int,
            );
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let orphan = Orphan {
            rk: self.rk,
            _told: self.told.take(),
        };
        if self.role == Role::Producer {
            // What it had is delivered or purged: this takes no time, and no new run may begin before it.
            return orphan.destroy();
        }
        // A consumer whose last commit finds no broker is destroyed only when the commit has timed out. It can do no
        // harm meanwhile, and neither a lane's thread nor a stop should wait for it.
        let aside = std::thread::Builder::new()
            .name("kafka-end".to_owned())
            .spawn(move || orphan.destroy());
        if let Err(error) = aside {
            tracing::debug!(target: "kafka", %error, "no thread to end a Kafka client: it ends with the process");
        }
    }
}

/// A queue of a client.
pub(crate) struct Queue {
    queue: *mut sys::rd_kafka_queue_t,
    client: Arc<Client>,
}

// SAFETY: the client library is thread safe.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// A queue for the answer to one question.
    pub(crate) fn temporary(client: &Arc<Client>) -> Self {
        // SAFETY: a live handle.
        Self::own(client, unsafe { sys::rd_kafka_queue_new(client.native()) })
    }

    /// The queue of errors, statistics and delivery reports.
    pub(crate) fn main(client: &Arc<Client>) -> Self {
        // SAFETY: a live handle.
        Self::own(client, unsafe {
            sys::rd_kafka_queue_get_main(client.native())
        })
    }

    /// The consumer's queue, with the main queue led into it: errors, statistics, and records of partitions whose queue
    /// was not split.
    pub(crate) fn consumer(client: &Arc<Client>) -> Self {
        // SAFETY: a live handle of a consumer.
        Self::own(client, unsafe {
            sys::rd_kafka_poll_set_consumer(client.native());
            sys::rd_kafka_queue_get_consumer(client.native())
        })
    }

    /// The queue of one partition, split from the consumer's. Must be made before the partition is assigned.
    pub(crate) fn partition(
        client: &Arc<Client>,
        topic: &str,
        partition: i32,
    ) -> Result<Self, Failure> {
        let name = c_name(topic)?;
        // SAFETY: a live handle and a terminated name; forwarding to null ends the forwarding.
        let queue = unsafe {
            let queue =
                sys::rd_kafka_queue_get_partition(client.native(), name.as_ptr(), partition);
            if queue.is_null() {
                return Err(Failure::restart(format!(
                    "the Kafka client has no queue for {topic}/{partition}"
                )));
            }
            sys::rd_kafka_queue_forward(queue, ptr::null_mut());
            queue
        };
        Ok(Self::own(client, queue))
    }

    fn own(client: &Arc<Client>, queue: *mut sys::rd_kafka_queue_t) -> Self {
        Self {
            queue,
            client: Arc::clone(client),
        }
    }

    /// The native queue, for calls within the room.
    pub(crate) fn native(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue
    }

    /// Waits for an event, `timeout_ms` at most.
    pub(crate) fn poll(&self, timeout_ms: c_int) -> Option<Event> {
        // SAFETY: a live queue.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.queue, timeout_ms) })
            .map(|event| Event { event })
    }

    /// The client whose queue it is.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Wakes the thread that waits in `poll`.
    pub(crate) fn wake(&self) {
        // SAFETY: a live queue.
        unsafe { sys::rd_kafka_queue_yield(self.queue) };
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: owned; the client lives until after this. A callback must not come after its opaque is gone.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// What came from a queue.
pub(crate) struct Event {
    event: NonNull<sys::rd_kafka_event_t>,
}

impl Event {
    /// The native event, for calls within the room.
    pub(crate) fn native(&self) -> *mut sys::rd_kafka_event_t {
        self.event.as_ptr()
    }

    /// One of the `RD_KAFKA_EVENT_*` numbers.
    pub(crate) fn kind(&self) -> c_int {
        // SAFETY: a live event.
        unsafe { sys::rd_kafka_event_type(self.native()) }
    }

    /// The event's error.
    pub(crate) fn error(&self) -> Code {
        // SAFETY: a live event.
        Code::from(unsafe { sys::rd_kafka_event_error(self.native()) })
    }

    /// The client's sentence about the error.
    pub(crate) fn error_text(&self) -> String {
        // SAFETY: a live event; the string is copied.
        unsafe { text(sys::rd_kafka_event_error_string(self.native())) }
    }

    /// The statistics as JSON; empty for another kind of event.
    pub(crate) fn statistics(&self) -> &str {
        // SAFETY: the string lives as long as the event and is what the client printed as JSON.
        unsafe {
            let text = sys::rd_kafka_event_stats(self.native());
            if text.is_null() {
                return "";
            }
            CStr::from_ptr(text).to_str().unwrap_or("")
        }
    }

    /// The partitions that the event is about; empty for another kind of event.
    pub(crate) fn partitions(&self) -> Vec<Entry> {
        // SAFETY: a live event; its list lives as long and is copied.
        unsafe { entries_of(sys::rd_kafka_event_topic_partition_list(self.native())) }
    }

    /// The messages of a delivery report.
    pub(crate) fn delivered(&self, into: &mut Vec<*const sys::rd_kafka_message_t>) {
        into.clear();
        // SAFETY: a live event; the array has room for as many as the call is told.
        unsafe {
            let count = sys::rd_kafka_event_message_count(self.native());
            into.reserve(count);
            let taken = sys::rd_kafka_event_message_array(self.native(), into.as_mut_ptr(), count);
            into.set_len(taken);
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { sys::rd_kafka_event_destroy(self.native()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_taken_unknown_or_invalid() {
        let mut configuration = Configuration::new();
        assert_eq!(configuration.set("fetch.min.bytes", "1"), Ok(()));
        assert_eq!(
            configuration.set("fetch.min.byte", "1"),
            Err(PropertyError::Unknown)
        );
        assert!(matches!(
            configuration.set("fetch.min.bytes", "x"),
            Err(PropertyError::Invalid(_))
        ));
        assert!(configuration.names().contains(&"client.id".to_owned()));
    }

    #[test]
    fn what_the_documents_promise_is_compiled_in() {
        for (name, value) in [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("sasl.mechanisms", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            (
                "sasl.oauthbearer.token.endpoint.url",
                "https://issuer/token",
            ),
            ("compression.codec", "zstd"),
            ("compression.codec", "gzip"),
            ("compression.codec", "lz4"),
            ("compression.codec", "snappy"),
        ] {
            let mut configuration = Configuration::new();
            assert_eq!(configuration.set(name, value), Ok(()), "{name} {value}");
        }
    }
}
