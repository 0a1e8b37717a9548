//! The address of a service, as far as it can be checked without asking anybody.

/// What is wrong with it, so that it can never be one; the client would call it a store that does not answer.
pub(super) fn wrong_in(endpoint: &str) -> Option<&'static str> {
    // A check without the environment keeps what is to be put in.
    if endpoint.contains("${") {
        return None;
    }
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Some("begins with neither http:// nor https://");
    }
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
