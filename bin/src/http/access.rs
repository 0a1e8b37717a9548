//! Who may do what: every request passes here before its body is read.
//!
//! With a file of tokens everything under `/api/v1` needs one of them. Without, whoever reaches the address may look, and
//! only this machine may change something, and no page of another site through a browser on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};

use crate::http::Shared;
use crate::http::token::Tokens;

/// What a path needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Probes, metrics, the empty page: nothing.
    Nothing,
    /// It shows what the job does.
    Look,
    /// It changes what the job does.
    Change,
}

/// Who asks: the name of a token, or an address.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// Who is let in.
#[derive(Default)]
pub(super) struct Access {
    tokens: Option<Tokens>,
    /// Whether only this machine reaches the address.
    here_only: bool,
    /// The second of the last refusal that was noted.
    noted: AtomicU64,
}

/// Why somebody is not.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    NoToken,
    WrongToken,
    /// The file of tokens cannot be used.
    Tokens(String),
    Elsewhere,
    ForeignPage,
    ForeignName,
}

impl Refused {
    fn words(&self) -> (StatusCode, String) {
        let (status, words) = match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "this needs a token: send the header `Authorization: Bearer TOKEN` with a token of the file that the job was \
                 started with (--token-file)",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "that token is not one of the file that the job was started with (--token-file)",
            ),
            Self::Tokens(why) => return (StatusCode::SERVICE_UNAVAILABLE, why.clone()),
            Self::Elsewhere => (
                StatusCode::FORBIDDEN,
                "without --token-file changes are taken from the job's own machine only (127.0.0.1 or ::1): start the job with \
                 --token-file FILE and send one of its tokens, or ask from there",
            ),
            Self::ForeignPage => (
                StatusCode::FORBIDDEN,
                "a page in a browser may not do that, unless it is this job's own at 127.0.0.1, [::1] or localhost, or sends a \
                 token",
            ),
            Self::ForeignName => (
                StatusCode::FORBIDDEN,
                "this is not asked for by a name of this machine (127.0.0.1, [::1] or localhost), so it may be a page of another site in a \
                 browser: a proxy in front of it must send one of them as Host, or the job be started with --token-file",
            ),
        };
        (status, words.to_owned())
    }

    fn answer(&self) -> HttpResponse {
        let (status, words) = self.words();
        let mut answer = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"thalweg\""));
        }
        answer.json(serde_json::json!({ "error": words }))
    }
}

impl Access {
    /// Those with one of these tokens; without any, as without a file.
    pub(super) fn new(tokens: Option<Tokens>, here_only: bool) -> Self {
        Self {
            tokens,
            here_only,
            noted: AtomicU64::new(0),
        }
    }

    /// Whether tokens are asked for.
    pub(super) fn by_token(&self) -> bool {
        self.tokens.is_some()
    }

    fn admit(
        &self,
        needs: Needs,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Result<Caller, Refused> {
        let peer = peer.map(|peer| peer.ip().to_canonical());
        let address = || Caller(peer.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()));
        if needs == Needs::Nothing {
            return Ok(address());
        }
        let Some(tokens) = &self.tokens else {
            let here = peer.is_some_and(|ip| ip.is_loopback());
            return match needs {
                Needs::Change if !here => Err(Refused::Elsewhere),
                Needs::Change if foreign(headers) => Err(Refused::ForeignPage),
                _ if self.here_only && by_foreign_name(headers) => Err(Refused::ForeignName),
                _ => Ok(address()),
            };
        };
        let given = bearer(headers).ok_or(Refused::NoToken)?;
        match tokens.owner(given) {
            Ok(Some(name)) => Ok(Caller(name)),
            Ok(None) => Err(Refused::WrongToken),
            Err(why) => Err(Refused::Tokens(why)),
        }
    }

