//! The kept rows of a key in order of time: a B-tree with a partial aggregate for each subtree.
//!
//! Rows are named by their rank. Rows come in mostly at the end and go at the beginning: a full last leaf gets a neighbour
//! instead of being halved, and nothing is balanced after rows have gone. Partial aggregates are made when a question needs
//! them and forgotten when rows below them change, so a question folds at most two leaves and two nodes of each level.

use thalweg_engine::row::Value;

use crate::stateful::over::cell::Columns;
use crate::stateful::over::fold::Fold;
use crate::stateful::over::leaf::{Leaf, ROWS_MAX};

/// How many children a node has at most.
const CHILDREN_MAX: usize = if cfg!(test) { 4 } else { 16 };
/// The label of the first leaf, and the distance between neighbours.
const FIRST: u64 = 1 << 63;
const GAP: u64 = 1 << 32;

/// What a tree is made of: how its rows are laid out, and what is kept of its subtrees.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) columns: Columns,
    pub(super) folds: Vec<Fold>,
    /// Words and values of a partial aggregate.
    pub(super) words: usize,
    pub(super) values: usize,
}

/// Rows in order.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Option<Node>,
}

#[derive(Debug)]
enum Node {
    Leaf(Leaf),
    Inner(Vec<Child>),
}

#[derive(Debug)]
struct Child {
    node: Node,
    rows: usize,
    last: i64,
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

/// Words and values of a row or an accumulator.
pub(super) type Parts<'a> = (&'a [u64], &'a [Value]);
/// The same, to be changed.
pub(super) type PartsMut<'a> = (&'a mut [u64], &'a mut [Value]);

/// A row on its way into the tree.
struct Insertion<'a> {
    row: Parts<'a>,
    columns: &'a Columns,
    /// Two neighbours got the same label: there was no room between two.
    clash: bool,
}

/// The surroundings of a node: whether a leaf stands before it, and the label of the leaf behind it.
type Between = (bool, Option<u64>);

