//! What is measured: two topics and a command between them.

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Failure, Result};
use crate::topics::Topics;

/// The two topics.
#[derive(Args, Clone, Debug)]
pub(crate) struct TopicArgs {
    /// Topic that invoices are sent to; made when it is missing
    #[arg(long, default_value = "loadtest-in")]
    pub(crate) input: String,
    /// Topic that results are read from; made when it is missing
    #[arg(long, default_value = "loadtest-out")]
    pub(crate) output: String,
    /// Partitions of a topic that is made
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) partitions: u16,
    /// Partitions of the output topic, if it is made [default: as --partitions]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) output_partitions: Option<u16>,
}

impl TopicArgs {
    /// Makes what is missing and returns the partitions of input and output.
    pub(crate) fn ensure(&self, topics: &Topics) -> Result<(usize, usize)> {
        let ensure = |name: &str, partitions: u16| match topics.partitions(name) {
            Ok(found) => Ok(found),
            Err(_) => topics
                .create(name, usize::from(partitions))
                .map(|()| usize::from(partitions)),
        };
        Ok((
            ensure(&self.input, self.partitions)?,
            ensure(
                &self.output,
                self.output_partitions.unwrap_or(self.partitions),
            )?,
        ))
    }
}

/// A command line with places for what changes from run to run.
#[derive(Clone, Debug)]
pub(crate) struct Template(pub(crate) String);

/// What goes into the places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// `{bootstrap}`
    pub(crate) bootstrap: &'a str,
    /// `{input}`
    pub(crate) input: &'a str,
    /// `{output}`
    pub(crate) output: &'a str,
    /// `{checkpoint}`: a folder for the command's own use, empty before its first start.
    pub(crate) checkpoint: &'a str,
}

impl Template {
    /// The command line.
    pub(crate) fn fill(&self, places: Places<'_>) -> String {
        self.0
            .replace("{bootstrap}", places.bootstrap)
            .replace("{input}", places.input)
            .replace("{output}", places.output)
            .replace("{checkpoint}", places.checkpoint)
    }
}

/// A temporary folder for logs and checkpoints. Kept, and named, when asked for.
pub(crate) struct Workplace {
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Workplace {
    /// Makes one; `kept` is a folder to use instead, which stays.
    pub(crate) fn new(kept: Option<&PathBuf>) -> Result<Self> {
        match kept {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|e| Failure::io(path.display(), &e))?;
                Ok(Workplace {
                    dir: None,
                    path: path.clone(),
                })
            }
            None => {
                let dir = tempfile::TempDir::with_prefix("thalweg-loadtest-")
                    .map_err(|e| Failure::io("no temporary folder", &e))?;
                Ok(Workplace {
                    path: dir.path().to_owned(),
                    dir: Some(dir),
                })
            }
        }
    }

    /// A file or folder in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir
            .as_ref()
            .map_or(self.path.as_path(), tempfile::TempDir::path)
            .join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_template_is_filled_wherever_it_stands() {
        let template = Template(
            "KAFKA={bootstrap} run {input} {output} --set checkpointLocation={checkpoint}/{input}"
                .into(),
        );
        let places = Places {
            bootstrap: "h:1",
            input: "a",
            output: "b",
            checkpoint: "/c",
        };
        assert_eq!(
            template.fill(places),
            "KAFKA=h:1 run a b --set checkpointLocation=/c/a"
        );
    }
}
