//! Who in a group is no process of this job: whoever else is a member is given partitions that the job then never reads.
//!
//! | the `client.id` of a member | it is |
//! | --- | --- |
//! | `thalweg/JOB`, or `CLIENT/thalweg/JOB` where the user names his clients | a process of that job |
//! | `thalweg` or `CLIENT` alone | a process of a release that did not say its job, or a static member that keeps what it said then |
//! | another one | no process of Thalweg |

use smol_str::SmolStr;
use thalweg_engine::error::Failure;

use super::group::{GroupView, MemberView};

const PRODUCT: &str = "thalweg";

/// This job, among the members of a group.
#[derive(Clone, Debug)]
pub(super) struct Kin {
    job: SmolStr,
    /// What the user calls his clients.
    client: Option<SmolStr>,
}

impl Kin {
    pub(super) fn new(job: &str, client: Option<&str>) -> Self {
        Self {
            job: job.into(),
            client: client.filter(|client| !client.is_empty()).map(SmolStr::new),
        }
    }

    /// What a process of this job calls itself.
    pub(super) fn client_id(&self) -> String {
        let named = format!("{PRODUCT}/{}", self.job);
        match &self.client {
            Some(client) => format!("{client}/{named}"),
            None => named,
        }
    }

    /// A member that is no process of this job, other than the one of this name, in words.
    pub(super) fn stranger(&self, view: &GroupView, except: Option<&str>) -> Option<String> {
        let mut others = view
            .members
            .iter()
            .filter(|(name, _)| except != Some(name.as_str()));
        others.find_map(|(name, member)| {
            let MemberView { client, host, .. } = member;
            let whose = match job_of(client) {
                Some(job) if job == self.job => return None,
                Some(job) => format!("a process of the job `{job}`"),
                None if client == PRODUCT || Some(client) == self.client.as_ref() => return None,
                None => "no process of this job".to_owned(),
            };
            Some(format!(
                "`{name}` (client.id `{client}`, at {}) is {whose}",
                host.trim_start_matches('/')
            ))
        })
    }

    /// That this job cannot join a group that has this stranger.
    pub(super) fn refusal(&self, group: &str, stranger: &str) -> Failure {
        Failure::refuse(format!(
            "the Kafka group `{group}` has a member that does not belong to the job `{}`: {stranger}. Partitions that it is given \
             would never be read by this job. Give the table another `kafka.group.id`, or the job another jobName; one that has ended \
             is a member until its session is over",
            self.job
        ))
    }
}

/// The job that a `client.id` says.
fn job_of(client: &str) -> Option<&str> {
    let (before, job) = client.rsplit_once('/')?;
    let said = before == PRODUCT
        || before
            .strip_suffix(PRODUCT)
            .is_some_and(|own| own.ends_with('/'));
    said.then_some(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(members: &[(&str, &str)]) -> GroupView {
        let member = |client: &str| MemberView {
            client: client.into(),
            host: "/10.0.0.7".into(),
            ..MemberView::default()
        };
        let members = members.iter();
        GroupView {
            stable: true,
            members: members
                .map(|(name, client)| ((*name).into(), member(client)))
                .collect(),
        }
    }

    #[test]
    fn processes_of_the_job_are_known_by_what_they_call_themselves() {
        let own = Kin::new("loyalty", None);
        let named = Kin::new("loyalty", Some("tills"));
        for kin in [&own, &named] {
            let all = [
                ("a", own.client_id()),
                ("b", named.client_id()),
                ("c", "thalweg".to_owned()),
            ];
            let all = all
                .each_ref()
                .map(|(name, client)| (*name, client.as_str()));
            assert_eq!(kin.stranger(&view(&all), None), None);
        }
        // One that has not been started again since the release that did not say its job.
        assert_eq!(named.stranger(&view(&[("a", "tills")]), None), None);
    }

    #[test]
    fn who_is_none_of_them_is_named_with_his_job_and_place() {
        let kin = Kin::new("loyalty", None);
        let said = |client: &str| kin.stranger(&view(&[("x", client)]), None).unwrap();
        assert_eq!(
            said("thalweg/orders"),
            "`x` (client.id `thalweg/orders`, at 10.0.0.7) is a process of the job `orders`"
        );
        assert!(said("tills/thalweg/orders").ends_with("a process of the job `orders`"));
        for client in ["tills", "", "x/loyalty", "notthalweg/loyalty", "rdkafka"] {
            assert!(said(client).ends_with("no process of this job"), "{client}");
        }
        assert_eq!(kin.stranger(&view(&[("x", "tills")]), Some("x")), None);
        let refused = kin.refusal("points", &said("thalweg/orders")).message;
        for word in [
            "`points`",
            "`loyalty`",
            "`orders`",
            "kafka.group.id",
            "jobName",
        ] {
            assert!(refused.contains(word), "{refused}");
        }
    }
}
