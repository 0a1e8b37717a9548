//! Keys of S3 from the chain that all of AWS' tools ask: environment, profile, web identity, container, machine.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error};
use tokio::sync::Mutex;

/// A key is asked for again so long before it ends.
const EARLY: Duration = Duration::from_secs(300);

/// Asks for keys, and keeps the one that is in force.
#[derive(Debug)]
pub(super) struct Chain {
    chain: SharedCredentialsProvider,
    known: Mutex<Option<(Arc<AwsCredential>, Option<SystemTime>)>>,
}

/// The region that environment, profile or machine name.
pub(super) async fn region() -> Option<String> {
    let region = RegionProviderChain::default_provider().region().await;
    region.map(|region| region.to_string())
}

impl Chain {
    pub(super) async fn new(region: &str) -> Self {
        let region = Region::new(region.to_owned());
        let config = aws_config::defaults(BehaviorVersion::latest());
        let chain = DefaultCredentialsChain::builder().region(region.clone());
        let config = config
            .region(region)
            .credentials_provider(chain.build().await);
        // Through the configuration, so that what asks a service for keys has a client.
        let config = config.load().await;
        let chain = config.credentials_provider().unwrap_or_else(|| {
            SharedCredentialsProvider::new(
                aws_config::environment::EnvironmentVariableCredentialsProvider::new(),
            )
        });
        Self {
            chain,
            known: Mutex::default(),
        }
    }

    async fn key(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut known = self.known.lock().await;
        let early = SystemTime::now() + EARLY;
        if let Some((key, until)) = &*known
            && until.is_none_or(|until| until > early)
        {
            return Ok(Arc::clone(key));
        }
        let given = self.chain.provide_credentials().await;
        let given = given.map_err(|error| {
            use aws_credential_types::provider::error::CredentialsError as Wrong;
            let text = match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            match error {
                Wrong::CredentialsNotLoaded(_) | Wrong::InvalidConfiguration(_) => {
                    Error::Unauthenticated {
                        path: String::new(),
                        source: format!(
                            "no key is known: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a web identity, or the \
                             options fs.s3a.access.key and fs.s3a.secret.key ({text})"
                        )
                        .into(),
                    }
                }
                _ => Error::Generic {
                    store: "S3",
                    source: format!("nobody gives a key now: {text}").into(),
                },
            }
        })?;
        let key = Arc::new(AwsCredential {
            key_id: given.access_key_id().to_owned(),
            secret_key: given.secret_access_key().to_owned(),
            token: given.session_token().map(str::to_owned),
        });
        *known = Some((Arc::clone(&key), given.expiry()));
        Ok(key)
    }
}

impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    // As the attribute `async_trait` writes it.
    fn get_credential<'s, 'f>(
        &'s self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.key())
    }
}
