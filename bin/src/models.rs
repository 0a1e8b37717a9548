//! Models of a job: opened before its queries, tried out by `check`, shown and changed over HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::Registry;
use serde::Deserialize;
use serde_json::json;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::status::QueryStatus;
use thalweg_operators::models::{
    Agreement, Answer, Home, MODEL_BYTES_MAX, Model, Opening, Report, Standing, TryOut,
    file_content, version_of,
};
use thalweg_operators::sql::Job;

use crate::console;
use crate::http::{Caller, audit, refused};
use crate::job_file::Loaded;
use crate::model_metrics::ModelMetrics;
use crate::place::Place;
use crate::refusal::Refusal;
use crate::telemetry;

/// How long an answer waits until a checkpoint names the version.
const COMMIT_MAX: Duration = Duration::from_secs(10);
/// How often it looks.
const COMMIT_LOOK: Duration = Duration::from_millis(20);

/// What is known of the models that queries use, before they are opened.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: BTreeMap<String, Room>,
}

struct Room {
    model: Arc<Model>,
    /// As the newest checkpoint of each query names it.
    standing: Vec<Standing>,
    homes: Vec<Home>,
    /// Where several processes share the job.
    agreement: Option<Agreement>,
}

impl Rooms {
    /// A query uses these models, and its checkpoints lie here, for this process or for several that share the job.
    ///
    /// # Errors
    /// When those that share it cannot be told of a version.
    pub(crate) fn add(
        &mut self,
        used: &[Arc<Model>],
        place: &Place,
        log: &CheckpointLog,
        temporary: bool,
        shared: bool,
    ) -> Result<(), Refusal> {
        for model in used {
            let room = self
                .rooms
                .entry(model.name().to_owned())
                .or_insert_with(|| Room {
                    model: Arc::clone(model),
                    standing: Vec::new(),
                    homes: Vec::new(),
                    agreement: None,
                });
            if temporary {
                continue;
            }
            room.homes.push(place.home(model.name()));
            if shared && room.agreement.is_none() {
                room.agreement = Some(place.agreement(model.name())?);
            }
            // A checkpoint that cannot be read is reported by the query itself.
            let newest = log.newest().ok().flatten();
            let named = newest.and_then(|newest| newest.beside.get(model.name()).cloned());
            room.standing
                .extend(named.and_then(|named| serde_json::from_value(named).ok()));
        }
        Ok(())
    }

    /// Opens them all, for so many threads that score.
    ///
    /// # Errors
    /// For the first that cannot be used.
    pub(crate) fn open(
        self,
        threads: usize,
        registry: &Registry,
    ) -> Result<Vec<Arc<Model>>, Refusal> {
        let mut models = Vec::new();
        for room in self.rooms.into_values() {
            room.model
                .open(Opening {
                    threads,
                    standing: Standing::newest(room.standing),
                    homes: room.homes,
                    agreement: room.agreement,
                    watched: true,
                    as_it_stood: false,
                })
                .map_err(|failure| Refusal::new(failure.message))?;
            models.push(room.model);
        }
        ModelMetrics::show(&models, registry);
        Ok(models)
    }
}

/// The clock of a rehearsal: it stands at the first call, so that nothing takes time.
fn still() -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    *FIRST
}

/// Opens the models of a job that is rehearsed: nothing is watched, and no deadline passes.
///
/// # Errors
/// For the first that cannot be used.
pub(crate) fn open_still(job: &Job) -> Result<(), Refusal> {
    let mut used: Vec<&Arc<Model>> = Vec::new();
    for model in job.queries.iter().flat_map(|query| &query.models) {
        if !used.iter().any(|known| known.name() == model.name()) {
            used.push(model);
        }
    }
    let mut used = used.into_iter();
    let _ = still();
    used.try_for_each(|model| model.open_with(Opening::default(), still))
        .map_err(|failure| Refusal::new(failure.message))
}

