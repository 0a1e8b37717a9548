//! The manual of the SQL functions.

use std::fmt::Write;

use thalweg_operators::expr::functions::manual::{Entry, manual as all_families};

use crate::cli::FunctionsArgs;
use crate::console;
use crate::refusal::{End, Refusal};

/// `thalweg functions`.
///
/// # Errors
/// When no function is called so.
pub(crate) fn functions(args: &FunctionsArgs) -> Result<End, Refusal> {
    let Some(name) = &args.name else {
        console::text(&list(|_| true));
        return Ok(End::Clean);
    };
    let wanted = name.to_lowercase();
    let names = |function: &Entry| {
        std::iter::once(function.name)
            .chain(function.aliases.iter().copied())
            .collect::<Vec<_>>()
    };
    let all = || {
        all_families()
            .into_iter()
            .flat_map(|(_, functions)| functions)
    };
    if let Some(function) = all().find(|function| names(function).contains(&wanted.as_str())) {
        console::text(&manual(&function));
        return Ok(End::Clean);
    }
    let part = |function: &Entry| names(function).iter().any(|name| name.contains(&wanted));
    if all().any(|function| part(&function)) {
        console::text(&list(part));
        return Ok(End::Clean);
    }
    let near = thalweg_operators::job_error::JobError::new(
        thalweg_operators::job_error::Location::default(),
        String::new(),
    )
    .nearest(&wanted, all().flat_map(|function| names(&function)));
    let help = near
        .help
        .unwrap_or_else(|| "`thalweg functions` lists them all".to_owned());
    Err(Refusal::new(format!(
        "no function is called `{name}`: {help}"
    )))
}

fn list(wanted: impl Fn(&Entry) -> bool) -> String {
    let mut out = String::new();
    for (family, mut functions) in all_families() {
        functions.retain(&wanted);
        if functions.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{family}");
        for function in &functions {
            let _ = writeln!(out, "  {}", function.signature);
            let _ = writeln!(out, "      {}", function.about);
            let _ = writeln!(out, "      {}", example(function));
        }
        out.push('\n');
    }
    out
}

fn manual(function: &Entry) -> String {
    let mut out = format!("{}\n  {}\n", function.signature, function.about);
    if !function.aliases.is_empty() {
        let _ = writeln!(out, "  also: {}", function.aliases.join(", "));
    }
    let _ = writeln!(out, "  example: {}", example(function));
    out
}

fn example(function: &Entry) -> String {
    if function.result.is_empty() {
        function.example.to_owned()
    } else {
        format!("{} → {}", function.example, function.result)
    }
}
