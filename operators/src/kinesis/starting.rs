//! Where a query without a checkpoint starts: what `startingPosition` says.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value as Json;

use super::place::{Place, is_sequence};

/// Where one shard starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At what arrives from the start on.
    Latest,
    /// At this place.
    Place(Place),
}

/// Where a stream starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Starting {
    /// All shards alike.
    All(From),
    /// These shards so, others at their oldest record.
    Shards(BTreeMap<String, From>),
}

const TAKES: &str = "takes LATEST, TRIM_HORIZON, EARLIEST, AT_TIMESTAMP with a time such as 2026-01-31T12:00:00Z, or JSON with one of them for each shard";

impl Starting {
    /// Reads the option.
    ///
    /// # Errors
    /// The reason, as the end of a sentence that begins with the option's name.
    pub(crate) fn of(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.starts_with('{') {
            return from(text).map(Self::All).ok_or_else(|| TAKES.to_owned());
        }
        let json: Json =
            serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        let Json::Object(object) = json else {
            return Err(TAKES.to_owned());
        };
        if let Some(time) = object.get("at_timestamp").and_then(Json::as_str) {
            let millis = time_of(time).ok_or_else(|| TAKES.to_owned())?;
            return Ok(Self::All(From::Place(Place::Time(millis))));
        }
        let mut shards = BTreeMap::new();
        // What the connector of Spark writes beside the shards of its own offsets.
        for (shard, said) in object.iter().filter(|(name, _)| *name != "metadata") {
            let from = shard_from(said).ok_or_else(|| {
                format!(
                    "says no position for `{shard}`: write \"TRIM_HORIZON\" or {{\"iteratorType\": \"AFTER_SEQUENCE_NUMBER\", \"iteratorPosition\": \"4959...\"}}"
                )
            })?;
            shards.insert(shard.clone(), from);
        }
        if shards.is_empty() {
            return Err("names no shard".to_owned());
        }
        Ok(Self::Shards(shards))
    }

    /// Where a shard starts when the query does at `now`, in milliseconds.
    pub(crate) fn place(&self, shard: &str, now: i64) -> Place {
        let from = match self {
            Self::All(from) => Some(from),
            Self::Shards(shards) => shards.get(shard),
        };
        match from {
            None => Place::Oldest,
            Some(From::Latest) => Place::Time(now),
            Some(From::Place(place)) => place.clone(),
        }
    }

    /// The shards that it names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::All(_) => None,
            Self::Shards(shards) => Some(shards.keys().map(String::as_str)),
        }
        .into_iter()
        .flatten()
    }
}

/// A word, with what belongs to it.
fn from(text: &str) -> Option<From> {
    let (word, rest) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    };
    typed(word, rest)
}

fn typed(word: &str, rest: &str) -> Option<From> {
    let sequence = || is_sequence(rest).then(|| rest.into());
    let place = match word.to_ascii_uppercase().as_str() {
        "LATEST" if rest.is_empty() => return Some(From::Latest),
        "TRIM_HORIZON" | "EARLIEST" if rest.is_empty() => Place::Oldest,
        "AT_TIMESTAMP" => Place::Time(time_of(rest)?),
        "AT_SEQUENCE_NUMBER" => Place::At(sequence()?, 0),
        "AFTER_SEQUENCE_NUMBER" => Place::After(sequence()?),
        _ => return None,
    };
    Some(From::Place(place))
}

fn shard_from(said: &Json) -> Option<From> {
    match said {
        Json::String(text) => from(text.trim()),
        Json::Object(object) => {
            let word = object.get("iteratorType")?.as_str()?;
            let rest = object
                .get("iteratorPosition")
                .and_then(Json::as_str)
                .unwrap_or("");
            typed(word.trim(), rest.trim())
        }
        _ => None,
    }
}

/// A time in milliseconds: with its zone, without one in UTC, or as milliseconds.
fn time_of(text: &str) -> Option<i64> {
    if is_sequence(text) {
        return text.parse().ok();
    }
    let naive = |form| NaiveDateTime::parse_from_str(text, form).ok();
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .ok()
        .or_else(|| {
            let time = naive("%Y-%m-%dT%H:%M:%S%.f").or_else(|| naive("%Y-%m-%d %H:%M:%S%.f"))?;
            Some(time.and_utc().timestamp_millis())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Place {
        Starting::of(text)
            .unwrap()
            .place("shardId-000000000000", 77)
    }

    #[test]
    fn the_words_of_all_connectors_are_understood_in_any_case() {
        assert_eq!(one("LATEST"), Place::Time(77));
        assert_eq!(one("latest"), Place::Time(77));
        assert_eq!(one("trim_horizon"), Place::Oldest);
        assert_eq!(one("EARLIEST"), Place::Oldest);
        assert_eq!(
            one("AT_TIMESTAMP 2023-08-30T19:00:05-08:00"),
            Place::Time(1_693_450_805_000)
        );
        assert_eq!(
            one("at_timestamp 2023-08-31T03:00:05Z"),
            Place::Time(1_693_450_805_000)
        );
        assert_eq!(
            one("{\"at_timestamp\": \"2023-08-31 03:00:05\"}"),
            Place::Time(1_693_450_805_000)
        );
    }

    #[test]
    fn a_shard_that_json_does_not_name_starts_at_its_oldest_record() {
        let starting = Starting::of(
            r#"{"metadata": {"batchId": "3"},
                "shardId-000000000000": {"iteratorType": "AFTER_SEQUENCE_NUMBER", "iteratorPosition": "4959"},
                "shardId-000000000001": "LATEST"}"#,
        )
        .unwrap();
        assert_eq!(
            starting.place("shardId-000000000000", 77),
            Place::After("4959".into())
        );
        assert_eq!(starting.place("shardId-000000000001", 77), Place::Time(77));
        assert_eq!(starting.place("shardId-000000000002", 77), Place::Oldest);
        assert_eq!(starting.named().count(), 2);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            "sometime",
            "AT_TIMESTAMP",
            "AT_TIMESTAMP soon",
            "LATEST 3",
            "{",
            "{}",
            "{\"shardId-000000000000\": 3}",
            "{\"shardId-000000000000\": \"AFTER_SEQUENCE_NUMBER x\"}",
        ] {
            assert!(Starting::of(text).is_err(), "{text}");
        }
    }
}
