//! What went wrong with a store, as errors of the system's kinds: so whoever reads files needs not know where they lie.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use object_store::Error;

/// The error of a request as one of files. Its kind says what may help:
///
/// | kind | then |
/// | --- | --- |
/// | `NotFound` | there is no such object, or no such bucket |
/// | `StaleNetworkFileHandle` | the object was replaced while it was read |
/// | `PermissionDenied` | this key may not do that |
/// | `InvalidInput` | address, key, region or name are wrong: a person must mend it |
/// | `AlreadyExists` | there is one already where a new one was to be |
/// | `NotConnected` | the store is away, and may come back; at a start [`super::untrusted`] tells whether it is one that is not trusted |
pub(super) fn trouble(error: &Error) -> io::Error {
    let said = innermost(error);
    let code = tag(&said, "Code");
    if said.contains(NOT_TRUSTED) {
        return super::trust::untrusted_store(&said);
    }
    let kind = kind(error, code, &said);
    let text = match (code, tag(&said, "Message")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        (Some(code), None) => code.to_owned(),
        _ if kind == ErrorKind::NotFound && !said.contains("<") => {
            "there is no such object".to_owned()
        }
        _ if said == NOT_HTTPS => {
            "the address of the store begins with http://, and keys are sent by https:// only"
                .to_owned()
        }
        _ => match said.strip_prefix("Server returned non-2xx status code: ") {
            Some(status) => format!("the store answers {}", status.trim_end_matches([':', ' '])),
            None => said.chars().take(400).collect(),
        },
    };
    io::Error::new(kind, text)
}

/// What the TLS library says of a certificate that it does not take.
const NOT_TRUSTED: &str = "invalid peer certificate";

/// What the HTTP client says of an address that it takes none of.
const NOT_HTTPS: &str = "URL scheme is not allowed";
const NO_ADDRESS: [&str; 4] = [
    NOT_HTTPS,
    "relative URL without a base",
    "empty host",
    "invalid port number",
];

/// What the store calls its errors says more than how the client sorts them, which is another way for each request.
fn kind(error: &Error, code: Option<&str>, said: &str) -> ErrorKind {
    match (code, error) {
        (Some("NoSuchBucket" | "NoSuchKey" | "ContainerNotFound" | "BlobNotFound"), _)
        | (_, Error::NotFound { .. }) => ErrorKind::NotFound,
        (_, Error::AlreadyExists { .. }) => ErrorKind::AlreadyExists,
        (_, Error::Precondition { .. }) => ErrorKind::StaleNetworkFileHandle,
        (
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "InvalidBucketName"
                | "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "AuthenticationFailed",
            ),
            _,
        )
        | (
            _,
            Error::Unauthenticated { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. },
        ) => ErrorKind::InvalidInput,
        (Some("AccessDenied"), _) | (None, Error::PermissionDenied { .. }) => {
            ErrorKind::PermissionDenied
        }
        _ if said.contains("without LOCATION") => ErrorKind::InvalidInput,
        _ if NO_ADDRESS.iter().any(|text| said.contains(text)) => ErrorKind::InvalidInput,
        _ if said.contains("status code: 403") && code.is_none() => ErrorKind::PermissionDenied,
        _ if said.contains("status code: 404") => ErrorKind::NotFound,
        _ => ErrorKind::NotConnected,
    }
}

/// The text of the cause behind all others: those before it repeat it.
fn innermost(error: &Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// What stands in an element of an answer in XML.
fn tag<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside.trim())
}

/// The store was closed while it was asked.
pub(super) fn closed() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the connection was closed")
}
