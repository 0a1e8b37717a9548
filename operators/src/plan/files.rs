//! Queries over files: what Spark refuses where they are written, one writer for each folder, and none that reads what it writes or
//! takes away what another one has yet to read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files::FORMATS;
use crate::files::whole::is_static;
use crate::job_error::{JobError, Location};
use crate::objects::Located;
use crate::plan::Query;
use crate::sinks::folder::folder;
use crate::sql::settings::{OutputMode, Settings};
use crate::table::{OptionValue, Table};

/// Refuses output modes that would have to change what is written.
pub(crate) fn append_only(
    table: &Table,
    settings: &Settings,
    at: Location,
) -> Result<(), JobError> {
    let mode = match settings.output_mode {
        OutputMode::Append => return Ok(()),
        OutputMode::Update => "Update",
        OutputMode::Complete => "Complete",
    };
    Err(JobError::new(
        settings.at("outputMode", at),
        format!(
            "Data source {} does not support {mode} output mode",
            table.connector
        ),
    )
    .help("a file that is written does not change: SET outputMode = 'append', with a WATERMARK where rows are aggregated"))
}

/// Refuses dead letters in files: what failed must be safe with its epoch, and would be hidden until its file is complete.
pub(crate) fn no_dead_letters(name: &str, at: Location) -> JobError {
    JobError::new(
        at,
        format!(
            "deadLetterTable: `{name}` is a folder of files, which takes no dead letters: name a Kafka topic"
        ),
    )
}

/// Refuses two queries that write one folder.
pub(crate) fn apart(queries: &[Query]) -> Result<(), JobError> {
    let writers: Vec<&Query> = queries
        .iter()
        .filter(|query| query.output_replaced().is_none() && query.writes_files())
        .collect();
    for (index, query) in writers.iter().enumerate() {
        let own = folder(query.output());
        let other = writers[..index]
            .iter()
            .find(|other| folder(other.output()) == own);
        if let Some(other) = other {
            return Err(JobError::new(
                query.at,
                format!(
                    "the queries `{}` and `{}` write the same folder, {}",
                    other.name,
                    query.name,
                    query.output().options.get("path").unwrap_or_default()
                ),
            )
            .help(
                "give each a table with its own path, or make one query of both with UNION ALL",
            ));
        }
    }
    Ok(())
}

/// The streams of files that a query reads itself, each with the folder or pattern of its path.
fn streams(query: &Query) -> impl Iterator<Item = (&Table, PathBuf)> {
    let tables = query
        .inputs()
        .filter(|(_, input)| input.replaced().is_none())
        .map(|(_, input)| input.table());
    let formats = |table: &&Table| FORMATS.iter().any(|format| format.name == table.connector);
    tables
        .filter(formats)
        .filter(|table| !is_static(table))
        .map(|table| (table, folder(table)))
}

/// Refuses a query that would read what it writes, through two tables over one folder.
pub(crate) fn fed(queries: &[Query]) -> Result<(), JobError> {
    for query in queries {
        if query.output_replaced().is_some() || !query.writes_files() {
            continue;
        }
        let own = folder(query.output());
        // Behind the folder patterns of names may stand.
        let read = |path: &Path| {
            path.strip_prefix(&own).is_ok_and(|below| {
                let mut names = below.components();
                names.all(|name| {
                    name.as_os_str()
                        .to_string_lossy()
                        .contains(['*', '?', '[', '{'])
                })
            })
        };
        if let Some((input, _)) = streams(query).find(|(_, path)| read(path)) {
            return Err(JobError::new(
                query.at,
                format!(
                    "the query writes the folder that `{}` is read from, {}: it would read its own output for ever",
                    input.name,
                    query.output().options.get("path").unwrap_or_default()
                ),
            )
            .help("give the output a folder of its own"));
        }
    }
    Ok(())
}

/// Where a table says that its files are removed or moved once they are read.
fn cleans(table: &Table) -> Option<&OptionValue> {
    let option = table.options.entry("cleanSource");
    option.filter(|entry| !entry.value.eq_ignore_ascii_case("off"))
}

/// Refuses files that one query removes, as soon as they are in a checkpoint of its own, while another one has yet to read them.
pub(crate) fn cleaned(queries: &[Query]) -> Result<(), JobError> {
    for (index, second) in queries.iter().enumerate() {
        for first in &queries[..index] {
            for (table, path) in streams(first) {
                let Some((other, _)) = streams(second).find(|(_, other)| *other == path) else {
                    continue;
                };
                let Some(entry) = cleans(table).or_else(|| cleans(other)) else {
                    continue;
                };
                return Err(JobError::new(
                    entry.at,
                    format!(
                        "the queries `{}` and `{}` read the same files, and cleanSource takes a file away as soon as one of them \
                         has it in a checkpoint: the other one would never read it",
                        first.name, second.name
                    ),
                )
                .help("leave cleanSource out, and let something else remove old files; or write one query"));
            }
        }
    }
    Ok(())
}

/// The file that is read or written, where it is one: that of a table `USING file`, or what stands in place of a table.
fn file_of<'t>(table: &'t Table, in_place: Option<&'t str>) -> Option<&'t str> {
    let own = || {
        let path = table.options.get("path");
        let path = path.filter(|_| table.connector == "file")?;
        Some(Located::here(path).unwrap_or(path))
    };
    in_place.or_else(own)
}

/// Refuses to write a file that is read: where it is begun anew, its content would be lost, and else the query would read its
/// own output for ever.
pub(crate) fn kept(queries: &[Query]) -> Result<(), JobError> {
    // Two paths may lead to one file. Pipes and devices are no matter: nothing lies in them.
    let identity = |path: &str| {
        let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((about.dev(), about.ino()))
    };
    let inputs = queries.iter().flat_map(Query::inputs);
    let read: Vec<_> = inputs
        .filter_map(|(_, input)| {
            let path = file_of(input.table(), input.replaced())?;
            Some((identity(path)?, path, &input.table().name))
        })
        .collect();
    for query in queries {
        for output in [Some(&query.output), query.dead_letters.as_ref()] {
            let Some(output) = output else { continue };
            let written = file_of(&output.table, output.written_to.as_deref()).and_then(identity);
            let lost = read.iter().find(|(read, ..)| Some(*read) == written);
            if let Some((_, path, input)) = lost {
                let output = &output.table.name;
                let message = format!(
                    "`{output}` would be written to the file that `{input}` is read from, {path}"
                );
                return Err(JobError::new(query.at, message)
                    .help("what is written would take the place of what is read"));
            }
        }
    }
    Ok(())
}