    /// Notes that somebody was refused, at most once a second.
    fn note(&self, what: &str, peer: Option<SocketAddr>, refused: &Refused) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(1, |since| since.as_secs());
        if self.noted.swap(now, Relaxed) != now {
            let who = peer.map(|peer| peer.ip().to_string());
            let (_, why) = refused.words();
            tracing::warn!(target: "audit", who, what, why, "refused");
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (kind, token) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whether a page of another site asks, through a browser on this machine: also one whose name was made to lead here.
fn foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let host = host(headers);
    let own = origin.to_str().ok().and_then(|o| o.strip_prefix("http://")) == Some(host);
    !(own && is_here(host))
}

/// Whether it is asked for by a name that was made to lead here. Who says none is no browser.
fn by_foreign_name(headers: &HeaderMap) -> bool {
    headers.contains_key(header::HOST) && !is_here(host(headers))
}

/// By which name it is asked for; empty where none is said.
fn host(headers: &HeaderMap) -> &str {
    text(headers, header::HOST).unwrap_or_default()
}

/// Whether a name, with or without a port, is always this machine.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets a request in or answers it.
pub(super) async fn guard(
    needs: Needs,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(shared) = request.app_data::<web::Data<Shared>>().cloned() else {
        return Ok(request.into_response(HttpResponse::InternalServerError()));
    };
    let peer = request.peer_addr();
    match shared.access.admit(needs, peer, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
        }
        Err(refused) => {
            let what = format!("{} {}", request.method(), request.path());
            shared.access.note(&what, peer, &refused);
            return Ok(request.into_response(refused.answer()));
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn admitted(
        access: &Access,
        needs: Needs,
        from: &str,
        more: &[(&str, &str)],
    ) -> Option<Refused> {
        let mut request = TestRequest::get();
        for (name, value) in more {
            request = request.insert_header((*name, *value));
        }
        let request = request.to_http_request();
        let peer = from.parse().ok();
        access.admit(needs, peer, request.headers()).err()
    }

    const HERE: &str = "127.0.0.1:5000";
    const THERE: &str = "10.0.0.7:5000";

    #[test]
    fn without_tokens_only_this_machine_may_change_something() {
        let access = Access::default();
        for (needs, from, refused) in [
            (Needs::Nothing, THERE, None),
            (Needs::Look, THERE, None),
            (Needs::Change, THERE, Some(Refused::Elsewhere)),
            (Needs::Change, "", Some(Refused::Elsewhere)),
            (Needs::Change, HERE, None),
            (Needs::Change, "[::1]:5000", None),
            (Needs::Change, "[::ffff:127.0.0.1]:5000", None),
        ] {
            assert_eq!(admitted(&access, needs, from, &[]), refused, "{from}");
        }
    }

    #[test]
    fn what_this_machine_alone_reaches_is_not_shown_to_a_page_whose_name_was_made_to_lead_here() {
        let bound = |here_only| Access::new(None, here_only);
        for (host, good) in [
            ("127.0.0.1:9464", true),
            ("localhost:9464", true),
            ("[::1]", true),
            ("evil.example:9464", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            let asked = |access: &Access, needs| admitted(access, needs, HERE, &[("host", host)]);
            assert_eq!(asked(&bound(true), Needs::Look).is_none(), good, "{host}");
            assert_eq!(asked(&bound(true), Needs::Change).is_none(), good, "{host}");
            assert_eq!(asked(&bound(true), Needs::Nothing), None);
            // An address that others reach is called by the names that they have for it.
            assert_eq!(asked(&bound(false), Needs::Look), None);
        }
        assert_eq!(admitted(&bound(true), Needs::Look, HERE, &[]), None);
    }

    #[test]
    fn without_tokens_no_page_of_another_site_may_change_something() {
        let access = Access::default();
        for (origin, host, good) in [
            ("http://127.0.0.1:9464", "127.0.0.1:9464", true),
            ("http://localhost:9464", "localhost:9464", true),
            ("http://[::1]:9464", "[::1]:9464", true),
            ("http://evil.example", "127.0.0.1:9464", false),
            ("http://evil.example:9464", "evil.example:9464", false),
            ("http://127.0.0.1:80", "127.0.0.1:9464", false),
            ("null", "127.0.0.1:9464", false),
        ] {
            let headers = [("origin", origin), ("host", host)];
            let refused = admitted(&access, Needs::Change, HERE, &headers);
            assert_eq!(refused.is_none(), good, "{origin} {host}");
        }
    }

    #[test]
    fn with_tokens_everything_but_probes_needs_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "anna 0123456789abcdef").unwrap();
        let access = Access::new(Some(Tokens::open(&path).unwrap()), true);
        let given = |value: &'static str| vec![("authorization", value)];
        for (needs, more, refused) in [
            (Needs::Nothing, vec![], None),
            (Needs::Look, vec![], Some(Refused::NoToken)),
            (Needs::Change, vec![], Some(Refused::NoToken)),
            (Needs::Change, given("Bearer 0123456789abcdef"), None),
            (Needs::Look, given("bearer  0123456789abcdef"), None),
            (
                Needs::Look,
                given("Bearer 0123456789abcdeg"),
                Some(Refused::WrongToken),
            ),
            (Needs::Look, given("Bearer "), Some(Refused::WrongToken)),
            (
                Needs::Look,
                given("Basic 0123456789abcdef"),
                Some(Refused::NoToken),
            ),
            (
                Needs::Look,
                given("0123456789abcdef"),
                Some(Refused::NoToken),
            ),
        ] {
            assert_eq!(admitted(&access, needs, HERE, &more), refused, "{more:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_lets_in_who_has_no_token(kind in "[ -~]{0,12}", rest in "[ -~]{0,40}", host in "[ -~]{0,30}") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("token");
            std::fs::write(&path, "anna 0123456789abcdef").unwrap();
            let access = Access::new(Some(Tokens::open(&path).unwrap()), true);
            let given = format!("{kind} {rest}");
            let headers = [("authorization", given.as_str()), ("host", &host), ("origin", &host)];
            prop_assume!(!given.contains("0123456789abcdef"));
            prop_assert!(admitted(&access, Needs::Change, HERE, &headers).is_some());
            prop_assert!(admitted(&access, Needs::Look, HERE, &headers).is_some());
        }
    }
}