/// Opens the models of a query that is replayed, as the checkpoint that it is replayed from names them: nothing is watched, and
/// no deadline passes. Gives what is not as it was, for the reader.
///
/// # Errors
/// For the first that cannot be used.
pub(crate) fn open_as_they_stood(
    used: &[Arc<Model>],
    beside: &BTreeMap<SmolStr, serde_json::Value>,
    place: Option<&Place>,
) -> Result<Vec<String>, Refusal> {
    let _ = still();
    let mut notes = Vec::new();
    for model in used {
        let name = model.name();
        let named = beside.get(name).cloned();
        let standing: Option<Standing> = named.and_then(|named| serde_json::from_value(named).ok());
        let wanted = standing.as_ref().map(|standing| standing.active.clone());
        let homes = place.map(|place| place.home(name));
        let opening = Opening {
            standing,
            homes: homes.into_iter().collect(),
            as_it_stood: true,
            ..Opening::default()
        };
        model
            .open_with(opening, still)
            .map_err(|failure| Refusal::new(failure.message))?;
        let found = model.standing().map(|standing| standing.active);
        notes.extend(match (found, wanted) {
            (Some(found), Some(wanted)) if found.hash == wanted.hash => Some(format!(
                "the model `{name}` scored here with the version {}, which the checkpoint names",
                found.version
            )),
            (Some(found), _) => Some(format!(
                "the model `{name}` scored here with the version {} of the file that lies there now: the one of that time is \
                 not known or not kept",
                found.version
            )),
            (None, _) => None,
        });
    }
    Ok(notes)
}

/// Tries the models of a job out, and says so where that cannot be done here. Whether all can be used.
pub(crate) fn try_out(loaded: &Loaded) -> bool {
    let mut well = true;
    for model in &loaded.job.models {
        let name = model.name();
        match model.try_out() {
            Ok(()) => console::line(&format!("\nmodel {name}: runs")),
            Err(TryOut::NoRuntime(why)) => {
                console::line(&format!(
                    "\nmodel {name}: not run, its names and types alone are checked: {why}"
                ));
            }
            Err(TryOut::Refused(why)) => {
                well = false;
                telemetry::fatal(&format!("model {name}: {why}"));
            }
        }
    }
    well
}

/// The models that HTTP shows and changes.
pub(crate) struct Served {
    models: Vec<Arc<Model>>,
    from_files_only: bool,
    users: Vec<User>,
}

/// A query with the models that it uses.
#[derive(Clone)]
pub(crate) struct User {
    /// The query.
    pub(crate) query: Arc<QueryStatus>,
    /// Its models.
    pub(crate) models: Vec<Arc<Model>>,
}

impl User {
    /// Whether a checkpoint names this version, and was made since it came into force: an older one may name it too.
    fn names(&self, standing: &Standing, model: &str) -> bool {
        let newest = self.query.newest();
        let named = newest.and_then(|newest| newest.beside.get(model).cloned());
        let named: Option<Standing> = named.and_then(|named| serde_json::from_value(named).ok());
        named.is_some_and(|named| named.active == standing.active && named.since >= standing.since)
    }
}

impl Served {
    /// These models; what is posted is refused where versions come `from_files_only`.
    pub(crate) fn new(models: Vec<Arc<Model>>, from_files_only: bool, users: Vec<User>) -> Self {
        Self {
            models,
            from_files_only,
            users,
        }
    }

    /// All of them, as they are shown.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.models.iter().map(|model| model.report()).collect()
    }

    fn find(&self, name: &str) -> Option<Arc<Model>> {
        let mut models = self.models.iter();
        let found = models.find(|model| model.name().eq_ignore_ascii_case(name));
        found.cloned()
    }

    fn unknown(&self, name: &str) -> HttpResponse {
        let names: Vec<&str> = self.models.iter().map(|model| model.name()).collect();
        let known = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        refused(404, &format!("no model `{name}`; the job has {known}"))
    }

    /// What is answered where versions come from files alone.
    fn only_files(&self) -> Option<HttpResponse> {
        let why = "the job says modelSource = 'file': put the file in place";
        self.from_files_only.then(|| refused(403, why))
    }

    /// Whether the newest checkpoint of each query that uses the model names this version.
    fn committed(&self, model: &Model, standing: &Standing) -> bool {
        let uses = |user: &&User| user.models.iter().any(|one| one.name() == model.name());
        let mut users = self.users.iter().filter(uses);
        users.all(|user| user.names(standing, model.name()))
    }

    async fn answer(&self, model: &Model, answer: Answer) -> HttpResponse {
        let standing = match answer {
            Ok(standing) => standing,
            Err(why) => return refused(422, &why),
        };
        let until = Instant::now() + COMMIT_MAX;
        while !self.committed(model, &standing) && Instant::now() < until {
            actix::clock::sleep(COMMIT_LOOK).await;
        }
        let committed = self.committed(model, &standing);
        HttpResponse::Ok().json(json!({
            "model": model.name(), "active": standing.active, "previous": standing.previous, "committed": committed,
        }))
    }
}

