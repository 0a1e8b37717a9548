//! From what a job declares to queries that can run: settings settled, tables verified, plans made.

use std::sync::Arc;

use crate::connectors::{Use, find};
use crate::expr::calendar::Zone;
use crate::job_error::{JobError, Location};
use crate::plan::from::unknown_table;
use crate::plan::lower::Lowering;
use crate::plan::node::{Declared, Node};
use crate::plan::optimize::optimize;
use crate::plan::partitions::Lanes;
use crate::plan::steps::steps;
use crate::plan::{
    self, Query, broken_records, checkpoints, exchange, files, join_settle, members, modes, output,
    partitions, read_back, times, twice,
};
use crate::sql::Job;
use crate::sql::job::{Draft, Reader};
use crate::sql::mentions::mentions;
use crate::sql::overrides;
use crate::sql::settings::{self, Given, OnError, Reach, Settings};
use crate::table::{Options, Table};

/// The `--set`s for all queries, and those for one with its name.
type Overridden = (Vec<Given>, Vec<(String, Given)>);
impl Reader<'_> {
    pub(super) fn finish(mut self) -> Result<Job, JobError> {
        let declared = self.catalog.tables.iter();
        overrides::known(self.overrides, declared.map(|declared| &declared.table))?;
        let last = self.drafts.last().map_or(Location::default(), |d| d.at);
        if let Some(unused) = self.given.iter().find(|given| given.at > last)
            && !self.drafts.is_empty()
        {
            let message = format!(
                "`{}` is for the queries below it, and none follows",
                unused.spec.name
            );
            return Err(JobError::new(unused.at, message));
        }
        let (for_all, for_one) = self.overridden()?;
        let name = for_all
            .iter()
            .chain(&self.given)
            .find(|given| given.spec.name == "jobName")
            .map(|given| given.value.clone());
        let drafts = std::mem::take(&mut self.drafts);
        let mut settled: Vec<(String, Settings)> = Vec::new();
        for draft in &drafts {
            settled.push(self.settle(draft, &for_all, &for_one)?);
        }
        self.distinct(&drafts, &settled)?;
        for (query, given) in &for_one {
            if !settled.iter().any(|(name, _)| name == query) {
                let error = JobError::new(
                    given.at,
                    format!(
                        "--set {query}.{}: no query is called `{query}`",
                        given.spec.name
                    ),
                );
                return Err(error.nearest(query, settled.iter().map(|(name, _)| name.as_str())));
            }
        }
        self.verify(&drafts, &settled)?;
        if drafts.is_empty() {
            return Err(JobError::new(Location::default(), "the job has no query")
                .help("add an INSERT INTO ... SELECT, or a SELECT for the console"));
        }
        for view in &self.catalog.views {
            Lowering::new(&self.catalog, true, Zone::UTC).view(view, view.name.at)?;
        }
        members::named(
            name.as_deref(),
            settled.iter().map(|(_, settings)| settings),
        )?;
        let queries = drafts
            .iter()
            .zip(settled)
            .map(|(draft, (name, settings))| self.plan(draft, name, settings))
            .collect::<Result<Vec<_>, _>>()?;
        overrides::used(self.overrides, &queries)?;
        files::apart(&queries)?;
        files::kept(&queries)?;
        files::fed(&queries)?;
        files::cleaned(&queries)?;
        let mut queries = queries;
        let hidden = self.substituter.hidden();
        for query in &mut queries {
            query.hidden.clone_from(&hidden);
        }
        let tables = self
            .catalog
            .tables
            .iter()
            .map(|declared| declared.table.clone())
            .collect();
        Ok(Job {
            name,
            tables,
            models: self.catalog.models,
            queries,
        })
    }

    /// The `--set`s: for all queries, and for one.
    fn overridden(&self) -> Result<Overridden, JobError> {
        let (mut for_all, mut for_one) = (Vec::new(), Vec::new());
        let nowhere = Location::default();
        for (name, value) in &self.overrides.set {
            let flag = |error: JobError| JobError {
                message: format!("--set {name}: {}", error.message),
                ..error
            };
            let (query, setting) = match name.rsplit_once('.') {
                Some((query, setting)) => (Some(query), setting),
                None => (None, name.as_str()),
            };
            let given = settings::given(setting, nowhere, value, nowhere).map_err(flag)?;
            match query {
                Some(_) if given.spec.reach == Reach::Job => {
                    return Err(flag(JobError::new(
                        nowhere,
                        format!("`{setting}` is the job's, not a query's"),
                    )));
                }
                None if given.spec.reach == Reach::Next && self.drafts.len() > 1 => {
                    return Err(flag(
                        JobError::new(nowhere, "the job has several queries")
                            .help(format!("write --set query.{setting}=...")),
                    ));
                }
                Some(query) => for_one.push((query.to_owned(), given)),
                None => for_all.push(given),
            }
        }
        Ok((for_all, for_one))
    }

    /// The name and settings of a query.
    fn settle(
        &self,
        draft: &Draft,
        for_all: &[Given],
        for_one: &[(String, Given)],
    ) -> Result<(String, Settings), JobError> {
        let output = draft
            .table
            .as_ref()
            .map_or("console", |table| table.text.as_str());
        let plain = settings::settle(draft.given.iter().chain(for_all));
        let name = plain
            .query_name
            .clone()
            .unwrap_or_else(|| output.to_owned());
        let mine = for_one
            .iter()
            .filter(|(query, _)| *query == name)
            .map(|(_, given)| given);
        let settings = settings::settle(draft.given.iter().chain(for_all).chain(mine));
        let name = settings.query_name.clone().unwrap_or(name);
        if !settings::is_name(&name) {
            return Err(JobError::new(
                draft.at,
                format!("`{name}` cannot be the name of a query, because it names a folder"),
            )
            .help("write SET queryName = '...' before it, with letters, digits, _, - and ."));
        }
        Ok((name, settings))
    }

    fn distinct(&self, drafts: &[Draft], settled: &[(String, Settings)]) -> Result<(), JobError> {
        for (index, (name, _)) in settled.iter().enumerate() {
            if let Some(first) = settled[..index]
                .iter()
                .position(|(other, _)| other.eq_ignore_ascii_case(name))
            {
                let (first, second) = (drafts[first].at, drafts[index].at);
                return Err(JobError::new(
                    second,
                    format!(
                        "two queries are called `{name}`: in line {} and in line {}",
                        first.line, second.line
                    ),
                )
                .help("write SET queryName = '...' before one of them"));
            }
        }
        Ok(())
    }

    /// Checks every table's options for what the queries do with it.
    fn verify(&self, drafts: &[Draft], settled: &[(String, Settings)]) -> Result<(), JobError> {
        let mut read: Vec<String> = Vec::new();
        for draft in drafts {
            mentions(&draft.query.query, &mut read);
        }
        for view in &self.catalog.views {
            mentions(&view.query.query, &mut read);
        }
        let mut written: Vec<&str> = drafts
            .iter()
            .filter_map(|draft| draft.table.as_ref())
            .map(|name| name.text.as_str())
            .collect();
        written.extend(
            settled
                .iter()
                .filter_map(|(_, settings)| settings.dead_letter_table.as_deref()),
        );
        for declared in &self.catalog.tables {
            let name = &declared.table.name;
            let used = Use {
                read: read.iter().any(|other| other.eq_ignore_ascii_case(name)),
                written: written.iter().any(|other| other.eq_ignore_ascii_case(name)),
            };
            declared.connector.verify(&declared.table, used)?;
            let files = declared
                .connector
                .output
                .is_some_and(|output| output.files.is_some());
            if !declared.table.partitioned_by.is_empty() && used.written && !used.read && !files {
                return Err(JobError::new(
                    declared.table.at,
                    format!("PARTITIONED BY says how a topic that is read is partitioned; no query reads `{name}`"),
                )
                .help("what is written goes where the option key says"));
            }
            if let Some(watermark) = &declared.watermark
                && used.written
                && !used.read
            {
                let message =
                    format!("WATERMARK is for a table that is read; no query reads `{name}`");
                return Err(JobError::new(watermark.at, message));
            }
        }
        Ok(())
    }

    fn plan(&self, draft: &Draft, name: String, settings: Settings) -> Result<Query, JobError> {
        let output = self.output(draft)?;
        let Some(sink) = output.connector.output else {
            let at = draft.table.as_ref().map_or(draft.at, |table| table.at);
            return Err(JobError::new(
                at,
                format!(
                    "table `{}` cannot be written: connector {} is an input",
                    output.table.name, output.table.connector
                ),
            ));
        };
        let lowering = Lowering::new(&self.catalog, settings.ansi, settings.time_zone)
            .with_frame_step(settings.frame_step)
            .with_deadline(&settings);
        let relation = lowering.query(&draft.query)?;
        let at = draft.query.at;
        let (node, schema) = output::assign(&lowering, relation, &output, &draft.columns, at)?;
        (sink.check)(&output.table, &schema).map_err(|error| {
            if error.at.line == 0 {
                JobError { at, ..error }
            } else {
                error
            }
        })?;
        if sink.files.is_some() {
            files::append_only(&output.table, &settings, draft.at)?;
        }
        let node = join_settle::settle(node, &settings, at)?;
        let mut node = optimize(modes::settle(node, &settings, at)?);
        hide(&mut node, &self.substituter.hidden());
        let lanes = partitions::lanes(&node);
        let mut timed = Vec::new();
        times::inputs_with_time(&node, false, &mut timed);
        let rekeys = settings.through_topic && matches!(lanes, Lanes::Gathered(_));
        if rekeys && !replaced(&output, &node) {
            node = exchange::cut(node, &settings, &timed, at)?;
        }
        let steps = steps(twice::merge(node));
        let inputs: Vec<&Declared> = steps
            .iter()
            .filter_map(|step| match &step.kind {
                plan::StepKind::Source(input) => Some(input.declared.as_ref()),
                _ => None,
            })
            .collect();
        distinct_inputs(&inputs, at)?;
        let dead_letters = self.dead_letters(draft, &settings, &inputs)?;
        if draft.table.is_some()
            && inputs
                .iter()
                .any(|input| input.table.name == output.table.name)
        {
            return Err(JobError::new(
                draft.at,
                format!(
                    "the query reads and writes table `{}`: it would read its own output for ever",
                    output.table.name
                ),
            ));
        }
        let replaced =
            output.written_to.is_some() || inputs.iter().any(|input| input.read_from.is_some());
        let temporary = replaced || (sink.passing && settings.checkpoint_location.is_none());
        if rekeys && !replaced {
            exchange::check(&settings, temporary, sink.gathers_intervals, at)?;
        }
        if !temporary && settings.checkpoint_location.is_none() {
            return Err(JobError::new(
                draft.at,
                format!(
                    "checkpointLocation must be specified: the output `{}` outlives the process",
                    output.table.name
                ),
            )
            .help("write SET checkpointLocation = './checkpoints' before the query"));
        }
        let query = Query {
            name,
            at: draft.at,
            settings,
            steps,
            temporary,
            output,
            schema,
            own_sink: None,
            dead_letters,
            hidden: Vec::new(),
            lanes,
            models: lowering.models.used.lock().clone(),
            timed: timed
                .into_iter()
                .filter(|(_, timed)| *timed)
                .map(|(name, _)| name)
                .collect(),
        };
        broken_records::check(&query)?;
        read_back::check(&query)?;
        members::check(&query)?;
        checkpoints::check(&query)?;
        Ok(query)
    }

    /// The table that a query writes; the console for a SELECT alone.
    fn output(&self, draft: &Draft) -> Result<Arc<Declared>, JobError> {
        let Some(name) = &draft.table else {
            let table = Table {
                name: "console".to_owned(),
                at: draft.at,
                connector: "console".to_owned(),
                columns: None,
                primary_key: Vec::new(),
                partitioned_by: Vec::new(),
                options: Options::default(),
            };
            let connector = *find(self.connectors, &table, draft.at)?;
            return Ok(Arc::new(Declared {
                table,
                connector,
                watermark: None,
                read_from: None,
                written_to: None,
            }));
        };
        if let Some(declared) = self.catalog.table(&name.text) {
            return Ok(declared.clone());
        }
        if self.catalog.view(&name.text).is_some() {
            return Err(JobError::new(
                name.at,
                format!("`{}` is a view, which cannot be written", name.text),
            ));
        }
        let known = self
            .catalog
            .tables
            .iter()
            .map(|declared| declared.table.name.as_str());
        Err(unknown_table(
            JobError::new(name.at, format!("unknown table `{}`", name.text)),
            &name.text,
            &known.collect::<Vec<_>>(),
        ))
    }

    fn dead_letters(
        &self,
        draft: &Draft,
        settings: &Settings,
        inputs: &[&Declared],
    ) -> Result<Option<Arc<Declared>>, JobError> {
        let at = settings.at("deadLetterTable", settings.at("onError", draft.at));
        let name = match (settings.on_error, &settings.dead_letter_table) {
            (OnError::DeadLetter, Some(name)) => name,
            (OnError::DeadLetter, None) => {
                return Err(
                    JobError::new(at, "onError = 'deadLetter' needs deadLetterTable")
                        .help("write SET deadLetterTable = 'name' with the name of a table"),
                );
            }
            // The command line may switch dead letters off for once.
            (_, Some(_)) if settings.at("onError", draft.at).line != 0 => {
                return Err(JobError::new(
                    at,
                    "deadLetterTable has no effect without onError = 'deadLetter'",
                ));
            }
            _ => return Ok(None),
        };
        let Some(declared) = self.catalog.table(name) else {
            let known = self
                .catalog
                .tables
                .iter()
                .map(|declared| declared.table.name.as_str());
            return Err(
                JobError::new(at, format!("deadLetterTable: unknown table `{name}`"))
                    .nearest(name, known),
            );
        };
        let table = &declared.table;
        let Some(sink) = declared.connector.output else {
            return Err(JobError::new(
                at,
                format!(
                    "deadLetterTable: table `{name}` cannot be written: connector {} is an input",
                    table.connector
                ),
            ));
        };
        if inputs.iter().any(|input| input.table.name == table.name) {
            return Err(JobError::new(
                at,
                format!(
                    "deadLetterTable: the query reads table `{name}`, it would get its dead letters back"
                ),
            ));
        }
        if table.columns.is_some() {
            return Err(JobError::new(
                table.at,
                format!(
                    "table `{name}` takes dead letters, whose columns are key, value and headers"
                ),
            )
            .help("remove its columns"));
        }
        if table.connector == "kafka" && table.options.get("format").is_some() {
            return Err(JobError::new(
                table.options.at("format", table.at),
                format!("table `{name}` takes dead letters, which are written as they were"),
            )
            .help("remove its format"));
        }
        if sink.files.is_some() {
            return Err(files::no_dead_letters(name, at));
        }
        (sink.check)(table, &plan::dead_letter_schema())?;
        Ok(Some(declared.clone()))
    }
}

