//! The client of the service: how it is made, and what is asked.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::Client as Sdk;
use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use thalweg_engine::error::Failure;
use tokio::time::Instant;

use super::place::Place;
use super::settings::Settings;
use super::shards::Shard;
use super::trouble::Trouble;

const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// How long a question may take with all its repetitions.
const QUESTION_MAX: Duration = Duration::from_secs(8);
/// Where there is an address of our own and nobody names a region: something must be signed.
const REGION_DEFAULT: &str = "us-east-1";

/// What the service says of a stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// When it was made, in milliseconds: another stream of the same name has another time.
    pub(super) created: i64,
    /// Being deleted, for example.
    pub(super) status: String,
    pub(super) retention_hours: i32,
}

/// The client.
#[derive(Clone)]
pub(super) struct Client {
    sdk: Sdk,
    settings: Settings,
    /// Where the service is, for messages.
    pub(super) place: String,
}

impl Client {
    /// Makes a client. Asks for region and credentials only where the options leave them open.
    pub(super) async fn new(settings: &Settings) -> Result<Self, Failure> {
        let making = tokio::time::timeout(QUESTION_MAX, Self::make(settings));
        making.await.unwrap_or_else(|_| {
            Err(Failure::restart(
                "nobody says which region is meant: add the option region, or set AWS_REGION",
            ))
        })
    }

    async fn make(settings: &Settings) -> Result<Self, Failure> {
        let region = region(settings).await.ok_or_else(|| {
            Failure::refuse(format!(
                "which region the stream `{}` is in is not known: add the option region, or set AWS_REGION",
                settings.stream
            ))
        })?;
        let settings = Settings {
            region: Some(region.to_string()),
            ..settings.clone()
        };
        let mut loader = base(&region).credentials_provider(credentials(&settings, &region).await);
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Ok(Self {
            sdk: Sdk::new(&loader.load().await),
            place: settings.place(),
            settings,
        })
    }

    /// What the service says of the stream.
    pub(super) async fn stream(&self) -> Result<Stream, Trouble> {
        let asked = || async {
            let asked = self.sdk.describe_stream_summary();
            let answer = asked.stream_name(&self.settings.stream).send().await;
            let answer = answer.map_err(Trouble::of)?;
            let told = answer.stream_description_summary();
            let told = told.ok_or_else(|| Trouble::Away("answers with nothing".to_owned()))?;
            Ok(Stream {
                created: millis(Some(told.stream_creation_timestamp())),
                status: told.stream_status().as_str().to_owned(),
                retention_hours: told.retention_period_hours(),
            })
        };
        self.repeated(asked).await
    }

    /// All shards that the stream holds records of.
    pub(super) async fn shards(&self) -> Result<Vec<Shard>, Trouble> {
        let mut shards = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let asked = || async {
                let asked = self.sdk.list_shards();
                let asked = match &page {
                    // A page names its stream itself.
                    Some(page) => asked.next_token(page),
                    None => asked.stream_name(&self.settings.stream),
                };
                asked.send().await.map_err(Trouble::of)
            };
            let answer = self.repeated(asked).await?;
            shards.extend(answer.shards().iter().map(|shard| {
                Shard {
                    id: shard.shard_id().into(),
                    parents: [shard.parent_shard_id(), shard.adjacent_parent_shard_id()]
                        .into_iter()
                        .flatten()
                        .map(Into::into)
                        .collect(),
                    closed: shard
                        .sequence_number_range()
                        .is_some_and(|range| range.ending_sequence_number().is_some()),
                }
            }));
            page = answer.next_token().map(str::to_owned);
            if page.is_none() {
                return Ok(shards);
            }
        }
    }

    /// An iterator of a shard.
    pub(super) async fn iterator(&self, shard: &str, place: &Place) -> Result<String, Trouble> {
        let asked = self
            .sdk
            .get_shard_iterator()
            .stream_name(&self.settings.stream)
            .shard_id(shard);
        let asked = match place {
            Place::Oldest => asked.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Place::Time(millis) => asked
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*millis)),
            Place::At(sequence, _) => asked
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
            Place::After(sequence) => asked
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
        };
        let answer = asked.send().await.map_err(Trouble::of)?;
        let iterator = answer.shard_iterator();
        iterator
            .map(str::to_owned)
            .ok_or_else(|| Trouble::Away("answers with no iterator".to_owned()))
    }

    /// The next records of a shard.
    pub(super) async fn records(
        &self,
        iterator: &str,
        limit: i32,
    ) -> Result<GetRecordsOutput, Trouble> {
        let asked = self.sdk.get_records().shard_iterator(iterator).limit(limit);
        asked.send().await.map_err(Trouble::of)
    }

    /// Asks again where that may help, not longer than [`QUESTION_MAX`].
    async fn repeated<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let until = Instant::now() + QUESTION_MAX;
        let mut pause = self.settings.retry_interval;
        let mut left = self.settings.retries;
        loop {
            let late = || Trouble::Away("does not answer in time".to_owned());
            let answer = tokio::time::timeout_at(until, ask()).await;
            match answer.unwrap_or_else(|_| Err(late())) {
                Err(trouble) if trouble.passes() && left > 0 && Instant::now() + pause < until => {
                    left -= 1;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.settings.retry_interval_max);
                }
                answer => return answer,
            }
        }
    }
}

/// A time of the service in milliseconds; 0 where there is none.
pub(super) fn millis(time: Option<&DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}

/// What all requests have: we repeat them ourselves, and no connection is waited for too long.
fn base(region: &Region) -> aws_config::ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_MAX)
                .operation_attempt_timeout(REQUEST_MAX)
                .build(),
        )
}

async fn region(settings: &Settings) -> Option<Region> {
    if let Some(region) = &settings.region {
        return Some(Region::new(region.clone()));
    }
    let near = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    if let Some(region) = near.region().await {
        return Some(region);
    }
    if settings.endpoint.is_some() {
        return Some(Region::new(REGION_DEFAULT));
    }
    if !settings.instance_profile {
        return None;
    }
    RegionProviderChain::default_provider().region().await
}

async fn credentials(settings: &Settings, region: &Region) -> SharedCredentialsProvider {
    let own = match (&settings.keys, settings.instance_profile) {
        (Some(keys), _) => SharedCredentialsProvider::new(Credentials::new(
            &keys.id,
            &keys.secret,
            None,
            None,
            "the options",
        )),
        (None, true) => {
            let chain = DefaultCredentialsChain::builder().region(region.clone());
            SharedCredentialsProvider::new(chain.build().await)
        }
        (None, false) => SharedCredentialsProvider::new(
            CredentialsProviderChain::first_try(
                "Environment",
                EnvironmentVariableCredentialsProvider::new(),
            )
            .or_else("Profile", ProfileFileCredentialsProvider::builder().build())
            .or_else(
                "WebIdentityToken",
                WebIdentityTokenCredentialsProvider::builder().build(),
            )
            .or_else("Container", EcsCredentialsProvider::builder().build()),
        ),
    };
    let Some(role) = &settings.role else {
        return own;
    };
    let mut config: SdkConfig = base(region).credentials_provider(own.clone()).load().await;
    if let Some(endpoint) = &role.endpoint {
        config = config.into_builder().endpoint_url(endpoint).build();
    }
    let assumed = AssumeRoleProvider::builder(&role.arn)
        .session_name(&role.session)
        .region(region.clone())
        .configure(&config);
    SharedCredentialsProvider::new(assumed.build_from_provider(own).await)
}
