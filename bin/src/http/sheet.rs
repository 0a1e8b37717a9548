//! What does not change while a job runs: its steps, tables and settings, without secrets. `/api/v1/settings`.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value};
use thalweg_operators::plan::{Looking, Query};
use thalweg_operators::table::{Options, Table};

use crate::http::Shared;

/// A job as it was started.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sheet {
    pub(crate) job: String,
    version: &'static str,
    /// The name of this process, where several share the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<String>,
    queries: Vec<QuerySheet>,
}

/// A query of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuerySheet {
    query: String,
    line: u32,
    steps: Vec<StepSheet>,
    inputs: Vec<TableSheet>,
    output: TableSheet,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<TableSheet>,
    models: Vec<String>,
    settings: Vec<SettingSheet>,
}

/// A step of its plan.
#[derive(Serialize)]
struct StepSheet {
    name: String,
    kind: &'static str,
    shown: String,
    /// The places of the steps that its rows go to; null is the output.
    to: Vec<Option<usize>>,
}

/// A table with its options.
#[derive(Serialize)]
struct TableSheet {
    table: String,
    connector: String,
    options: Map<String, Value>,
}

/// A setting in force.
#[derive(Serialize)]
struct SettingSheet {
    name: &'static str,
    value: String,
    /// `default`, `command line`, or the line of the job file.
    from: String,
}

impl Sheet {
    /// Writes down what a job is, before it is run.
    pub(crate) fn of(job: &str, member: Option<&str>, queries: &[Query]) -> Self {
        Self {
            job: job.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            member: member.map(str::to_owned),
            queries: queries.iter().map(query).collect(),
        }
    }
}

fn query(query: &Query) -> QuerySheet {
    let steps = query.drawn().into_iter().map(|step| StepSheet {
        name: step.name.to_string(),
        kind: step.kind,
        shown: step.shown,
        to: step.to,
    });
    let inputs = query.inputs().map(|(_, input)| table(input.table()));
    let statics = query.statics().into_iter().flat_map(Looking::inputs);
    let statics = statics.map(|input| table(input.table()));
    let in_force = query.settings.in_force.iter();
    let in_force = in_force.filter(|entry| !entry.value.is_empty());
    let settings = in_force.map(|entry| SettingSheet {
        name: entry.spec.name,
        value: query.hide(&entry.value),
        from: match entry.at {
            None => "default".to_owned(),
            Some(at) if at.line == 0 => "command line".to_owned(),
            Some(at) => format!("line {}", at.line),
        },
    });
    QuerySheet {
        query: query.name.clone(),
        line: query.at.line,
        steps: steps.collect(),
        inputs: inputs.chain(statics).collect(),
        output: table(query.output()),
        dead_letters: query.dead_letter_table().map(table),
        models: query.models.iter().map(|m| m.name().to_owned()).collect(),
        settings: settings.collect(),
    }
}

fn table(table: &Table) -> TableSheet {
    let options = table.options.iter();
    TableSheet {
        table: table.name.clone(),
        connector: table.connector.clone(),
        options: options
            .map(|entry| (entry.name.clone(), Options::shown(entry).into()))
            .collect(),
    }
}

/// `/api/v1/settings`.
pub(super) async fn show(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(&shared.sheet)
}
