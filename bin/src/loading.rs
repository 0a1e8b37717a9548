//! What is loaded aside while rows go on, noted in the flight recorder: versions of models and static tables.

use std::sync::Arc;

use thalweg_engine::recorder::Doing;
use thalweg_engine::status::QueryStatus;
use thalweg_operators::models::Model;
use thalweg_operators::transforms::Shelf;

/// Notes what a query's models and static tables load from now on.
pub(crate) fn record(models: &[Arc<Model>], shelves: &[Arc<Shelf>], status: &Arc<QueryStatus>) {
    for (about, model) in (0..).zip(models) {
        model.loading().add(noted(status, Doing::ModelLoad, about));
    }
    for (about, shelf) in (0..).zip(shelves) {
        shelf.reading().add(noted(status, Doing::TableLoad, about));
    }
}

fn noted(
    status: &Arc<QueryStatus>,
    doing: Doing,
    about: u64,
) -> impl Fn(bool) + Send + Sync + use<> {
    let status = Arc::clone(status);
    move |begins| {
        let recorder = &status.metrics().recorder;
        if begins {
            recorder.begin(doing, about);
        } else {
            recorder.end(doing, about);
        }
    }
}
