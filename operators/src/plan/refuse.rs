//! What SQL has and a stream without state has not: refused at its place, with the reason.

use sqlparser::ast::{Query, Select, SelectFlavor, SetOperator};

use crate::job_error::{JobError, Location};
use crate::sql::watermark;

/// What every clause without state yet says.
pub(crate) fn needs_state(at: Location, what: &str) -> JobError {
    JobError::new(
        at,
        format!("{what} needs state, which this version does not have yet"),
    )
}

/// A function over several rows.
pub(crate) fn over_rows(name: &str, at: Location) -> JobError {
    needs_state(at, &format!("`{name}` over several rows"))
}

/// EXCEPT, INTERSECT and MINUS of two sides, of which these are streams.
pub(super) fn set_operation(op: SetOperator, streams: [bool; 2], at: Location) -> JobError {
    let common = op == SetOperator::Intersect;
    let (exists, join) = match common {
        true => ("EXISTS", "LEFT SEMI JOIN"),
        false => ("NOT EXISTS", "LEFT ANTI JOIN"),
    };
    let later = |which: &str| JobError::new(at, format!("{op} {which} asks what may come later"));
    match streams {
        [true, true] => later("between two streams")
            .help(format!("write a {join} with the other side")),
        // What both have is the same from either side.
        [false, _] if !common => later("of a static table with a stream"),
        _ => JobError::new(
            at,
            format!("{op} takes static tables on both sides, and one of them is a stream"),
        )
        .help(format!(
            "write SELECT DISTINCT ... FROM the_stream s WHERE {exists} (SELECT * FROM the_table t WHERE t.id <=> s.id), or a {join}"
        )),
    }
}

pub(super) fn start_of_select(select: &Select, otherwise: Location) -> Location {
    let start = select.select_token.0.span.start;
    if start.line == 0 {
        otherwise
    } else {
        crate::sql::tokens::place(start)
    }
}

pub(super) fn refuse_clauses(query: &Query, at: Location) -> Result<(), JobError> {
    if query.fetch.is_some() {
        return Err(JobError::new(at, "FETCH is not part of the language").help("write LIMIT 10"));
    }
    if query
        .locks
        .iter()
        .any(|lock| watermark::of_lock(lock).is_none())
    {
        return Err(JobError::new(
            at,
            "FOR UPDATE and FOR SHARE have no meaning on a stream",
        ));
    }
    if !query.pipe_operators.is_empty() {
        return Err(
            JobError::new(at, "the |> of pipes is not part of the language")
                .help("write SELECT ... FROM (SELECT ...) WHERE ..."),
        );
    }
    if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
        return Err(JobError::new(
            at,
            "a clause after this SELECT is not part of the language",
        ));
    }
    Ok(())
}

pub(super) fn refuse_select(select: &Select, at: Location) -> Result<(), JobError> {
    if matches!(select.flavor, SelectFlavor::FromFirstNoSelect) {
        return Err(
            JobError::new(at, "a FROM that comes first has its SELECT behind it")
                .help("write FROM t SELECT a, b WHERE ..., or SELECT a, b FROM t WHERE ..."),
        );
    }
    let sorted = !select.sort_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty();
    if sorted {
        return Err(JobError::new(
            at,
            "SORT BY, CLUSTER BY and DISTRIBUTE BY have no meaning on a stream: rows are processed one by one",
        )
        .help("leave it out: the rows are the same"));
    }
    if select.into.is_some() {
        return Err(
            JobError::new(at, "SELECT ... INTO is not part of the language")
                .help("write INSERT INTO table SELECT ..."),
        );
    }
    let foreign = select.prewhere.is_some()
        || select.exclude.is_some()
        || select.value_table_mode.is_some()
        || select.select_modifiers.is_some()
        || !select.connect_by.is_empty()
        || !select.optimizer_hints.is_empty();
    if foreign {
        return Err(
            JobError::new(at, "a clause of this SELECT is not part of the language")
                .help("a SELECT has columns, FROM, LATERAL VIEW, WHERE, GROUP BY and HAVING"),
        );
    }
    Ok(())
}
