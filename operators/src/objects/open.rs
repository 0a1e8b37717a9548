//! Opens the store that an address names: the one place that knows them apart.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::access::Access;
use super::address::{Address, Kind};
use super::aws::{self, Chain};
use super::endpoint::Endpoint;
use super::manual::{ACCOUNT_KEY, SERVICE_ACCOUNT};
use super::trouble::trouble;

const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// How long a request may stay without any answer, the time of sending included.
const SILENT_MAX: Duration = Duration::from_secs(20);
/// How long a request is repeated before whoever asks is told.
const REPEATED_MAX: Duration = Duration::from_secs(4);
/// Where there is an address of our own and nobody names a region: something must be signed.
const REGION_DEFAULT: &str = "us-east-1";

/// A client of the store.
pub(super) async fn client(address: &Address, access: &Access) -> io::Result<Arc<dyn ObjectStore>> {
    let made: Result<Arc<dyn ObjectStore>, object_store::Error> = match address.kind {
        Kind::Amazon => {
            let endpoint = match &access.endpoint {
                Some(endpoint) => Some(endpoint.clone()),
                None => endpoint_of_environment().map_err(no_address)?,
            };
            let store = amazon(endpoint.as_ref(), address, access).await;
            store.map(|store| Arc::new(store) as _)
        }
        Kind::Google => {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_url(&address.root)
                .with_client_options(options(false))
                .with_retry(retry());
            if let Some(file) = &access.service_account {
                builder = builder.with_service_account_path(file);
            }
            google_address(&builder).map_err(no_address)?;
            builder.build().map(|store| Arc::new(store) as _)
        }
        Kind::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_url(&address.root)
                .with_client_options(options(false))
                .with_retry(retry());
            if let Some((name, key)) = &access.account {
                builder = builder.with_account(name).with_access_key(key);
            }
            azure_address(&builder).map_err(no_address)?;
            builder.build().map(|store| Arc::new(store) as _)
        }
    };
    made.map_err(|error| {
        // Nothing was asked yet, so it is what was given.
        let mut said = trouble(&error).to_string();
        if address.kind == Kind::Azure && said.contains("Account must be specified") {
            said = format!(
                "no account is named: give the option `{ACCOUNT_KEY}ACCOUNT`, or AZURE_STORAGE_ACCOUNT_NAME in the environment"
            );
        }
        io::Error::new(io::ErrorKind::InvalidInput, said)
    })
}

/// An address that can never be one, wherever it stands.
fn no_address(wrong: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, wrong)
}

/// Refuses what environment or key say of Google's address and can never be one. Without either it is Google's own.
fn google_address(builder: &GoogleCloudStorageBuilder) -> Result<(), String> {
    let given = |key| builder.get_config_value(&key);
    if let Some(base) = given(GoogleConfigKey::BaseUrl) {
        return Endpoint::of_tls(base, "GOOGLE_BASE_URL").map(drop);
    }
    let account = match given(GoogleConfigKey::ServiceAccount) {
        Some(file) => Some(google_key(&file)?),
        None => given(GoogleConfigKey::ServiceAccountKey),
    };
    if let Some(file) = given(GoogleConfigKey::ApplicationCredentials) {
        google_key(&file)?;
    }
    let account: Option<serde_json::Value> =
        account.and_then(|text| serde_json::from_str(&text).ok());
    match account
        .as_ref()
        .and_then(|account| account["gcs_base_url"].as_str())
    {
        None => Ok(()),
        Some(base) => {
            let there = "`gcs_base_url` of the service account";
            Endpoint::of_tls(base.to_owned(), there).map(drop)
        }
    }
}

/// What stands in a file with a key. The client would not say which file it lacks.
fn google_key(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| {
        format!(
            "the file `{file}` with Google's key cannot be read: {error}: mend the option `{SERVICE_ACCOUNT}`, or GOOGLE_APPLICATION_CREDENTIALS \
             or GOOGLE_SERVICE_ACCOUNT in the environment"
        )
    })
}

