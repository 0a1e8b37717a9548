//! `/api/v1/log`: what is logged, changed while the job runs.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::http::access::Caller;
use crate::http::{audit, refused};
use crate::telemetry;

/// A change of the log: all of it, or one component.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// As `--log-level`.
    level: String,
    /// Of which component only, such as `thalweg_engine` or `kafka`.
    component: Option<String>,
}

fn answer(levels: &str) -> HttpResponse {
    let components: serde_json::Map<String, serde_json::Value> = levels
        .split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(component, level)| (component.to_owned(), level.into()))
        .collect();
    let level = levels.split(',').rfind(|part| !part.contains('='));
    HttpResponse::Ok().json(json!({
        "level": level.unwrap_or("off"), "components": components, "levels": levels,
    }))
}

/// What is logged now.
pub(super) async fn show() -> HttpResponse {
    match telemetry::levels() {
        Some(levels) => answer(&levels),
        None => refused(409, ELSEWHERE),
    }
}

const ELSEWHERE: &str = "this job runs in a program that keeps its own log";

/// Changes it until the job ends.
pub(super) async fn change(asked: web::Json<Asked>, caller: web::ReqData<Caller>) -> HttpResponse {
    let Some(before) = telemetry::levels() else {
        return refused(409, ELSEWHERE);
    };
    let wanted = match &asked.component {
        None => asked.level.trim().to_owned(),
        Some(component) => match with(&before, component, &asked.level) {
            Ok(wanted) => wanted,
            Err(why) => return refused(422, &why),
        },
    };
    if audited(&before) != audited(&wanted) {
        return refused(
            422,
            "what changes over HTTP is always logged: only --log-level audit=off at the start turns these lines off",
        );
    }
    match telemetry::set_levels(&wanted) {
        Ok(()) => {
            audit::note(&caller, "log", &before, &wanted);
            answer(&wanted)
        }
        Err(why) => refused(422, &why),
    }
}

/// What levels say of the audit log by its name.
fn audited(levels: &str) -> Option<&str> {
    let mut parts = levels.split(',').map(str::trim);
    parts.rfind(|part| part.split(['=', '[', ':']).next() == Some("audit"))
}

/// The levels with another one for a component.
fn with(levels: &str, component: &str, level: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    if component.is_empty() || !component.chars().all(plain) {
        return Err(
            "a component is a name such as thalweg_engine, thalweg_operators or kafka".to_owned(),
        );
    }
    if level.contains([',', '=']) {
        return Err("the level of a component is one word, such as debug".to_owned());
    }
    let own = format!("{component}=");
    let others = levels.split(',').filter(|part| !part.starts_with(&own));
    let mut all: Vec<&str> = others.collect();
    let own = own + level.trim();
    all.push(&own);
    Ok(all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_the_audit_log_are_seen_among_others() {
        assert_eq!(audited("info,kafka=debug"), None);
        assert_eq!(audited("info,audit=off"), Some("audit=off"));
        assert_eq!(audited("audit=info, audit=off"), Some("audit=off"));
        assert_eq!(audited("auditor=off"), None);
    }

    #[test]
    fn a_component_has_one_level_at_a_time() {
        let levels = with("info", "kafka", "debug").unwrap();
        assert_eq!(levels, "info,kafka=debug");
        assert_eq!(with(&levels, "kafka", "off").unwrap(), "info,kafka=off");
        assert!(with("info", "a b", "off").is_err());
        assert!(with("info", "kafka", "debug,info").is_err());
    }
}
