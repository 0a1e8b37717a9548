//! Questions to a broker: which topics, which offsets, which committed positions, which limits and rights.
//!
//! Every question has a timeout and an answer in words that name the broker's address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::addresses::is_announced;
use super::client::{Client, Queue, Role};
use super::codes::Code;
use super::group;
use super::options::{Connection, SOCKET_TIMEOUT};
use super::partition_list::{Entry, PartitionList};
use super::questions::{
    ASK_TIMEOUT, Description, Topic, TopicInfo, describe_topics, list_offsets, metadata, ms,
    topic_property,
};
use super::starting::Place;
use super::words;

/// How long a first answer may take before the address is reported.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// After this long without any broker a refused connection is reported.
const REFUSED_AFTER: Duration = Duration::from_secs(2);

/// What is said of a broker that has not said anything.
const NOTHING: &str = "nothing has come back";

/// How long leaders may be elected.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// After this long a topic that nobody knows is missing.
const MISSING_AFTER: Duration = Duration::from_secs(4);

/// The offset that is asked for; numbers from 0 are times in milliseconds.
pub(crate) const EARLIEST: i64 = -2;
/// As [`EARLIEST`].
pub(crate) const LATEST: i64 = -1;

/// A broker that refuses the client's certificate, or that knows no TLS, ends the connection, and the client takes it for
/// a broken one.
fn by_tls(code: Code, reason: &str) -> Code {
    if code == Code::TRANSPORT && reason.contains("SSL ") {
        Code::SSL
    } else {
        code
    }
}

/// A client that only asks.
pub(crate) struct Scout {
    pub(crate) client: Arc<Client>,
    servers: String,
}

