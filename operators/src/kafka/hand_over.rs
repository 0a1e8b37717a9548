//! One record with headers, handed to the client.

use std::ffi::c_void;
use std::ptr;

use rdkafka_sys as sys;

use super::client::take_error;
use super::codes::Code;

/// Where a record goes.
pub(super) struct Way {
    pub(super) client: *mut sys::rd_kafka_t,
    pub(super) topic: *mut sys::rd_kafka_topic_t,
    pub(super) partition: i32,
    /// What comes back with the delivery report.
    pub(super) opaque: *mut c_void,
}

/// Takes headers one by one.
pub(super) type Add<'a> = dyn FnMut(&str, Option<&[u8]>) + 'a;

/// Hands a record over; the client copies everything.
///
/// # Safety
/// Client and topic are live and belong together.
pub(super) unsafe fn with_headers(
    way: &Way,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl FnOnce(&mut Add<'_>),
) -> Result<(), Code> {
    use sys::rd_kafka_vtype_t as Kind;
    let argument = |vtype, set: &dyn Fn(&mut sys::rd_kafka_vu_s__bindgen_ty_1)| {
        // SAFETY: the union is plain data.
        let mut u = unsafe { std::mem::zeroed::<sys::rd_kafka_vu_s__bindgen_ty_1>() };
        set(&mut u);
        sys::rd_kafka_vu_t { vtype, u }
    };
    let memory = |part: Option<&[u8]>| sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
        ptr: part.map_or(ptr::null_mut(), |part| {
            part.as_ptr().cast_mut().cast::<c_void>()
        }),
        size: part.map_or(0, <[u8]>::len),
    };
    // SAFETY: all memory lives for the calls, which copy it; the headers go to the client when it succeeds.
    unsafe {
        let list = sys::rd_kafka_headers_new(4);
        headers(&mut |name, value| {
            let (value, size) = value.map_or((ptr::null(), 0), |value| {
                (value.as_ptr().cast::<c_void>(), value.len() as isize)
            });
            let (bytes, length) = (name.as_ptr().cast(), name.len() as isize);
            let _ = sys::rd_kafka_header_add(list, bytes, length, value, size);
        });
        let arguments = [
            argument(Kind::RD_KAFKA_VTYPE_RKT, &|u| u.rkt = way.topic),
            argument(Kind::RD_KAFKA_VTYPE_PARTITION, &|u| u.i32_ = way.partition),
            argument(Kind::RD_KAFKA_VTYPE_MSGFLAGS, &|u| {
                u.i = sys::RD_KAFKA_MSG_F_COPY;
            }),
            argument(Kind::RD_KAFKA_VTYPE_VALUE, &|u| u.mem = memory(value)),
            argument(Kind::RD_KAFKA_VTYPE_KEY, &|u| u.mem = memory(key)),
            argument(Kind::RD_KAFKA_VTYPE_OPAQUE, &|u| u.ptr = way.opaque),
            argument(Kind::RD_KAFKA_VTYPE_HEADERS, &|u| u.headers = list),
        ];
        let done = take_error(sys::rd_kafka_produceva(
            way.client,
            arguments.as_ptr(),
            arguments.len(),
        ));
        done.map_err(|(code, _)| {
            sys::rd_kafka_headers_destroy(list);
            code
        })
    }
}
