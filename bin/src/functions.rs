//! The manual of the SQL functions.

use std::fmt::Write;
use std::sync::Arc;

use thalweg_operators::expr::functions::manual::{Entry, cost_with_over, manual as built_in};
use thalweg_operators::extensions::Extensions;

use crate::cli::FunctionsArgs;
use crate::console;
use crate::refusal::{End, Refusal};

/// `thalweg functions`.
///
/// # Errors
/// When no function is called so.
pub(crate) fn functions(
    args: &FunctionsArgs,
    extensions: &Arc<Extensions>,
) -> Result<End, Refusal> {
    let all_families = || {
        let own = extensions.manual();
        let own: Vec<Entry> = own.into_iter().map(entry).collect();
        let mut all = built_in();
        all.push(("functions of this program", own));
        all
    };
    let Some(name) = &args.name else {
        console::text(&list(all_families(), |_| true));
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
        console::text(&list(all_families(), part));
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

/// An own function, as the manual has those of the language.
fn entry((name, signature, about): (&'static str, &'static str, &'static str)) -> Entry {
    Entry {
        name,
        aliases: &[],
        signature,
        about,
        example: "",
        result: "",
    }
}

fn list(families: Vec<(&'static str, Vec<Entry>)>, wanted: impl Fn(&Entry) -> bool) -> String {
    let mut out = String::new();
    for (family, mut functions) in families {
        functions.retain(&wanted);
        if functions.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{family}");
        for function in &functions {
            let _ = writeln!(out, "  {}", function.signature);
            let _ = writeln!(out, "      {}", function.about);
            if !function.example.is_empty() {
                let _ = writeln!(out, "      {}", example(function));
            }
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
    if let Some(cost) = cost_with_over(function.name) {
        let _ = writeln!(out, "  with OVER: {cost}");
    }
    if !function.example.is_empty() {
        let _ = writeln!(out, "  example: {}", example(function));
    }
    out
}

fn example(function: &Entry) -> String {
    if function.result.is_empty() {
        function.example.to_owned()
    } else {
        format!("{} → {}", function.example, function.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_of_an_aggregate_says_what_it_costs_with_over() {
        let of = |name: &str| {
            let mut all = built_in().into_iter().flat_map(|(_, entries)| entries);
            manual(&all.find(|entry| entry.name == name).unwrap())
        };
        for (name, cost) in [
            ("sum", "O(log n) and the frame's n rows"),
            ("count_if", "O(log n) and the frame's n rows"),
            ("stddev_samp", "O(log n) and the frame's n rows"),
            ("count", "count(DISTINCT x) O(1)"),
            ("median", "with OVER: O(n) for a record: computed anew"),
            ("collect_list", "with OVER: O(n) for a record: the answer"),
            ("decayed_sum", "with OVER: O(1) for a record; three numbers"),
            ("lag", "with OVER: O(log n)"),
        ] {
            let text = of(name);
            assert!(text.contains(cost), "{text}");
        }
        assert!(!of("upper").contains("with OVER"));
    }
}
