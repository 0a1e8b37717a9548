//! The options that say how an object store is reached, by the names of Hadoop's file systems and by short ones.

use crate::table::{OptionKind, OptionSpec, option, refused};

/// Several names of one option: the first is the one in messages.
pub(super) const ALIASES: [&[&str]; 6] = [
    &["fs.s3a.endpoint", "endpoint"],
    &["fs.s3a.endpoint.region", "region"],
    &["fs.s3a.access.key", "accessKey"],
    &["fs.s3a.secret.key", "secretKey"],
    &["fs.s3a.session.token", "sessionToken"],
    &[SERVICE_ACCOUNT, "fs.gs.auth.service.account.json.keyfile"],
];

/// The file with the key of a Google account.
pub(super) const SERVICE_ACCOUNT: &str = "google.cloud.auth.service.account.json.keyfile";

/// What a key of an Azure account begins with; the account's name follows.
pub(super) const ACCOUNT_KEY: &str = "fs.azure.account.key.";

/// The manual.
pub(crate) const OPTIONS: [OptionSpec; 17] = [
    option(
        "fs.s3a.endpoint",
        OptionKind::Text,
        "the region's",
        "https://minio.example:9000",
        "Of `s3://`: the address of the service, for one that is not AWS' own. Without it AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL",
    ),
    option(
        "endpoint",
        OptionKind::Text,
        "",
        "https://minio.example:9000",
        "The same as `fs.s3a.endpoint`",
    ),
    option(
        "fs.s3a.endpoint.region",
        OptionKind::Text,
        "",
        "eu-west-1",
        "Of `s3://`: the bucket's region. Without it AWS_REGION, the profile's or the machine's; `us-east-1` where there is an endpoint",
    ),
    option(
        "region",
        OptionKind::Text,
        "",
        "eu-west-1",
        "The same as `fs.s3a.endpoint.region`",
    ),
    option(
        "fs.s3a.access.key",
        OptionKind::Text,
        "",
        "${S3_KEY}",
        "Of `s3://`: the key's id. Without it environment, profile, web identity, container and machine are asked, in this order",
    ),
    option(
        "accessKey",
        OptionKind::Text,
        "",
        "${S3_KEY}",
        "The same as `fs.s3a.access.key`",
    ),
    option(
        "fs.s3a.secret.key",
        OptionKind::Text,
        "",
        "${file:/run/secrets/s3}",
        "Of `s3://`: the secret that goes with the key",
    ),
    option(
        "secretKey",
        OptionKind::Text,
        "",
        "${file:/run/secrets/s3}",
        "The same as `fs.s3a.secret.key`",
    ),
    option(
        "fs.s3a.session.token",
        OptionKind::Text,
        "",
        "${S3_TOKEN}",
        "Of `s3://`: the token of a key that ends",
    ),
    option(
        "sessionToken",
        OptionKind::Text,
        "",
        "${S3_TOKEN}",
        "The same as `fs.s3a.session.token`",
    ),
    option(
        "fs.s3a.path.style.access",
        OptionKind::Boolean,
        "true with an endpoint",
        "false",
        "Of `s3://`: whether the bucket stands in the path of requests, not in the name of the host",
    ),
    option(
        "fs.s3a.connection.ssl.enabled",
        OptionKind::Boolean,
        "true",
        "false",
        "Of `s3://`: whether an endpoint without `http://` or `https://` is spoken to with TLS",
    ),
    option(
        "fs.s3a.aws.credentials.provider",
        OptionKind::Text,
        "",
        "AnonymousAWSCredentialsProvider",
        "Of `s3://`: `AnonymousAWSCredentialsProvider`, with or without its package, asks without a key. Others are refused",
    ),
    option(
        SERVICE_ACCOUNT,
        OptionKind::Text,
        "",
        "/run/secrets/gcs.json",
        "Of `gs://`: the file of a service account. Without it GOOGLE_APPLICATION_CREDENTIALS, gcloud's and the machine's",
    ),
    option(
        "fs.gs.auth.service.account.json.keyfile",
        OptionKind::Text,
        "",
        "/run/secrets/gcs.json",
        "The same as `google.cloud.auth.service.account.json.keyfile`",
    ),
    option(
        "fs.azure.account.key.*",
        OptionKind::Text,
        "",
        "${file:/run/secrets/azure}",
        "Of `az://` and `abfss://`: the key of the account whose name follows, with or without its host. Without it the variables \
         AZURE_STORAGE_* and the machine's identity",
    ),
    refused("fs.s3a.impl", "the URL says which store it is"),
];
