//! A store whose certificate is not trusted: at a start a mistake of the configuration, later an outage, because certificates are
//! replaced while jobs run.

use std::error::Error;
use std::fmt;
use std::io;

/// What stands in the error of such a store, which else is one of a store that is away.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "object-store"),
    allow(
        dead_code,
        reason = "asked for in every build, made in those that reach a store"
    )
)]
struct Untrusted(String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Untrusted {}

/// The error of a store of whose certificate the TLS library says this.
#[cfg(feature = "object-store")]
pub(super) fn untrusted_store(said: &str) -> io::Error {
    let text = format!(
        "the certificate of the store is not trusted ({said}): trusted are the authorities of this machine, or where SSL_CERT_FILE \
         names a file those in it. Add the one that has signed the certificate, or mend the address"
    );
    io::Error::new(io::ErrorKind::NotConnected, Untrusted(text))
}

/// Whether it is the error of a store whose certificate is not trusted: whoever starts ends with it, whoever runs waits.
pub(crate) fn untrusted(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Untrusted>())
}
