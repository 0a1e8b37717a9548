//! A block of docs/rust.md, as it stands there.

use super::own_function::haversine;

fn main() {
    let mut own = thalweg::Extensions::default();
    own.add_function(haversine()).expect("a free name");
    thalweg::command_line(own)
}

pub(crate) const MAIN: fn() = main;
