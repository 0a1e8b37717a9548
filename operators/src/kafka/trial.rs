//! Whether the client takes a table's properties together, asked by `check` and without a broker.

use super::client::{Client, Configuration, Role};
use super::options::Connection;
use super::{consumer, java_names, outlet_settings};
use crate::job_error::JobError;
use crate::table::{Options, Table};
use thalweg_engine::error::Failure;

/// What a property of a producer must be, so that nothing acknowledged is lost and nothing is reordered.
struct Guarantee {
    /// Its names.
    names: &'static [&'static str],
    keeps: fn(&str) -> bool,
    /// What other values would do.
    why: &'static str,
}

const GUARANTEES: [Guarantee; 4] = [
    Guarantee {
        names: &["acks", "request.required.acks"],
        keeps: |value| value == "all" || value == "-1",
        why: "a record that was acknowledged could be lost with one broker; it is always `all`",
    },
    Guarantee {
        names: &["retries", "message.send.max.retries"],
        keeps: |value| value.parse() != Ok(0),
        why: "a record that a broker turns away has to be sent again",
    },
    Guarantee {
        names: &["max.in.flight.requests.per.connection", "max.in.flight"],
        keeps: |value| value.parse::<u32>().is_ok_and(|number| number <= 5),
        why: "brokers keep the order of records that are sent again among 5 requests at most",
    },
    Guarantee {
        names: &["queuing.strategy"],
        keeps: |value| value == "fifo",
        why: "records are written in their order",
    },
];

/// Looks whether a producer can be made with what the table says.
///
/// # Errors
/// For properties that it does not take, with the place in the job file.
pub(crate) fn writes(table: &Table, connection: &Connection) -> Result<(), JobError> {
    for entry in table.options.iter() {
        let Some(name) = java_names::property_name(entry) else {
            continue;
        };
        let value = entry.value.trim().to_ascii_lowercase();
        let mut guarantees = GUARANTEES.iter();
        let broken = guarantees.find(|guarantee| {
            guarantee.names.contains(&name.as_str()) && !(guarantee.keeps)(&value)
        });
        if let Some(guarantee) = broken {
            return Err(JobError::new(
                entry.at,
                format!(
                    "`{}` cannot be '{}': {}",
                    entry.name,
                    Options::shown(entry),
                    guarantee.why
                ),
            )
            .help("remove it"));
        }
    }
    together(table, connection, Role::Producer, |alone| {
        outlet_settings::configuration(alone, outlet_settings::wished(alone))
    })
}

/// Looks whether a consumer can be made with what the table says.
///
/// # Errors
/// As [`writes`].
pub(crate) fn reads(table: &Table, connection: &Connection) -> Result<(), JobError> {
    together(table, connection, Role::Consumer, consumer::trial)
}

/// What properties say together only the client can tell: one that knows no broker is made, and let go.
fn together(
    table: &Table,
    connection: &Connection,
    role: Role,
    configuration: impl Fn(&Connection) -> Result<Configuration, Failure>,
) -> Result<(), JobError> {
    let Some(alone) = connection.without_brokers() else {
        return Ok(());
    };
    let made = configuration(&alone).and_then(|taken| Client::new(role, taken));
    made.map(drop).map_err(|failure| {
        let mut entries = table.options.iter();
        let named = entries.find(|entry| {
            java_names::property_name(entry)
                .is_some_and(|name| failure.message.contains(&format!("`{name}`")))
        });
        JobError::new(named.map_or(table.at, |entry| entry.at), failure.message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, value: &str) -> Table {
        Table::using("notification", "kafka")
            .option("kafka.bootstrap.servers", "localhost:9092")
            .option(name, value)
    }

    fn written(name: &str, value: &str) -> Result<(), String> {
        let table = table(name, value);
        Connection::of(&table)
            .and_then(|connection| writes(&table, &connection))
            .map_err(|error| format!("{} {}", error.message, error.help.unwrap_or_default()))
    }

    #[test]
    fn what_would_lose_or_reorder_records_is_refused_with_the_reason() {
        for (name, value, why) in [
            ("kafka.acks", "1", "could be lost"),
            ("kafka.acks", "0", "could be lost"),
            ("kafka.request.required.acks", "1", "could be lost"),
            ("kafka.retries", "0", "sent again"),
            ("kafka.message.send.max.retries", "0", "sent again"),
            (
                "kafka.max.in.flight.requests.per.connection",
                "10",
                "5 requests",
            ),
            ("kafka.max.in.flight", "6", "5 requests"),
            ("kafka.queuing.strategy", "lifo", "their order"),
        ] {
            let said = written(name, value).unwrap_err();
            assert!(said.contains(why) && said.contains("remove it"), "{said}");
            assert!(
                said.contains(&format!("`{name}` cannot be '{value}'")),
                "{said}"
            );
        }
    }

    #[test]
    fn what_keeps_them_is_taken() {
        for (name, value) in [
            ("kafka.acks", "all"),
            ("kafka.acks", "-1"),
            ("kafka.retries", "2147483647"),
            ("kafka.max.in.flight.requests.per.connection", "5"),
            ("kafka.linger.ms", "5"),
            ("kafka.compression.type", "lz4"),
            ("kafka.max.request.size", "2000000"),
        ] {
            assert_eq!(written(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn properties_that_do_not_go_together_are_found_without_a_broker() {
        let said = written("kafka.reconnect.backoff.ms", "5000").unwrap_err();
        assert!(
            said.contains("`reconnect.backoff.max.ms` must be >="),
            "{said}"
        );
        let table = table("kafka.receive.message.max.bytes", "1000");
        let connection = Connection::of(&table).unwrap();
        let error = reads(&table, &connection).unwrap_err();
        assert!(
            error
                .message
                .contains("`receive.message.max.bytes` must be >="),
            "{error}"
        );
    }

    #[test]
    fn a_value_that_the_client_does_not_take_is_found_under_javas_name_too() {
        let said = written("kafka.max.request.size", "100").unwrap_err();
        assert!(
            said.contains("`kafka.max.request.size` is not allowed"),
            "{said}"
        );
    }

    #[test]
    fn what_needs_files_or_a_login_is_left_to_the_start() {
        for (name, value) in [
            ("kafka.ssl.ca.location", "/not/there.pem"),
            ("kafka.security.protocol", "SASL_SSL"),
        ] {
            assert_eq!(written(name, value), Ok(()), "{name}");
        }
    }
}
