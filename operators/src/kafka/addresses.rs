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
    let address = without_scheme(server);
    let (host, port) = match address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some(parts) => parts,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    if port.matches(':').count() > 1 {
        return Some("has several colons: an IPv6 address stands in brackets, [::1]:9092");
    }
    if host.is_empty() {
        return (!server.is_empty()).then_some("names no host: write host:port");
    }
    (!is_port(port)).then_some("has no valid port: write host:port")
}

/// Whether a port may stand behind a host so; without one the client takes 9092.
fn is_port(colon_and_port: &str) -> bool {
    colon_and_port.is_empty()
        || colon_and_port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether the address in a complaint of the client, `host:port/1: Connect to ... failed`, is one that a broker has announced:
/// it has the number of a broker, and is none of the servers that the job names.
pub(crate) fn is_announced(reason: &str, servers: &str) -> bool {
    let broker = reason.split_once(": ").map(|(broker, _)| broker);
    let Some((address, number)) = broker.and_then(|broker| broker.rsplit_once('/')) else {
        return false;
    };
    let address = without_scheme(address);
    let whole = |server: &str| match server.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => server.to_owned(),
        _ => format!("{server}:9092"),
    };
    let named = servers.split(',').map(str::trim).map(without_scheme);
    number.parse::<u32>().is_ok() && !named.map(whole).any(|server| server == address)
}

fn without_scheme(address: &str) -> &str {
    address.rsplit("://").next().unwrap_or(address)
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
    fn an_address_that_only_a_broker_has_named_is_told_from_those_of_the_job() {
        let refused = "inside:9094/1: Connect to inside:9094 failed: Connection refused";
        assert!(is_announced(refused, "a:9092, b:1"));
        let by_tls = "ssl://[fd00::1]:9094/12: Failed to resolve";
        assert!(is_announced(by_tls, "a:9092"));
        for (reason, servers) in [
            (refused, "a:1, inside:9094"),
            ("inside:9092/1: Connection refused", "PLAINTEXT://inside"),
            ("[::1]:9092/1: Connection refused", "[::1]"),
            ("a:9092/bootstrap: Connection refused", "a:9092"),
            ("all brokers are down", "a:9092"),
        ] {
            assert!(!is_announced(reason, servers), "{reason}");
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
            (":9092", "`:9092` names no host"),
            ("::1:9092", "stands in brackets"),
            ("[::1]:9092]", "no valid port"),
        ] {
            let message = checked(servers, false).unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
        let message = checked("secret:port", true).unwrap_err();
        assert!(!message.contains("secret"), "{message}");
    }
}
