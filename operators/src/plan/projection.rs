//! A projection of a plan, and the operator that it becomes.

use crate::expr::parsed::Texts;
use crate::plan::node::Item;
use crate::transforms::{Cell, Project};

/// A projection.
pub struct Projection {
    pub(crate) items: Vec<Item>,
    /// How many columns the row below has.
    pub(crate) width: usize,
}

impl Projection {
    /// Its operator, for an output of this name.
    pub(super) fn operator(&self, output: &str) -> Project {
        let cells = |parts: &[Option<usize>]| {
            let items = self.items.iter().enumerate();
            let cells = items.map(|(number, item)| match parts.get(number) {
                Some(Some(place)) => {
                    let last = !parts[number + 1..].contains(&Some(*place));
                    Cell::Part(*place, last)
                }
                _ => cell(item, output),
            });
            cells.collect()
        };
        if self.lateral() {
            return Project::lateral(cells(&[]));
        }
        // One that must not be NULL is computed by itself.
        let items = self.items.iter();
        let (texts, parts) = Texts::of(items.map(|item| (!item.required).then_some(&item.typed)));
        Project::new(cells(&parts)).with_texts(texts)
    }

    /// Whether an item uses one before it.
    fn lateral(&self) -> bool {
        self.items.iter().any(|item| {
            item.typed
                .columns()
                .iter()
                .any(|place| *place >= self.width)
        })
    }
}

fn cell(item: &Item, output: &str) -> Cell {
    if item.required {
        let reason = format!(
            "column {} is NULL, but NOT NULL in table {output}",
            item.field.name
        );
        return Cell::Required(item.typed.compile(), reason.into());
    }
    match item.column() {
        Some(place) => Cell::Column(place),
        None => Cell::Computed(item.typed.compile()),
    }
}
