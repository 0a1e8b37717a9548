//! A record of the client: its bytes are read where they are, and given back when it is dropped.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use rdkafka_sys as sys;
use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::record::Raw;
use thalweg_engine::row::Row;

use super::codes::Code;
use super::lane::Lane;

/// A record while its bytes are still the client's.
pub(crate) trait Facts {
    /// The value.
    fn value(&self) -> Option<&[u8]>;
    /// The last header of this name.
    fn header(&self, name: &CStr) -> Option<&[u8]>;
}

/// Reads records as a whole.
pub(crate) trait ReadWhole: Send {
    /// Appends all columns.
    ///
    /// # Errors
    /// When the record is not what it should be.
    fn read(&mut self, record: &dyn Facts, row: &mut Row) -> Result<(), RecordError>;
}

/// A lane as its reader and the reader's records hold it.
pub(super) struct Held(pub(super) Arc<Lane>);

impl Deref for Held {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        &self.0
    }
}

/// A record's memory, given back to the client when dropped.
pub(super) struct Message {
    pub(super) message: *mut sys::rd_kafka_message_t,
    /// Keeps the client alive, at the price of a plain counter.
    pub(super) _lane: Rc<Held>,
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: owned, and the client lives.
        unsafe { sys::rd_kafka_message_destroy(self.message) };
    }
}

impl Message {
    pub(super) fn native(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: owned and not null. `err` is not read through this reference.
        unsafe { &*self.message }
    }

    pub(super) fn headers(&self) -> Vec<(SmolStr, Option<&[u8]>)> {
        // SAFETY: a live message.
        unsafe { headers_of(self.message) }
    }
}

/// The headers of a message, in order.
///
/// # Safety
/// `message` points to a message that lives for `'a`.
pub(super) unsafe fn headers_of<'a>(
    message: *const sys::rd_kafka_message_t,
) -> Vec<(SmolStr, Option<&'a [u8]>)> {
    let mut found = Vec::new();
    let mut headers = ptr::null_mut();
    // SAFETY: headers live as long as their message; the client writes a pair for each index until it says no.
    unsafe {
        if Code::from(sys::rd_kafka_message_headers(message, &raw mut headers)) != Code::OK {
            return found;
        }
        loop {
            let mut name: *const c_char = ptr::null();
            let mut value: *const c_void = ptr::null();
            let mut size = 0;
            let more = sys::rd_kafka_header_get_all(
                headers,
                found.len(),
                &raw mut name,
                &raw mut value,
                &raw mut size,
            );
            if Code::from(more) != Code::OK {
                return found;
            }
            let name = CStr::from_ptr(name).to_string_lossy();
            found.push((SmolStr::new(name), bytes(value, size)));
        }
    }
}

/// The last header of this name.
///
/// # Safety
/// `message` points to a message that lives for `'a`.
pub(super) unsafe fn header_of<'a>(
    message: *const sys::rd_kafka_message_t,
    name: &CStr,
) -> Option<&'a [u8]> {
    let mut headers = ptr::null_mut();
    let (mut value, mut size) = (ptr::null(), 0);
    // SAFETY: headers live as long as their message; the client writes value and size where it finds the name.
    unsafe {
        let found = Code::from(sys::rd_kafka_message_headers(message, &raw mut headers))
            == Code::OK
            && Code::from(sys::rd_kafka_header_get_last(
                headers,
                name.as_ptr(),
                &raw mut value,
                &raw mut size,
            )) == Code::OK;
        if found { bytes(value, size) } else { None }
    }
}

/// Bytes of the client; None for a null pointer.
///
/// # Safety
/// `pointer` is null or points to `size` bytes that live for `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const c_void, size: usize) -> Option<&'a [u8]> {
    (!pointer.is_null()).then(|| {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) }
    })
}

impl Facts for Message {
    fn value(&self) -> Option<&[u8]> {
        Raw::value(self)
    }

    fn header(&self, name: &CStr) -> Option<&[u8]> {
        Raw::header(self, name)
    }
}

impl Raw for Message {
    fn key(&self) -> Option<&[u8]> {
        let message = self.native();
        // SAFETY: the bytes live as long as the message.
        unsafe { bytes(message.key, message.key_len) }
    }

    fn value(&self) -> Option<&[u8]> {
        let message = self.native();
        // SAFETY: the bytes live as long as the message.
        unsafe { bytes(message.payload, message.len) }
    }

    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        Message::headers(self)
            .into_iter()
            .map(|(name, value)| (name, value.map(<[u8]>::to_vec)))
            .collect()
    }

    fn header(&self, name: &CStr) -> Option<&[u8]> {
        // SAFETY: a live message.
        unsafe { header_of(self.message, name) }
    }
}
