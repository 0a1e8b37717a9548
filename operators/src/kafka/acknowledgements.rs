//! Acknowledgements of a producer's records, told on the client's own thread as the broker's answer is read.
//!
//! An interceptor may not call the client, says its manual, because it may be called with a lock held. In librdkafka 2.12.1, of whose
//! source this is read, one of a record that was acknowledged is called in two places, both on a broker's thread: with the answer
//! that names the record, and no lock (`rd_kafka_msgbatch_handle_Produce_result`); and with the answer of a later one, where the
//! partition's lock is held (`rd_kafka_dr_implicit_ack`). Only the former has given the record an offset. A test names the version.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use rdkafka_sys as sys;

use super::client::code_of;
use super::codes::Code;

/// By this name the client knows the interceptor.
const NAME: &CStr = c"thalweg";

/// Listens to which records of a producer are acknowledged. What one failed of is told by an event, or by the call that hands
/// it over.
pub(crate) trait Acknowledgements: Send + Sync {
    /// The record that was handed over with this pointer stands at this offset, below zero where the broker has not told it
    /// itself. Then the client may hold a lock of the partition: nothing may be handed over, nor anything waited for that
    /// another thread holds while it hands something over. Says whether who polls the main queue is to be woken.
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

/// A record was acknowledged, or has failed: one that is never acknowledged is missed by who counts.
unsafe extern "C" fn on_acknowledgement(
    client: *mut sys::rd_kafka_t,
    message: *mut sys::rd_kafka_message_t,
    opaque: *mut c_void,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: a live client and message, and the box of `Told`, which lives as long; the queue is let go of.
    unsafe {
        let listener = &*opaque.cast_const().cast::<Arc<dyn Acknowledgements>>();
        if code_of(&raw const (*message).err) == Code::OK
            && listener.acknowledged((*message)._private, (*message).offset)
        {
            let main = sys::rd_kafka_queue_get_main(client);
            sys::rd_kafka_queue_yield(main);
            sys::rd_kafka_queue_destroy(main);
        }
    }
    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

#[cfg(test)]
mod tests {
    use super::super::client::{Client, Configuration, Role};
    use super::*;

    struct Silent;

    impl Acknowledgements for Silent {
        fn acknowledged(&self, _: *mut c_void, _: i64) -> bool {
            false
        }
    }

    #[test]
    fn the_client_is_the_one_whose_source_says_when_a_lock_is_held() {
        // Another one: read anew what the module says of it.
        // SAFETY: no preconditions.
        let version = unsafe { sys::rd_kafka_version() };
        assert_eq!(version >> 8, 0x02_0c_01, "{version:x}");
    }

    #[test]
    fn a_client_that_cannot_be_made_says_so_and_lets_go_of_who_listens() {
        let listener = Arc::new(Silent);
        for _ in 0..3 {
            let mut configuration = Configuration::new();
            configuration.set("security.protocol", "ssl").unwrap();
            configuration
                .set("ssl.ca.location", "/there/is/no/such.pem")
                .unwrap();
            configuration.tell(Arc::clone(&listener) as Arc<dyn Acknowledgements>);
            assert!(Client::new(Role::Producer, configuration).is_err());
        }
        assert_eq!(Arc::strong_count(&listener), 1);
    }
}
