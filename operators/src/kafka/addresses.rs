//! The addresses of brokers, as far as they can be checked without asking anybody.

use crate::job_error::JobError;
use crate::table::OptionValue;

/// What may stand before `://`: the values of `kafka.security.protocol`.
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// Checks `kafka.bootstrap.servers`: what is no address would be reported as a broker that does not answer.
pub(crate) fn check(servers: &OptionValue) -> Result<(), JobError> {
    let mut given = servers.value.split(',').map(str::trim);
    if given.clone().all(str::is_empty) {
        return Err(JobError::new(
            servers.at,
            "`kafka.bootstrap.servers` names no broker",
        ));
    }
    match given.find_map(|server| Some((server, wrong_in(server)?))) {
        None => Ok(()),
        Some((server, wrong)) => {
            // What was put in from outside never shows.
            let which = if servers.substituted {
                "an address".to_owned()
            } else {
                format!("`{server}`")
            };
            Err(JobError::new(
                servers.at,
                format!("`kafka.bootstrap.servers`: {which} {wrong}"),
            ))
        }
    }
}

/// What an address has that none may have. The client says nothing to most of it, and asks nobody.
fn wrong_in(server: &str) -> Option<&'static str> {
    // A check without the environment keeps what is to be put in.
    if server.contains("${") {
        return None;
    }
    let known = |scheme: &str| {
        PROTOCOLS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme))
    };
    if server
        .split_once("://")
        .is_some_and(|(scheme, _)| !known(scheme))
    {
        return Some("is no address of a broker: write host:port, without http:// or the like");
    }
    if server.contains(char::is_whitespace) {
        return Some("has a blank in it: write host:port, and commas between several");
    }
    (!has_port(server)).then_some("has no valid port: write host:port")
}

/// Whether what stands behind the last colon is a port. Without one the client takes 9092; the colons of an IPv6 address
/// stand in brackets.
fn has_port(server: &str) -> bool {
    let address = server.rsplit("://").next().unwrap_or(server);
    match address.rsplit_once(':') {
        Some((_, last)) => last.ends_with(']') || last.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_error::Location;

    fn checked(value: &str, substituted: bool) -> Result<(), String> {
        check(&OptionValue {
            name: "kafka.bootstrap.servers".into(),
            value: value.into(),
            substituted,
            at: Location { line: 1, column: 1 },
        })
        .map_err(|error| error.message)
    }

    #[test]
    fn hosts_with_and_without_a_port_are_taken() {
        for servers in [
            "localhost:9092",
            "a:1, b:2,c",
            "SASL_SSL://broker.example:9093",
            "[::1]:9092",
            "[::1]",
            "${KAFKA:-localhost:9092}",
        ] {
            assert_eq!(checked(servers, false), Ok(()), "{servers}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused_before_anybody_waits_for_it() {
        for (servers, wrong) in [
            ("localhost:abc", "`localhost:abc`"),
            ("a:1,b:99999", "`b:99999`"),
            ("a:", "`a:`"),
            ("http://a:9092", "without http://"),
            ("a 9092", "`a 9092` has a blank in it"),
            ("a:1 b:2", "commas between several"),
            (" , ", "names no broker"),
        ] {
            let message = checked(servers, false).unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
        let message = checked("secret:port", true).unwrap_err();
        assert!(!message.contains("secret"), "{message}");
    }
}
