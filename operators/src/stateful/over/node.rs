//! The nodes of the tree: rows go in and out, partial aggregates are made and forgotten.

use thalweg_engine::row::Value;

use crate::stateful::fetch::fetch_all;
use crate::stateful::over::cell::Columns;
use crate::stateful::over::fold::Fold;
use crate::stateful::over::leaf::{Leaf, ROWS_MAX};
use crate::stateful::over::tree::{Parts, PartsMut, Shape};

/// How many children a node has at most.
pub(super) const CHILDREN_MAX: usize = if cfg!(test) { 4 } else { 16 };
/// The label of the first leaf, and the distance between neighbours.
pub(super) const FIRST: u64 = 1 << 63;
const GAP: u64 = 1 << 32;

/// A leaf, or a node over others.
#[derive(Debug)]
pub(super) enum Node {
    Leaf(Leaf),
    Inner(Vec<Child>),
}

/// A node below another, and what is known of it.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) node: Node,
    rows: usize,
    pub(super) last: i64,
    /// Whether a leaf below differs from what was saved.
    dirty: bool,
    /// The aggregate of its rows.
    partial: Partial,
}

/// The aggregate of a subtree. It is worth its making only where rows are asked for more often than they change: at the second
/// question after a change.
#[derive(Debug)]
enum Partial {
    Changed,
    Asked,
    Made {
        words: Box<[u64]>,
        values: Box<[Value]>,
    },
}

/// A row on its way into the tree.
pub(super) struct Insertion<'a> {
    pub(super) row: Parts<'a>,
    pub(super) shape: &'a Shape,
    /// Two neighbours got the same label: there was no room between two.
    pub(super) clash: bool,
}

/// The surroundings of a node: whether a leaf stands before it, and the label of the leaf behind it.
type Between = (bool, Option<u64>);

impl Child {
    pub(super) fn new(node: Node, columns: &Columns) -> Self {
        let (rows, last, dirty) = match &node {
            Node::Leaf(leaf) => (leaf.rows(columns), leaf.last(columns), leaf.dirty),
            Node::Inner(children) => (
                children.iter().map(|child| child.rows).sum(),
                children.last().map_or(i64::MIN, |child| child.last),
                children.iter().any(|child| child.dirty),
            ),
        };
        Self {
            node,
            rows,
            last,
            dirty,
            partial: Partial::Changed,
        }
    }

    /// Lets it come.
    #[inline]
    pub(super) fn fetch(&self) {
        match &self.node {
            Node::Leaf(leaf) => leaf.fetch(),
            Node::Inner(children) => fetch_all(children),
        }
    }

    /// Lets the aggregate of its rows come.
    #[inline]
    pub(super) fn fetch_partial(&self) {
        if let Partial::Made { words, values } = &self.partial {
            fetch_all(words);
            fetch_all(values);
        }
    }

    /// A row has come behind its last: what is known of the others is still true.
    fn append(&mut self, (words, values): Parts<'_>, shape: &Shape) {
        self.rows += 1;
        self.last = words[0].cast_signed();
        self.dirty = true;
        if let Partial::Made {
            words: all,
            values: all_values,
        } = &mut self.partial
        {
            for fold in &shape.folds {
                fold.add_row(all, all_values, (words, values), &shape.columns);
            }
        }
    }

    /// Its rows have changed.
    fn renew(&mut self, columns: &Columns) {
        let node = std::mem::replace(&mut self.node, Node::Inner(Vec::new()));
        *self = Self::new(node, columns);
    }
}

