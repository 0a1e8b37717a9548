//! This pod of a Kubernetes StatefulSet: whether it goes for good.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use serde::Deserialize;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::refusal::Refusal;

/// Where a pod finds what its service account may show.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long the cluster may take to answer: the pod's grace period runs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pod, and how its cluster is asked.
pub(crate) struct Pod {
    /// `NAME-ORDINAL`, as StatefulSets name them.
    pub(crate) name: String,
    cluster: String,
    account: PathBuf,
}

/// What is read of a StatefulSet.
#[derive(Deserialize)]
struct StatefulSet {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    replicas: Option<u64>,
    ordinals: Option<Ordinals>,
}

#[derive(Deserialize)]
struct Ordinals {
    #[serde(default)]
    start: u64,
}

impl Pod {
    /// The pod that this process runs in.
    ///
    /// # Errors
    /// Outside of a cluster.
    pub(crate) fn here() -> Result<Self, Refusal> {
        let outside = || {
            Refusal::new(
                "--if-scaled-down asks the Kubernetes cluster that this pod runs in, and KUBERNETES_SERVICE_HOST is not set: \
                 leave it out elsewhere",
            )
        };
        let host = env::var("KUBERNETES_SERVICE_HOST").map_err(|_| outside())?;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        let port = env::var("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".to_owned());
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(Self {
            name: name.trim().to_owned(),
            cluster: format!("https://{host}:{port}"),
            account: PathBuf::from(ACCOUNT),
        })
    }

    /// Whether its StatefulSet wants fewer pods than to have one of its number.
    ///
    /// # Errors
    /// When the cluster does not answer, or does not let this pod look.
    pub(crate) fn scaled_down(&self) -> Result<bool, Refusal> {
        let (set, ordinal) = numbered(&self.name).ok_or_else(|| {
            Refusal::new(format!(
                "`{}` is not the name of a StatefulSet's pod, which ends with its number",
                self.name
            ))
        })?;
        let namespace = read(&self.account.join("namespace"))?;
        let url = format!(
            "{}/apis/apps/v1/namespaces/{}/statefulsets/{set}",
            self.cluster,
            namespace.trim()
        );
        let refused = |why: String| {
            Refusal::new(format!(
                "the cluster does not say how many pods `{set}` is to have ({url}): {why}. The pod's service account must be \
                 allowed to `get` the resource `statefulsets` of the group `apps`"
            ))
        };
        let token = read(&self.account.join("token"))?;
        let mut answer = self
            .agent()?
            .get(&url)
            .header("Authorization", format!("Bearer {}", token.trim()))
            .call()
            .map_err(|error| refused(error.to_string()))?;
        let said = answer.body_mut().read_to_string();
        let said = said.map_err(|error| refused(error.to_string()))?;
        let set: StatefulSet =
            serde_json::from_str(&said).map_err(|error| refused(error.to_string()))?;
        Ok(!wanted(&set.spec, ordinal))
    }

    fn agent(&self) -> Result<ureq::Agent, Refusal> {
        let pem = read(&self.account.join("ca.crt"))?;
        let roots = parse_pem(pem.as_bytes())
            .filter_map(Result::ok)
            .filter_map(|item| match item {
                ureq::tls::PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect::<Vec<_>>();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(RootCerts::from(roots))
            .build();
        Ok(ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .tls_config(tls)
            .build()
            .into())
    }
}

fn read(path: &Path) -> Result<String, Refusal> {
    fs::read_to_string(path).map_err(|error| {
        Refusal::new(format!(
            "{} cannot be read: {error}. Does the pod have a service account (automountServiceAccountToken)?",
            path.display()
        ))
    })
}

/// The name of a StatefulSet and the number of its pod.
fn numbered(pod: &str) -> Option<(&str, u64)> {
    let (set, ordinal) = pod.rsplit_once('-')?;
    Some((set, ordinal.parse().ok()?))
}

/// Whether a set wants a pod of this number.
fn wanted(spec: &Spec, ordinal: u64) -> bool {
    let start = spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start);
    let replicas = spec.replicas.unwrap_or(1);
    (start..start.saturating_add(replicas)).contains(&ordinal)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_pod_whose_number_is_not_below_the_replicas_goes_for_good() {
        let spec = |text: &str| serde_json::from_str::<StatefulSet>(text).unwrap().spec;
        let three = spec(r#"{"spec":{"replicas":3,"serviceName":"thalweg"}}"#);
        assert!(wanted(&three, 2));
        assert!(!wanted(&three, 3));
        let later = spec(r#"{"spec":{"replicas":2,"ordinals":{"start":5}}}"#);
        assert!(wanted(&later, 6) && !wanted(&later, 7) && !wanted(&later, 4));
        assert!(!wanted(&spec(r#"{"spec":{"replicas":0}}"#), 0));
        assert_eq!(numbered("thalweg-many-12"), Some(("thalweg-many", 12)));
        assert_eq!(numbered("laptop"), None);
    }

    #[test]
    fn the_cluster_is_asked_with_the_pods_account() {
        let account = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("namespace", "streams"),
            ("token", "secret\n"),
            ("ca.crt", ""),
        ] {
            fs::write(account.path().join(name), text).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pod = Pod {
            name: "thalweg-2".to_owned(),
            cluster: format!("http://{}", listener.local_addr().unwrap()),
            account: account.path().to_owned(),
        };
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..count]);
            }
            let body = r#"{"kind":"StatefulSet","spec":{"replicas":2}}"#;
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
            String::from_utf8(request).unwrap()
        });
        assert!(pod.scaled_down().unwrap());
        let asked = asked.join().unwrap();
        assert!(
            asked.starts_with(
                "GET /apis/apps/v1/namespaces/streams/statefulsets/thalweg HTTP/1.1\r\n"
            ),
            "{asked}"
        );
        assert!(
            asked
                .to_lowercase()
                .contains("authorization: bearer secret\r\n"),
            "{asked}"
        );
    }
}