impl Scout {
    /// Connects and waits until a broker answers.
    ///
    /// # Errors
    /// `Restart` with the address and the reason when none does; `Refuse` where files or properties are wrong.
    pub(crate) fn connect(connection: &Connection, group: &str) -> Result<Self, Failure> {
        let configuration = connection.configuration(
            &[
                ("reconnect.backoff.ms", "20"),
                ("reconnect.backoff.max.ms", "500"),
                ("socket.nagle.disable", "true"),
                SOCKET_TIMEOUT,
                ("log.connection.close", "false"),
                ("api.version.request.timeout.ms", "5000"),
            ],
            &[
                ("group.id", group),
                ("enable.auto.commit", "false"),
                // A consumer never lets a broker make a topic by asking for it.
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let scout = Self {
            client: Client::new(Role::Consumer, configuration)?,
            servers: connection.servers.clone(),
        };
        scout.wait_for_broker()?;
        Ok(scout)
    }

    /// Asks with a client that is already connected.
    pub(crate) fn with(client: &Arc<Client>, servers: &str) -> Self {
        Self {
            client: Arc::clone(client),
            servers: servers.to_owned(),
        }
    }

    /// Waits until a broker answers.
    ///
    /// # Errors
    /// As [`Scout::connect`].
    pub(super) fn wait_for_broker(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let events = Queue::main(&self.client);
        let mut reason: Option<(Code, String)> = None;
        loop {
            let failed = match metadata(&self.client, false, Duration::from_millis(250)) {
                Ok(_) => return Ok(()),
                Err(code) => code,
            };
            while let Some(event) = events.poll(0) {
                if event.kind() == sys::RD_KAFKA_EVENT_ERROR {
                    let code = by_tls(event.error(), &event.error_text());
                    // "All brokers are down" says less than the reason before it.
                    if code != Code::ALL_BROKERS_DOWN || reason.is_none() {
                        reason = Some((code, event.error_text()));
                    }
                }
            }
            let waited = began.elapsed();
            let clear = reason.as_ref().is_some_and(|(code, _)| {
                matches!(*code, Code::AUTHENTICATION | Code::SSL | Code::RESOLVE)
                    || waited > REFUSED_AFTER && *code == Code::TRANSPORT
            });
            if clear || waited > CONNECT_TIMEOUT {
                let (code, sentence) = reason.unwrap_or_else(|| {
                    let sentence = match failed {
                        // The client's word is for any connection that does not work.
                        Code::TRANSPORT | Code::TIMED_OUT => {
                            format!("{NOTHING} in {} seconds", CONNECT_TIMEOUT.as_secs())
                        }
                        code => code.describe(),
                    };
                    (failed, sentence)
                });
                return Err(self.unreachable(code, &sentence));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn unreachable(&self, code: Code, reason: &str) -> Failure {
        let (what, mut remedy) = meaning(code, reason);
        let protocol = self.client.property("security.protocol");
        if reason.starts_with(NOTHING) && protocol.is_some_and(|protocol| !has_tls(&protocol)) {
            remedy = "check kafka.bootstrap.servers and that the broker runs; a listener with TLS says nothing to a client \
                      without: then set kafka.security.protocol to SSL or SASL_SSL";
        }
        let away = matches!(code, Code::TRANSPORT | Code::RESOLVE);
        if away && is_announced(reason, &self.servers) {
            remedy = "a broker has announced this address, kafka.bootstrap.servers does not have it: check that broker's \
                      advertised.listeners, and that they can be reached from here";
        }
        let reason = words::plain(reason);
        // The broker is named already.
        let reason = reason
            .split_once("/bootstrap: ")
            .map_or(&*reason, |(_, reason)| reason);
        Failure::restart(format!(
            "the Kafka broker at {} {what}: {reason} ({remedy})",
            self.servers
        ))
    }

    /// The failure of a question.
    pub(crate) fn failed(&self, question: &str, code: Code) -> Failure {
        let message = format!(
            "the Kafka broker at {} did not say {question}: {}",
            self.servers,
            code.describe()
        );
        match code {
            Code::TOPIC_AUTHORIZATION_FAILED
            | Code::GROUP_AUTHORIZATION_FAILED
            | Code::CLUSTER_AUTHORIZATION_FAILED => Failure::end(message),
            _ => Failure::restart(message),
        }
    }

    /// What is known of these topics.
    pub(crate) fn topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, Failure> {
        // The client asks for the topics that it holds.
        let held = names
            .iter()
            .map(|name| Topic::new(&self.client, name))
            .collect::<Result<Vec<_>, _>>()?;
        let known = metadata(&self.client, false, ASK_TIMEOUT)
            .map_err(|code| self.failed("which partitions a topic has", code))?;
        drop(held);
        Ok(names
            .iter()
            .map(|name| {
                known
                    .iter()
                    .find(|topic| topic.name == *name)
                    .cloned()
                    .unwrap_or_else(|| TopicInfo {
                        name: (*name).to_owned(),
                        error: Code::UNKNOWN_TOPIC_OR_PART,
                        partitions: 0,
                    })
            })
            .collect())
    }

    /// The topic, which must exist; one that was made a moment ago may need a few seconds to be seen.
    ///
    /// # Errors
    /// `End` when it does not exist or may not be seen.
    pub(crate) fn existing_topic(&self, name: &str) -> Result<TopicInfo, Failure> {
        let began = Instant::now();
        loop {
            let topic = self
                .topics(&[name])?
                .pop()
                .ok_or_else(|| self.failed("which topics there are", Code::UNKNOWN_TOPIC))?;
            match self.judge(topic, began.elapsed()) {
                Some(judged) => return judged,
                None => std::thread::sleep(Duration::from_millis(250)),
            }
        }
    }

    /// What an answer means that came so long after the first question for its topic; None when it may still change.
    pub(crate) fn judge(
        &self,
        topic: TopicInfo,
        waited: Duration,
    ) -> Option<Result<TopicInfo, Failure>> {
        let (name, servers) = (&topic.name, &self.servers);
        match topic.error {
            Code::OK if topic.partitions > 0 => Some(Ok(topic)),
            Code::TOPIC_AUTHORIZATION_FAILED => Some(Err(Failure::end(format!(
                "no right to see topic `{name}` at {servers}: grant this user DESCRIBE on it"
            )))),
            _ if waited >= MISSING_AFTER => Some(Err(Failure::end(format!(
                "topic `{name}` does not exist at {servers}: make it, it is never made by itself"
            )))),
            _ => None,
        }
    }

    /// All topics that one may see.
    pub(crate) fn all_topics(&self) -> Result<Vec<TopicInfo>, Failure> {
        metadata(&self.client, true, ASK_TIMEOUT)
            .map_err(|code| self.failed("which topics there are", code))
    }

    /// The offsets of partitions: [`EARLIEST`], [`LATEST`] (with `committed`: the last stable offset), or the first at or
    /// after a time; -1 where no record is that new.
    pub(crate) fn offsets(
        &self,
        asked: &BTreeMap<Place, i64>,
        committed: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut list = PartitionList::new();
        for ((topic, partition), spec) in asked {
            list.add(topic, *partition, *spec, None)?;
        }
        let question = "where a partition begins and ends";
        let until = Instant::now() + SETTLE_TIME;
        let entries = loop {
            let entries = list_offsets(&self.client, &list, committed)
                .map_err(|code| self.failed(question, code))?;
            // Leaders are elected, or a topic was made a moment ago.
            let settling = entries.iter().any(|entry| {
                matches!(
                    entry.untold(),
                    Some(
                        Code::LEADER_NOT_AVAILABLE
                            | Code::NOT_LEADER_FOR_PARTITION
                            | Code::UNKNOWN_TOPIC_OR_PART
                    )
                )
            });
            if !settling || Instant::now() >= until {
                break entries;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let mut offsets = BTreeMap::new();
        for entry in entries {
            if let Some(code) = entry.untold() {
                return Err(self.failed(
                    &format!("{question} ({}/{})", entry.topic, entry.partition),
                    code,
                ));
            }
            offsets.insert((entry.topic, entry.partition), entry.offset);
        }
        match asked.keys().find(|place| !offsets.contains_key(*place)) {
            Some((topic, partition)) => Err(self.failed(
                &format!("{question} ({topic}/{partition})"),
                Code::UNKNOWN_PARTITION,
            )),
            None => Ok(offsets),
        }
    }

    /// Whether this user may not use the consumer group.
    pub(crate) fn is_forbidden(&self, group: &str) -> bool {
        group::is_forbidden(&self.client, group)
    }

    /// What the consumer group holds of these partitions: offset and metadata; nothing where it holds nothing.
    pub(crate) fn committed(&self, group: &str, places: &[Place]) -> Result<Vec<Entry>, Failure> {
        let mut list = PartitionList::new();
        for (topic, partition) in places {
            list.add(topic, *partition, -1001, None)?;
        }
        let question = "where the consumer group stands";
        let until = Instant::now() + ASK_TIMEOUT;
        loop {
            // SAFETY: a live handle and list; the client fills in the list.
            let code = Code::from(unsafe {
                sys::rd_kafka_committed(self.client.native(), list.native(), ms(ASK_TIMEOUT))
            });
            match code {
                Code::OK => break,
                // The group's coordinator starts or moves.
                Code::COORDINATOR_LOAD_IN_PROGRESS
                | Code::COORDINATOR_NOT_AVAILABLE
                | Code::NOT_COORDINATOR
                    if Instant::now() < until =>
                {
                    std::thread::sleep(Duration::from_millis(100));
                }
                // Without the right the client asks on and on who coordinates the group.
                Code::TIMED_OUT | Code::GROUP_AUTHORIZATION_FAILED if self.is_forbidden(group) => {
                    return Err(Failure::end(format!(
                        "no right to use the consumer group {group} at {}: grant this user READ on the group",
                        self.servers
                    )));
                }
                _ => return Err(self.failed(question, code)),
            }
        }
        let entries = list.entries();
        if let Some(entry) = entries.iter().find(|entry| entry.error != Code::OK) {
            return Err(self.failed(question, entry.error));
        }
        Ok(entries
            .into_iter()
            .filter(|entry| entry.offset >= 0)
            .collect())
    }

    /// Ids of topics and the rights one has.
    pub(crate) fn describe(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, Description>, Failure> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        describe_topics(&self.client, names)
            .map_err(|code| self.failed("what one may do with a topic", code))
    }

    /// A property of a topic; None where the broker does not tell (no right, too old) or does not know it.
    pub(crate) fn topic_property(
        &self,
        topic: &str,
        property: &str,
    ) -> Result<Option<String>, Failure> {
        let until = Instant::now() + SETTLE_TIME;
        let answer = loop {
            match topic_property(&self.client, topic, property) {
                // A topic that was made a moment ago: not every broker of a cluster knows it yet.
                Err(Code::UNKNOWN_TOPIC_OR_PART) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                answer => break answer,
            }
        };
        match answer {
            Ok(value) => Ok(value),
            Err(
                Code::TOPIC_AUTHORIZATION_FAILED
                | Code::CLUSTER_AUTHORIZATION_FAILED
                | Code::UNSUPPORTED_FEATURE
                | Code::TIMED_OUT
                | Code::UNSUPPORTED_VERSION,
            ) => Ok(None),
            Err(code) => Err(self.failed(&format!("`{property}` of topic `{topic}`"), code)),
        }
    }
}

/// Whether connections of this `security.protocol` are encrypted.
fn has_tls(protocol: &str) -> bool {
    protocol.to_ascii_lowercase().ends_with("ssl")
}

/// What is wrong with a broker that cannot be reached, and what helps.
fn meaning(code: Code, reason: &str) -> (&'static str, &'static str) {
    match code {
        Code::AUTHENTICATION if reason.contains("OAUTHBEARER token") => (
            "was not asked to log in",
            "no token has come: check kafka.sasl.oauthbearer.token.endpoint.url, and clientId and clientSecret in \
             kafka.sasl.jaas.config",
        ),
        Code::AUTHENTICATION => (
            "refuses the login",
            "check user, password and kafka.sasl.mechanism; a port that asks for no login refuses one too: then it is kafka.security.protocol",
        ),
        Code::SSL if reason.contains("alert") => (
            "refuses the connection by TLS",
            "it wants a certificate that it trusts: check kafka.ssl.keystore.location",
        ),
        Code::SSL if reason.contains("verify failed") => (
            "shows a certificate that is not trusted",
            "name the authority that has signed it in kafka.ssl.truststore.location; without that option those of this machine \
             are trusted",
        ),
        Code::SSL => (
            "cannot be reached by TLS",
            "check kafka.security.protocol and the certificates",
        ),
        Code::RESOLVE => (
            "cannot be found",
            "the host's name does not resolve: check kafka.bootstrap.servers",
        ),
        // "HTTP" as a length.
        _ if reason.contains("response size 1213486160") => (
            "does not speak Kafka's protocol",
            "a web server answers there: check the port in kafka.bootstrap.servers",
        ),
        _ if reason.contains("Invalid response size") => (
            "does not speak Kafka's protocol",
            "check the port in kafka.bootstrap.servers, and kafka.security.protocol",
        ),
        _ => (
            "does not answer",
            "check kafka.bootstrap.servers and that the broker runs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_server_in_place_of_a_broker_is_told_from_one_that_is_away() {
        let size = |size| {
            format!("a:1/bootstrap: Receive failed: Invalid response size {size} (0..100000000)")
        };
        let said = |reason: &str| meaning(Code::TRANSPORT, reason);
        assert!(
            said(&size("1213486160"))
                .1
                .contains("a web server answers there")
        );
        assert_eq!(
            said(&size("352518912")).0,
            "does not speak Kafka's protocol"
        );
        assert_eq!(said("Connection refused").0, "does not answer");
    }

    #[test]
    fn a_token_that_did_not_come_is_not_the_brokers_fault() {
        let reason = "Failed to acquire SASL OAUTHBEARER token: Could not connect to server";
        let (_, remedy) = meaning(Code::AUTHENTICATION, reason);
        assert!(
            remedy.contains("kafka.sasl.oauthbearer.token.endpoint.url"),
            "{remedy}"
        );
        let (what, _) = meaning(Code::AUTHENTICATION, "SASL authentication failed");
        assert_eq!(what, "refuses the login");
    }

    #[test]
    fn a_protocol_says_whether_it_is_encrypted() {
        assert!(has_tls("SASL_SSL") && has_tls("ssl"));
        assert!(!has_tls("plaintext") && !has_tls("SASL_PLAINTEXT"));
    }

    #[test]
    fn a_broker_that_is_not_trusted_is_told_from_one_without_tls() {
        let handshake = |why: &str| format!("ssl://a:1/bootstrap: SSL handshake failed: {why}");
        let said = |why: &str| meaning(Code::SSL, &handshake(why));
        let (what, remedy) = said("error:0A000086: certificate verify failed: broker certificate");
        assert_eq!(what, "shows a certificate that is not trusted");
        assert!(remedy.contains("kafka.ssl.truststore.location"), "{remedy}");
        assert_eq!(said("wrong version number").0, "cannot be reached by TLS");
    }
}