impl Node {
    pub(super) fn rows(&self, columns: &Columns) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.rows(columns),
            Self::Inner(children) => children.iter().map(|child| child.rows).sum(),
        }
    }

    fn first_label(&self) -> u64 {
        match self {
            Self::Leaf(leaf) => leaf.label,
            Self::Inner(children) => children.first().map_or(FIRST, |c| c.node.first_label()),
        }
    }

    /// Inserts a row. Gives the node that must stand behind this one.
    pub(super) fn insert(
        &mut self,
        rank: usize,
        (before, next): Between,
        insertion: &mut Insertion<'_>,
    ) -> Option<Self> {
        let children = match self {
            Self::Leaf(leaf) => {
                return insert_into_leaf(leaf, rank, (before, next), insertion).map(Self::Leaf);
            }
            Self::Inner(children) => children,
        };
        let (mut at, mut rank) = place(children, rank, |rank, rows| rank > rows);
        // Between a full leaf and the next: into the next.
        if at + 1 < children.len()
            && rank >= ROWS_MAX
            && rank == children[at].rows
            && matches!(children[at].node, Self::Leaf(_))
        {
            (at, rank) = (at + 1, 0);
        }
        let next = children
            .get(at + 1)
            .map_or(next, |child| Some(child.node.first_label()));
        let shape = insertion.shape;
        let columns = &shape.columns;
        let child = &mut children[at];
        let rows = child.rows;
        let sibling = child.node.insert(rank, (before || at > 0, next), insertion);
        match sibling {
            None if rank == rows => child.append(insertion.row, shape),
            // A full one stays as it was when a row comes behind its last.
            Some(_) if rank == rows && child.node.rows(columns) == rows => {}
            _ => child.renew(columns),
        }
        if let Some(sibling) = sibling {
            children.insert(at + 1, Child::new(sibling, columns));
        }
        if children.len() <= CHILDREN_MAX {
            return None;
        }
        // As with leaves: at the end of everything a full node stays full.
        let keep = if next.is_none() {
            CHILDREN_MAX
        } else {
            CHILDREN_MAX / 2
        };
        Some(Self::Inner(children.split_off(keep)))
    }

    pub(super) fn remove(&mut self, rank: usize, columns: &Columns, gone: &mut Vec<u64>) {
        let children = match self {
            Self::Leaf(leaf) => return leaf.remove(rank, columns),
            Self::Inner(children) => children,
        };
        let (at, rank) = place(children, rank, |rank, rows| rank >= rows);
        let child = &mut children[at];
        child.node.remove(rank, columns, gone);
        child.renew(columns);
        if child.rows == 0 {
            child.node.labels(gone);
            children.remove(at);
        }
    }

    pub(super) fn labels(&self, out: &mut Vec<u64>) {
        match self {
            Self::Leaf(leaf) => out.push(leaf.label),
            Self::Inner(children) => children.iter().for_each(|child| child.node.labels(out)),
        }
    }

    pub(super) fn evict(&mut self, rows: usize, columns: &Columns, gone: &mut Vec<u64>) {
        let children = match self {
            Self::Leaf(leaf) => return leaf.evict(rows, columns),
            Self::Inner(children) => children,
        };
        let mut rows = rows;
        let mut whole = 0;
        while whole < children.len() && rows >= children[whole].rows {
            rows -= children[whole].rows;
            children[whole].node.labels(gone);
            whole += 1;
        }
        children.drain(..whole);
        if rows > 0
            && let Some(child) = children.first_mut()
        {
            child.node.evict(rows, columns, gone);
            child.rows -= rows;
            child.partial = Partial::Changed;
        }
    }

    pub(super) fn rank(&self, time: i64, after: bool, columns: &Columns) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.rank(time, after, columns),
            Self::Inner(children) => {
                let mut rank = 0;
                for child in children {
                    if child.last < time || (after && child.last == time) {
                        rank += child.rows;
                    } else {
                        return rank + child.node.rank(time, after, columns);
                    }
                }
                rank
            }
        }
    }

    pub(super) fn row(&self, rank: usize, columns: &Columns) -> Option<Parts<'_>> {
        match self {
            Self::Leaf(leaf) => (rank < leaf.rows(columns)).then(|| leaf.row(rank, columns)),
            Self::Inner(children) => {
                let mut rank = rank;
                for child in children {
                    if rank < child.rows {
                        return child.node.row(rank, columns);
                    }
                    rank -= child.rows;
                }
                None
            }
        }
    }

    pub(super) fn fold(
        &mut self,
        (from, to): (usize, usize),
        folds: &[Fold],
        shape: &Shape,
        (words, values): PartsMut<'_>,
    ) {
        let children = match self {
            Self::Leaf(leaf) => {
                return leaf.fold((from, to), folds, &shape.columns, (words, values));
            }
            Self::Inner(children) => children,
        };
        let mut begin = 0;
        for child in children.iter_mut() {
            let end = begin + child.rows;
            if end > from && begin < to {
                if from <= begin && end <= to {
                    child.fold(folds, shape, (&mut *words, &mut *values));
                } else {
                    let inside = (from.max(begin) - begin, to.min(end) - begin);
                    child.node.fold(inside, folds, shape, (words, values));
                }
            }
            begin = end;
            if begin >= to {
                break;
            }
        }
    }

    pub(super) fn visit<'t>(
        &'t self,
        (from, to): (usize, usize),
        columns: &Columns,
        visit: &mut impl FnMut(Parts<'t>),
    ) {
        match self {
            Self::Leaf(leaf) => (from..to).for_each(|row| visit(leaf.row(row, columns))),
            Self::Inner(children) => {
                let mut begin = 0;
                for child in children {
                    let end = begin + child.rows;
                    if end > from && begin < to {
                        let inside = (from.max(begin) - begin, to.min(end) - begin);
                        child.node.visit(inside, columns, visit);
                    }
                    begin = end;
                }
            }
        }
    }

    pub(super) fn each_leaf(&self, visit: &mut impl FnMut(&Leaf)) {
        match self {
            Self::Leaf(leaf) => visit(leaf),
            Self::Inner(children) => children.iter().for_each(|c| c.node.each_leaf(visit)),
        }
    }

    pub(super) fn take_dirty(&mut self, visit: &mut impl FnMut(&Leaf)) {
        match self {
            Self::Leaf(leaf) => {
                if std::mem::take(&mut leaf.dirty) {
                    visit(leaf);
                }
            }
            Self::Inner(children) => {
                for child in children.iter_mut().filter(|child| child.dirty) {
                    child.dirty = false;
                    child.node.take_dirty(visit);
                }
            }
        }
    }

    /// Gives all leaves new labels at equal distances.
    pub(super) fn relabel(&mut self, label: &mut u64) {
        match self {
            Self::Leaf(leaf) => {
                leaf.label = *label;
                leaf.dirty = true;
                *label += GAP;
            }
            Self::Inner(children) => {
                for child in children.iter_mut() {
                    child.dirty = true;
                    child.node.relabel(label);
                }
            }
        }
    }
}

