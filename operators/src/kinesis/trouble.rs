//! What may go wrong between us and the service, and what helps.

use std::error::Error;

use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use thalweg_engine::error::Failure;

/// Why a request was not answered as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too often or too much: later it will be.
    Throttled,
    /// The iterator is too old: a new one helps.
    Expired,
    /// The stream or shard does not exist.
    Missing,
    /// This user lacks a right.
    Denied(String),
    /// The credentials are missing, wrong or too old.
    Credentials(String),
    /// The service does not accept the request, whatever is repeated.
    Wrong(String),
    /// No answer, or that of a server in trouble.
    Away(String),
}

impl Trouble {
    /// What an error of the client comes to.
    pub(super) fn of<E>(error: SdkError<E>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let status = error
            .raw_response()
            .map_or(0, |response| response.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        let message = error.message().unwrap_or_default().to_owned();
        if !code.is_empty() {
            return Self::named(&code, message, status);
        }
        match &error {
            SdkError::ResponseError(_) | SdkError::ServiceError(_) => Self::Away(format!(
                "answers with HTTP status {status}, and not as Kinesis does: is the address right?"
            )),
            SdkError::TimeoutError(_) => Self::Away("does not answer in time".to_owned()),
            other => {
                let text = DisplayErrorContext(other).to_string();
                if text.contains("redential") {
                    Self::Credentials(reasons(other))
                } else {
                    Self::Away(format!("does not answer: {}", reasons(other)))
                }
            }
        }
    }

    fn named(code: &str, message: String, status: u16) -> Self {
        match code {
            "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "KMSThrottlingException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown" => Self::Throttled,
            "ExpiredIteratorException" => Self::Expired,
            "ResourceNotFoundException" => Self::Missing,
            "AccessDeniedException"
            | "AccessDenied"
            | "KMSAccessDeniedException"
            | "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSNotFoundException"
            | "KMSOptInRequired"
            | "NotAuthorized"
            | "OptInRequired" => Self::Denied(format!("{code}: {message}")),
            // Their messages quote the signed request: only the name is passed on.
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignatureException"
            | "IncompleteSignature"
            | "MissingAuthenticationTokenException"
            | "MissingAuthenticationToken"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken" => Self::Credentials(code.to_owned()),
            "InvalidArgumentException" | "ValidationException" | "SerializationException" => {
                Self::Wrong(message)
            }
            _ if status >= 500 => Self::Away(format!("answers with {code}")),
            _ => Self::Away(format!("answers with {code}: {message}")),
        }
    }

    /// Whether the same request may be answered later.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Throttled | Self::Credentials(_) | Self::Away(_))
    }

    /// The failure of the run that it is, about this stream at this place.
    pub(super) fn failure(&self, stream: &str, place: &str) -> Failure {
        let text = self.text(stream, place);
        match self {
            Self::Missing | Self::Denied(_) | Self::Wrong(_) => Failure::end(text),
            _ => Failure::restart(text),
        }
    }

    /// In words.
    pub(super) fn text(&self, stream: &str, place: &str) -> String {
        match self {
            Self::Throttled => {
                format!("{place} refuses to answer so often about the stream `{stream}`")
            }
            Self::Expired => format!("an iterator of the stream `{stream}` expired"),
            Self::Missing => format!(
                "the stream `{stream}` does not exist at {place}: is its name right, and the region?"
            ),
            Self::Denied(reason) => {
                format!("no right to read the stream `{stream}` at {place}: {reason}")
            }
            Self::Credentials(reason) => format!(
                "{place} does not accept the credentials for the stream `{stream}`, or there are none: {reason}"
            ),
            Self::Wrong(reason) => {
                format!("{place} does not accept a request about the stream `{stream}`: {reason}")
            }
            Self::Away(reason) => format!("{place} {reason}"),
        }
    }
}

/// An error and its causes, each once.
fn reasons(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}