/// The same of Azure's address. The emulator's is another one, and is spoken to without TLS.
fn azure_address(builder: &MicrosoftAzureBuilder) -> Result<(), String> {
    let given = |key| builder.get_config_value(&key);
    let emulator = given(AzureConfigKey::UseEmulator).is_some_and(|text| text != "false");
    match given(AzureConfigKey::Endpoint) {
        Some(endpoint) if !emulator => {
            Endpoint::of_tls(endpoint, "AZURE_STORAGE_ENDPOINT").map(drop)
        }
        _ => Ok(()),
    }
}

async fn amazon(
    endpoint: Option<&Endpoint>,
    address: &Address,
    access: &Access,
) -> Result<object_store::aws::AmazonS3, object_store::Error> {
    let region = match (&access.region, endpoint) {
        (Some(region), _) => region.clone(),
        (None, Some(endpoint)) => match (region_of(endpoint.text()), std::env::var("AWS_REGION")) {
            (Some(region), _) => region.to_owned(),
            (None, Ok(region)) if !region.is_empty() => region,
            _ => REGION_DEFAULT.to_owned(),
        },
        (None, None) => aws::region().await.ok_or_else(|| object_store::Error::Generic {
            store: "S3",
            source: format!(
                "the region of {} is not known: add the option fs.s3a.endpoint.region, or set AWS_REGION",
                address.root
            )
            .into(),
        })?,
    };
    // Of the environment nothing is taken but through the chain: there may be keys for other things.
    let bucket = address.root.split_once("://").map_or("", |(_, name)| name);
    let dotted = bucket.contains('.');
    let hosted = !access.path_style.unwrap_or(endpoint.is_some() || dotted);
    let plain = endpoint.is_some_and(Endpoint::is_plain);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&region)
        .with_virtual_hosted_style_request(hosted)
        .with_client_options(options(plain))
        .with_retry(retry())
        // Not every service that speaks S3 deletes several objects at once.
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = endpoint.map(Endpoint::text) {
        // With the bucket as its host's first name it is given so.
        builder = builder.with_endpoint(if hosted {
            endpoint.replacen("://", &format!("://{bucket}."), 1)
        } else {
            endpoint.to_owned()
        });
    }
    builder = match &access.key {
        _ if access.anonymous => builder.with_skip_signature(true),
        Some(key) => {
            let builder = builder
                .with_access_key_id(&key.id)
                .with_secret_access_key(&key.secret);
            match &key.token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
        None => builder.with_credentials(Arc::new(Chain::new(&region).await)),
    };
    builder.build()
}

/// The address that AWS' own tools take from the environment where none is given.
fn endpoint_of_environment() -> Result<Option<Endpoint>, String> {
    let given = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    if given("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|text| text == "true") {
        return Ok(None);
    }
    let mut names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter();
    let found = names.find_map(|name| Some((name, given(name)?)));
    found
        .map(|(name, text)| Endpoint::of(text, name))
        .transpose()
}

/// The region in the name of one of AWS' own hosts: `s3.eu-west-1.amazonaws.com`.
fn region_of(endpoint: &str) -> Option<&str> {
    let (_, host) = endpoint.split_once("://")?;
    let host = host.split(['/', ':']).next()?;
    let region = host.strip_prefix("s3.")?.strip_suffix(".amazonaws.com")?;
    Some(region.trim_start_matches("dualstack.")).filter(|region| !region.contains('.'))
}

fn options(plain: bool) -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(CONNECT_MAX)
        .with_timeout(REQUEST_MAX)
        .with_read_timeout(SILENT_MAX)
        .with_allow_http(plain)
}

/// A short trouble is not worth a word; of a longer one whoever asks must know.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: REPEATED_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_host_of_aws_says_its_region() {
        let region = |host| region_of(host);
        assert_eq!(
            region("https://s3.eu-west-1.amazonaws.com"),
            Some("eu-west-1")
        );
        assert_eq!(
            region("https://s3.dualstack.eu-west-1.amazonaws.com/"),
            Some("eu-west-1")
        );
        assert_eq!(region("https://s3.amazonaws.com"), None);
        assert_eq!(region("http://localhost:9000"), None);
    }
}
