//! Leaving those that share a job: `POST /api/v1/leave`, and `thalweg leave`, which asks for it.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::cli::LeaveArgs;
use crate::console;
use crate::http::access::Caller;
use crate::http::client::Client;
use crate::http::{audit, refused};
use crate::pod::Pod;
use crate::refusal::{End, Refusal};
use crate::stop::Stop;

/// The way out of a shared job.
pub(crate) struct Exit {
    member: Option<String>,
    stop: Stop,
}

impl Exit {
    /// Of this process, which has a name where it shares its job.
    pub(crate) fn new(member: Option<String>, stop: &Stop) -> Self {
        Self {
            member,
            stop: stop.clone(),
        }
    }
}

/// The answer to a process that leaves.
#[derive(Serialize)]
struct Leaving<'m> {
    leaving: &'m str,
}

/// `POST /api/v1/leave`.
pub(crate) async fn asked(exit: web::Data<Exit>, caller: web::ReqData<Caller>) -> HttpResponse {
    let Some(member) = &exit.member else {
        return refused(
            409,
            "this process shares its job with nobody (SET assignment = 'group'): there is nobody to leave. SIGTERM ends it",
        );
    };
    audit::note(&caller, "member", member, &"leaves");
    exit.stop.leave();
    HttpResponse::Accepted().json(Leaving { leaving: member })
}

/// `thalweg leave`.
///
/// # Errors
/// When no process answers there, or it shares nothing; when the cluster cannot be asked.
pub(crate) fn leave(args: &LeaveArgs) -> Result<End, Refusal> {
    if args.if_scaled_down {
        let pod = Pod::here()?;
        if !pod.scaled_down()? {
            console::line(&format!("{} comes back: it is left alone", pod.name));
            return Ok(End::Clean);
        }
    }
    Client::new(&args.served.url, args.served.token_file.as_deref())?.post("/api/v1/leave")?;
    console::line("it leaves: the others take its partitions over");
    Ok(End::Clean)
}