/// All models.
pub(crate) async fn list(served: web::Data<Served>) -> HttpResponse {
    HttpResponse::Ok().json(served.reports())
}

/// One model.
pub(crate) async fn one(served: web::Data<Served>, name: web::Path<String>) -> HttpResponse {
    match served.find(&name) {
        Some(model) => HttpResponse::Ok().json(model.report()),
        None => served.unknown(&name),
    }
}

/// Largest body of a request: a model may be posted that could be read from a file.
pub(crate) fn body_bytes_max() -> usize {
    usize::try_from(MODEL_BYTES_MAX).unwrap_or(usize::MAX)
}

/// A file on the machine of the job.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOf {
    path: PathBuf,
    version: Option<String>,
}

/// What may stand behind `?`.
#[derive(Deserialize)]
pub(crate) struct Named {
    version: Option<String>,
}

/// What is answered where the body cannot be taken.
fn unread(error: &actix_web::Error) -> HttpResponse {
    match error.as_response_error().status_code() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let why = format!("a model has at most {} MiB", body_bytes_max() >> 20);
            refused(413, &why)
        }
        status => refused(
            status.as_u16(),
            &format!("the request cannot be read: {error}"),
        ),
    }
}

/// Another version of a model: its bytes, or a file on this machine.
pub(crate) async fn post(
    served: web::Data<Served>,
    name: web::Path<String>,
    named: web::Query<Named>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    caller: web::ReqData<Caller>,
) -> HttpResponse {
    let body = match body {
        Ok(body) => body,
        Err(error) => return unread(&error),
    };
    let Some(model) = served.find(&name) else {
        return served.unknown(&name);
    };
    if let Some(refusal) = served.only_files() {
        return refusal;
    }
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned());
    let (bytes, version) = match kind.as_deref() {
        Some("application/octet-stream") => (Ok(body.to_vec()), named.into_inner().version),
        Some("application/json") => match serde_json::from_slice::<FileOf>(&body) {
            Ok(file) => {
                let stem = file
                    .path
                    .file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned());
                let read = web::block(move || file_content(&file.path)).await;
                let read = read.unwrap_or_else(|error| Err(error.to_string()));
                let said = read.as_ref().ok().and_then(|bytes| version_of(bytes));
                (read, file.version.or(said).or(stem))
            }
            Err(error) => return refused(400, &format!("expected {{\"path\": \"...\"}}: {error}")),
        },
        // A page in a browser cannot send these without being asked for leave, so it cannot change a model here.
        _ => {
            return refused(
                415,
                "send the bytes of the model as Content-Type: application/octet-stream, or {\"path\": \"...\"} as \
                 application/json",
            );
        }
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(why) => return refused(422, &why),
    };
    if bytes.is_empty() {
        return refused(
            422,
            "what was sent is empty: the bytes of a model are expected",
        );
    }
    let (asked, before) = (Arc::clone(&model), active(&model));
    let answer = web::block(move || asked.post(version, bytes)).await;
    let answer = answer.unwrap_or_else(|error| Err(error.to_string()));
    audited(&caller, &model, &before, &answer);
    served.answer(&model, answer).await
}

/// The version in force and its hash.
fn active(model: &Model) -> String {
    let tag = model.standing().map(|standing| standing.active);
    tag.map_or_else(
        || "none".to_owned(),
        |tag| format!("{} ({})", tag.version, tag.hash),
    )
}

fn audited(caller: &Caller, model: &Model, before: &str, answer: &Answer) {
    let what = format!("model {}", model.name());
    match answer {
        Ok(_) => audit::note(caller, &what, &before, &active(model)),
        Err(why) => audit::in_vain(caller, &what, &before, why),
    }
}

/// The version before.
pub(crate) async fn rollback(
    served: web::Data<Served>,
    name: web::Path<String>,
    caller: web::ReqData<Caller>,
) -> HttpResponse {
    let Some(model) = served.find(&name) else {
        return served.unknown(&name);
    };
    if let Some(refusal) = served.only_files() {
        return refusal;
    }
    let (asked, before) = (Arc::clone(&model), active(&model));
    let answer = web::block(move || asked.roll_back()).await;
    let answer = answer.unwrap_or_else(|error| Err(error.to_string()));
    audited(&caller, &model, &before, &answer);
    served.answer(&model, answer).await
}
