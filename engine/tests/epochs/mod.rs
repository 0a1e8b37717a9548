//! Checkpoints as stories of their log commit them.

use thalweg_engine::epoch::checkpoint::{Checkpoint, FORMAT, LaneCut, ObjectRef, PartitionCut};
use thalweg_engine::record::Position;

/// An epoch of one lane whose step `count` has these objects of state.
pub(crate) fn checkpoint(epoch: u64, objects: &[&str]) -> Checkpoint {
    Checkpoint {
        format: FORMAT,
        job: "loyalty".into(),
        query: "notification".into(),
        checkpoint: "c0ffee".into(),
        run: "r1".into(),
        epoch,
        committed_at: i64::try_from(epoch).unwrap() * 1_000_000,
        interval: None,
        rewound: false,
        plan: serde_json::json!({"inputs": ["invoices"]}),
        sources: Default::default(),
        beside: Default::default(),
        lanes: vec![LaneCut {
            lane: "invoices:invoices/0".into(),
            partitions: vec![PartitionCut {
                input: "invoices".into(),
                partition: "invoices/0".into(),
                position: Position::Number(310),
                watermark: None,
                seen: None,
                ended: false,
                start: None,
            }],
            writer: None,
            kept: Vec::new(),
            state: [(
                "count".into(),
                objects
                    .iter()
                    .map(|name| ObjectRef {
                        name: (*name).to_owned(),
                        bytes: 1,
                    })
                    .collect(),
            )]
            .into(),
        }],
    }
}
