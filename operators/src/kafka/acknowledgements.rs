//! Acknowledgements of a producer's records, told on the client's own thread as the broker's answer is read.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use rdkafka_sys as sys;

use super::client::code_of;
use super::codes::Code;

/// By this name the client knows the interceptor.
const NAME: &CStr = c"thalweg";

/// Listens to what becomes of the records of a producer.
pub(crate) trait Acknowledgements: Send + Sync {
    /// The record that was handed over with this pointer stands at this offset, below zero where the broker has not told it
    /// itself. Then, and only then, the client may hold a lock of the partition: nothing may be handed over, nor anything
    /// waited for that another thread holds while it hands something over. Says whether who polls the main queue is to be
    /// woken.
    fn acknowledged(&self, opaque: *mut c_void, offset: i64) -> bool;
}

/// Who is told. Boxed, because the pointer that goes through the client is a thin one.
pub(super) struct Told(Box<Arc<dyn Acknowledgements>>);

impl Told {
    pub(super) fn of(listener: Arc<dyn Acknowledgements>) -> Self {
        Self(Box::new(listener))
    }

    /// Has the client that will be made of this configuration tell.
    ///
    /// # Safety
    /// A live configuration; this lives as long as it and the client.
    pub(super) unsafe fn intercept(&self, conf: *mut sys::rd_kafka_conf_t) {
        let opaque = ptr::from_ref(&*self.0).cast_mut().cast::<c_void>();
        // SAFETY: as the caller promises.
        unsafe {
            sys::rd_kafka_conf_interceptor_add_on_new(conf, NAME.as_ptr(), Some(on_new), opaque);
        }
    }
}

unsafe extern "C" fn on_new(
    client: *mut sys::rd_kafka_t,
    _: *const sys::rd_kafka_conf_t,
    opaque: *mut c_void,
    _: *mut c_char,
    _: usize,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: the client passes itself.
    unsafe {
        sys::rd_kafka_interceptor_add_on_acknowledgement(
            client,
            NAME.as_ptr(),
            Some(on_acknowledgement),
            opaque,
        )
    }
}

/// A record was acknowledged, or has failed. Of the latter events tell: some fail while they are handed over, on the
/// thread that does so.
unsafe extern "C" fn on_acknowledgement(
    client: *mut sys::rd_kafka_t,
    message: *mut sys::rd_kafka_message_t,
    opaque: *mut c_void,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: a live client and message, and the box of `Told`, which lives as long; the queue is let go of.
    unsafe {
        if code_of(&raw const (*message).err) == Code::OK {
            let listener = &*opaque.cast_const().cast::<Arc<dyn Acknowledgements>>();
            if listener.acknowledged((*message)._private, (*message).offset) {
                let main = sys::rd_kafka_queue_get_main(client);
                sys::rd_kafka_queue_yield(main);
                sys::rd_kafka_queue_destroy(main);
            }
        }
    }
    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}