impl Child {
    fn new(node: Node, columns: &Columns) -> Self {
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

    /// Its rows have changed.
    fn renew(&mut self, columns: &Columns) {
        let node = std::mem::replace(&mut self.node, Node::Inner(Vec::new()));
        *self = Self::new(node, columns);
    }
}

impl Node {
    fn rows(&self, columns: &Columns) -> usize {
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
    fn insert(
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
        if at + 1 < children.len() && rank == ROWS_MAX && matches!(children[at].node, Self::Leaf(_))
        {
            (at, rank) = (at + 1, 0);
        }
        let next = children
            .get(at + 1)
            .map_or(next, |child| Some(child.node.first_label()));
        let child = &mut children[at];
        let sibling = child.node.insert(rank, (before || at > 0, next), insertion);
        child.renew(insertion.columns);
        if let Some(sibling) = sibling {
            children.insert(at + 1, Child::new(sibling, insertion.columns));
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

    fn remove(&mut self, rank: usize, columns: &Columns, gone: &mut Vec<u64>) {
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

    fn labels(&self, out: &mut Vec<u64>) {
        match self {
            Self::Leaf(leaf) => out.push(leaf.label),
            Self::Inner(children) => children.iter().for_each(|child| child.node.labels(out)),
        }
    }

    fn evict(&mut self, rows: usize, columns: &Columns, gone: &mut Vec<u64>) {
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

    fn rank(&self, time: i64, after: bool, columns: &Columns) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.rank(time, after, columns),
            Self::Inner(children) => {
                let mut rank = 0;
                for child in children.iter() {
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

    fn row(&self, rank: usize, columns: &Columns) -> Option<Parts<'_>> {
        match self {
            Self::Leaf(leaf) => (rank < leaf.rows(columns)).then(|| leaf.row(rank, columns)),
            Self::Inner(children) => {
                let mut rank = rank;
                for child in children.iter() {
                    if rank < child.rows {
                        return child.node.row(rank, columns);
                    }
                    rank -= child.rows;
                }
                None
            }
        }
    }

    fn fold(
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

    fn visit(
        &self,
        (from, to): (usize, usize),
        columns: &Columns,
        visit: &mut impl FnMut(Parts<'_>),
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

    fn each_leaf(&self, visit: &mut impl FnMut(&Leaf)) {
        match self {
            Self::Leaf(leaf) => visit(leaf),
            Self::Inner(children) => children.iter().for_each(|c| c.node.each_leaf(visit)),
        }
    }

    fn take_dirty(&mut self, visit: &mut impl FnMut(&Leaf)) {
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
    fn relabel(&mut self, label: &mut u64) {
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
    let columns = insertion.columns;
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
        return Some(Leaf::new(behind, words, values));
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

impl Tree {
    /// How many rows there are.
    pub(super) fn rows(&self, shape: &Shape) -> usize {
        self.root.as_ref().map_or(0, |n| n.rows(&shape.columns))
    }

    /// The time of the last row.
    pub(super) fn last(&self, shape: &Shape) -> Option<i64> {
        match self.root.as_ref()? {
            Node::Leaf(leaf) => Some(leaf.last(&shape.columns)),
            Node::Inner(children) => children.last().map(|child| child.last),
        }
    }

    /// The time of the first row.
    pub(super) fn first(&self, shape: &Shape) -> Option<i64> {
        self.row(0, shape).map(|(words, _)| words[0].cast_signed())
    }

    /// How many rows are earlier than `time`; with `after`, not later.
    pub(super) fn rank(&self, time: i64, after: bool, shape: &Shape) -> usize {
        self.root
            .as_ref()
            .map_or(0, |node| node.rank(time, after, &shape.columns))
    }

    /// Inserts a row so that it has this rank. Labels of leaves that are called otherwise from now on go to `gone`.
    pub(super) fn insert(
        &mut self,
        rank: usize,
        row: Parts<'_>,
        shape: &Shape,
        gone: &mut Vec<u64>,
    ) {
        let Some(root) = &mut self.root else {
            self.root = Some(Node::Leaf(Leaf::new(FIRST, row.0, row.1)));
            return;
        };
        let columns = &shape.columns;
        let mut insertion = Insertion {
            row,
            columns,
            clash: false,
        };
        let sibling = root.insert(rank, (false, None), &mut insertion);
        if let Some(sibling) = sibling {
            let first = std::mem::replace(root, Node::Inner(Vec::new()));
            *root = Node::Inner(vec![
                Child::new(first, columns),
                Child::new(sibling, columns),
            ]);
        }
        if insertion.clash {
            root.labels(gone);
            root.relabel(&mut FIRST.clone());
        }
    }

    /// Takes a row out again.
    pub(super) fn remove(&mut self, rank: usize, shape: &Shape, gone: &mut Vec<u64>) {
        if let Some(root) = &mut self.root {
            root.remove(rank, &shape.columns, gone);
        }
        self.shrink(shape, gone);
    }

    /// Forgets the first `rows` rows. The labels of leaves that are gone go to `gone`.
    pub(super) fn evict(&mut self, rows: usize, shape: &Shape, gone: &mut Vec<u64>) {
        if rows == 0 {
            return;
        }
        if let Some(root) = &mut self.root {
            root.evict(rows, &shape.columns, gone);
        }
        self.shrink(shape, gone);
    }

    /// A root without rows goes, one with a single child is that child.
    fn shrink(&mut self, shape: &Shape, gone: &mut Vec<u64>) {
        while let Some(Node::Inner(children)) = &mut self.root
            && children.len() <= 1
        {
            self.root = children.pop().map(|child| child.node);
        }
        if let Some(Node::Leaf(leaf)) = &self.root
            && leaf.rows(&shape.columns) == 0
        {
            gone.push(leaf.label);
            self.root = None;
        }
    }

    /// The row of this rank.
    pub(super) fn row(&self, rank: usize, shape: &Shape) -> Option<Parts<'_>> {
        self.root.as_ref()?.row(rank, &shape.columns)
    }

    /// A column of the row of rank `rank`; NULL where that is not before `end`.
    pub(super) fn value(&self, rank: usize, end: usize, column: usize, shape: &Shape) -> Value {
        match self.row(rank, shape) {
            Some((words, values)) if rank < end => shape.columns.value(column, words, values),
            _ => Value::Null,
        }
    }

    /// Adds the rows from rank `from` to before `to`.
    pub(super) fn fold(
        &mut self,
        range: (usize, usize),
        folds: &[Fold],
        shape: &Shape,
        into: PartsMut<'_>,
    ) {
        if let Some(root) = &mut self.root
            && range.0 < range.1
        {
            root.fold(range, folds, shape, into);
        }
    }

    /// Shows the rows from rank `from` to before `to`.
    pub(super) fn visit(
        &self,
        (from, to): (usize, usize),
        shape: &Shape,
        mut visit: impl FnMut(Parts<'_>),
    ) {
        if let Some(root) = &self.root {
            let to = to.min(root.rows(&shape.columns));
            if from < to {
                root.visit((from, to), &shape.columns, &mut visit);
            }
        }
    }

    /// Shows each leaf that changed since the last call.
    pub(super) fn take_dirty(&mut self, mut visit: impl FnMut(&Leaf)) {
        if let Some(root) = &mut self.root {
            root.take_dirty(&mut visit);
        }
    }

    /// Shows each leaf.
    pub(super) fn each_leaf(&self, mut visit: impl FnMut(&Leaf)) {
        if let Some(root) = &self.root {
            root.each_leaf(&mut visit);
        }
    }

    /// Builds a tree of leaves, in order.
    pub(super) fn of(leaves: Vec<Leaf>, shape: &Shape) -> Self {
        let mut nodes: Vec<Node> = leaves.into_iter().map(Node::Leaf).collect();
        while nodes.len() > 1 {
            let mut above = Vec::with_capacity(nodes.len() / CHILDREN_MAX + 1);
            let mut rest = nodes.into_iter().peekable();
            while rest.peek().is_some() {
                let children: Vec<Child> = rest
                    .by_ref()
                    .take(CHILDREN_MAX)
                    .map(|node| Child::new(node, &shape.columns))
                    .collect();
                above.push(Node::Inner(children));
            }
            nodes = above;
        }
        Self { root: nodes.pop() }
    }
}