/// Whether the command line put files in the place of tables: such a run leaves nothing behind, a topic neither.
fn replaced(output: &Declared, node: &Node) -> bool {
    let here = matches!(node, Node::Source { input, .. } if input.read_from.is_some());
    output.written_to.is_some() || here || node.below().any(|node| replaced(output, node))
}

/// Refuses two tables of one query that read the same thing: there is one position of it for a query.
fn distinct_inputs(inputs: &[&Declared], at: Location) -> Result<(), JobError> {
    let reads = |declared: &Declared| -> Vec<String> {
        if declared.connector.name == "kinesis" {
            return crate::kinesis::read_by(&declared.table)
                .into_iter()
                .collect();
        }
        let what = declared
            .connector
            .input
            .and_then(|input| input.identity.first());
        let value = what.and_then(|option| declared.table.options.get(option));
        value.map_or_else(Vec::new, |value| {
            value.split(',').map(|one| one.trim().to_owned()).collect()
        })
    };
    for (index, second) in inputs.iter().enumerate() {
        let what = match second.connector.name {
            "kafka" => "topic",
            "kinesis" => "stream",
            _ => continue,
        };
        if second.read_from.is_some() {
            continue;
        }
        let theirs = reads(second);
        for first in inputs[..index].iter().filter(|first| {
            first.connector.name == second.connector.name && first.read_from.is_none()
        }) {
            if let Some(shared) = reads(first).iter().find(|one| theirs.contains(one)) {
                let (a, b) = (&first.table.name, &second.table.name);
                let message =
                    format!("tables `{a}` and `{b}` of one query read the same {what} `{shared}`");
                return Err(JobError::new(at, message)
                    .help("read it once, or write two queries: each has its own positions"));
            }
        }
    }
    Ok(())
}

/// Takes what `${...}` put in out of the texts that state is known by.
fn hide(node: &mut Node, hidden: &[(String, String)]) {
    let clean = |text: &str| {
        let texts = hidden.iter().filter(|(value, _)| !value.is_empty());
        texts.fold(text.to_owned(), |text, (value, name)| {
            text.replace(&format!("'{value}'"), &format!("'{name}'"))
        })
    };
    if let Node::Aggregate { group, .. } = node {
        for key in &mut group.keys {
            *key = clean(key).into();
        }
        for aggregate in &mut group.grouping.aggregates {
            aggregate.identity = clean(&aggregate.identity);
        }
    }
    if let Node::Over { windows, .. } = node {
        for name in windows.keys.iter_mut().chain(&mut windows.order) {
            *name = clean(name).into();
        }
        for function in &mut windows.over.functions {
            function.identity = clean(&function.identity);
            if let Some(argument) = &mut function.argument {
                argument.identity = clean(&argument.identity);
            }
        }
    }
    node.below_mut().for_each(|node| hide(node, hidden));
}
