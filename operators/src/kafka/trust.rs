//! Certificates to trust, from a PKCS#12 file as Java programs have them.

use thalweg_engine::error::Failure;

use super::client::Configuration;

/// Trusts the certificates of a PKCS#12 file.
pub(super) fn trust(
    configuration: &mut Configuration,
    path: &str,
    password: &str,
) -> Result<(), Failure> {
    let content = std::fs::read(path).map_err(|error| {
        Failure::refuse(format!(
            "kafka.ssl.truststore.location `{path}` cannot be read: {error}"
        ))
    })?;
    if content.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
        return Err(Failure::refuse(format!(
            "kafka.ssl.truststore.location `{path}` is a Java key store (JKS); convert it: keytool -importkeystore \
             -srckeystore {path} -destkeystore {path}.p12 -deststoretype PKCS12"
        )));
    }
    configuration.trust_pkcs12(&content, password).map_err(|reason| {
        Failure::refuse(format!(
            "kafka.ssl.truststore.location `{path}` cannot be used (wrong kafka.ssl.truststore.password?): {reason}. \
             Certificates in PEM always work: keytool -exportcert -rfc -keystore {path} -file ca.pem -alias …"
        ))
    })
}
