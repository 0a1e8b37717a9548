//! The address of a service, as far as it can be checked without asking anybody: wherever one comes from, it is made here.

/// An address that may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "object-store"),
    allow(
        dead_code,
        reason = "checked in every build, used in those that reach a store"
    )
)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// The address that stands there: in an option, in a variable.
    ///
    /// # Errors
    /// What is wrong with it, so that it can never be one; the client would call it a store that does not answer. Nothing of the
    /// address itself: it may have been put in from outside.
    pub(super) fn of(text: String, there: &str) -> Result<Self, String> {
        match wrong_in(&text) {
            Some(wrong) => Err(format!("the address in {there} {wrong}")),
            None => Ok(Self(text)),
        }
    }

    /// The same of a service that keys are sent to by TLS only.
    ///
    /// # Errors
    /// As [`Endpoint::of`].
    #[cfg(feature = "object-store")]
    pub(super) fn of_tls(text: String, there: &str) -> Result<Self, String> {
        let endpoint = Self::of(text, there)?;
        if endpoint.is_plain() {
            return Err(format!(
                "the address in {there} begins with http://, and keys are sent by https:// only"
            ));
        }
        Ok(endpoint)
    }

    /// With its scheme.
    #[cfg(any(feature = "object-store", test))]
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is spoken to without TLS.
    #[cfg(feature = "object-store")]
    pub(super) fn is_plain(&self) -> bool {
        self.0
            .split_once("://")
            .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))
    }
}

fn wrong_in(endpoint: &str) -> Option<&'static str> {
    // A check without the environment keeps what is to be put in.
    if endpoint.contains("${") {
        return None;
    }
    let known = |scheme: &str| {
        ["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    };
    let Some((_, rest)) = endpoint
        .split_once("://")
        .filter(|(scheme, _)| known(scheme))
    else {
        return Some("begins with neither http:// nor https://");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Some("has a user in it: keys are given by options of their own");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let named = |letter: char| letter.is_ascii_alphanumeric() || "-_.[]:".contains(letter);
    if host.is_empty() || !host.chars().all(named) {
        return Some("has no valid host");
    }
    let valid = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(|port| !valid(port)) {
        return Some("has no valid port");
    }
    (!rest.chars().all(|letter| letter.is_ascii_graphic()))
        .then_some("has a blank or a letter in it that none may have")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "object-store")]
    #[test]
    fn keys_that_go_by_tls_only_are_sent_to_no_address_without_it() {
        let of = |text: &str| Endpoint::of_tls(text.to_owned(), "X");
        assert!(of("https://localhost:4443").is_ok());
        for plain in ["http://localhost:4443", "HTTP://localhost"] {
            let said = of(plain).unwrap_err();
            assert!(
                said.contains("the address in X begins with http://"),
                "{said}"
            );
        }
        assert!(of("ftp://localhost").unwrap_err().contains("neither"));
        assert!(of("localhost:4443").unwrap_err().contains("neither"));
    }

    #[test]
    fn what_can_never_be_an_address_is_told_from_one_that_may_be() {
        for good in [
            "http://localhost:9000",
            "https://s3.eu-west-1.amazonaws.com",
            "HTTP://minio",
            "http://[::1]:9000/",
            "http://[::1]",
            "https://host/with/path",
            "${S3}",
        ] {
            assert_eq!(wrong_in(good), None, "{good}");
        }
        for (wrong, why) in [
            ("ftp://localhost:9000", "http://"),
            ("http://local host", "host"),
            ("http://", "host"),
            ("http://:9000", "host"),
            ("http://localhost:port", "port"),
            ("http://localhost:0", "port"),
            ("http://localhost:99999", "port"),
            ("http://me:hush@localhost:9000", "user"),
            ("http://localhost:9000/a b", "blank"),
        ] {
            assert!(
                wrong_in(wrong).is_some_and(|said| said.contains(why)),
                "{wrong}"
            );
        }
    }
}
