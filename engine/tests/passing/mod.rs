//! A plan without a step: what one input gives goes to one sink as it is.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

pub(crate) struct Passing {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) on_error: OnError,
}

impl Plan for Passing {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        Ok(Opened {
            inputs: vec![Input {
                name: "numbers".into(),
                entries: vec![Target::Writer],
                role: Role::default(),
                source: Arc::clone(&self.source),
            }],
            exchanges: Vec::new(),
            sink: Arc::clone(&self.sink),
            on_error: self.on_error.clone(),
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        Vec::new()
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        "passing".into()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}