impl Child {
    /// Adds all of its rows.
    fn fold(&mut self, folds: &[Fold], shape: &Shape, (words, values): PartsMut<'_>) {
        match &self.partial {
            Partial::Changed => {
                self.partial = Partial::Asked;
                let all = (0, self.rows);
                return self.node.fold(all, folds, shape, (words, values));
            }
            Partial::Asked => self.partial = self.aggregate(shape),
            Partial::Made { .. } => {}
        }
        if let Partial::Made {
            words: next,
            values: next_values,
        } = &self.partial
        {
            for fold in folds {
                fold.merge(words, values, next, next_values);
            }
        }
    }

    fn aggregate(&mut self, shape: &Shape) -> Partial {
        let mut words: Box<[u64]> = vec![0; shape.words].into();
        let mut values: Box<[Value]> = vec![Value::Null; shape.values].into();
        let into = (&mut *words, &mut *values);
        self.node.fold((0, self.rows), &shape.folds, shape, into);
        Partial::Made { words, values }
    }
}

/// The child that holds a rank, and the rank within it; `behind` says whether a rank is behind so many rows.
fn place(children: &[Child], rank: usize, behind: fn(usize, usize) -> bool) -> (usize, usize) {
    let (mut at, mut rank) = (0, rank);
    while at + 1 < children.len() && behind(rank, children[at].rows) {
        rank -= children[at].rows;
        at += 1;
    }
    (at, rank)
}

fn insert_into_leaf(
    leaf: &mut Leaf,
    rank: usize,
    (before, next): Between,
    insertion: &mut Insertion<'_>,
) -> Option<Leaf> {
    let (words, values) = insertion.row;
    let shape = insertion.shape;
    let columns = &shape.columns;
    let rows = leaf.rows(columns);
    if rows < ROWS_MAX {
        leaf.insert(rank, words, values, columns);
        return None;
    }
    let behind = match next {
        None => leaf.label.saturating_add(GAP),
        Some(next) => u64::midpoint(leaf.label, next),
    };
    if rank == rows {
        insertion.clash |= behind == leaf.label;
        // It will be as full as the one before it.
        return Some(Leaf::new(behind, (words, values), ROWS_MAX));
    }
    let mut sibling = leaf.split(columns);
    let half = leaf.rows(columns);
    if rank <= half {
        leaf.insert(rank, words, values, columns);
    } else {
        sibling.insert(rank - half, words, values, columns);
    }
    if before {
        insertion.clash |= behind == leaf.label;
        sibling.label = behind;
    } else {
        // The first leaf: rows that come in descending order halve it again and again.
        leaf.label = leaf.label.saturating_sub(GAP);
    }
    Some(sibling)
}
