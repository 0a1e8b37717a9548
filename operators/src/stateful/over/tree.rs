//! The kept rows of a key in order of time: a B-tree with a partial aggregate for each subtree.
//!
//! Rows are named by their rank. Rows come in mostly at the end and go at the beginning: a full last leaf gets a neighbour
//! instead of being halved, and nothing is balanced after rows have gone. Partial aggregates are made when a question needs
//! them and forgotten when rows below them change, so a question folds at most two leaves and two nodes of each level.

use thalweg_engine::row::Value;

use crate::stateful::fetch::fetch_all;
use crate::stateful::over::cell::Columns;
use crate::stateful::over::fold::Fold;
use crate::stateful::over::leaf::Leaf;
use crate::stateful::over::node::{CHILDREN_MAX, Child, FIRST, Insertion, Node};

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

/// Words and values of a row or an accumulator.
pub(super) type Parts<'a> = (&'a [u64], &'a [Value]);
/// The same, to be changed.
pub(super) type PartsMut<'a> = (&'a mut [u64], &'a mut [Value]);

impl Tree {
    /// Lets what hangs at the root come.
    #[inline]
    pub(super) fn fetch_root(&self) {
        match &self.root {
            Some(Node::Leaf(leaf)) => leaf.fetch(),
            Some(Node::Inner(children)) => fetch_all(children),
            None => {}
        }
    }

    /// Lets the last leaf come, once the root is there.
    pub(super) fn fetch_end(&self) {
        if let Some(Node::Inner(children)) = &self.root
            && let Some(last) = children.last()
        {
            last.fetch();
        }
    }

    /// Lets the leaf come that has the first row of `time` or later, if it is none at an end, once the root is there.
    #[inline]
    pub(super) fn fetch_between(&self, time: i64) {
        if let Some(Node::Inner(children)) = &self.root
            && let Some(at) = children.iter().position(|child| child.last >= time)
            && at > 0
            && at + 1 < children.len()
        {
            children[at].fetch();
        }
    }

    /// Lets the leaves at both ends come and what is known of those between, once the root is there.
    #[inline]
    pub(super) fn fetch_ends(&self) {
        if let Some(Node::Inner(children)) = &self.root {
            for child in children {
                child.fetch_partial();
            }
            if let Some(first) = children.first() {
                first.fetch();
            }
            self.fetch_end();
        }
    }

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
            self.root = Some(Node::Leaf(Leaf::new(FIRST, row, 1)));
            return;
        };
        let columns = &shape.columns;
        let mut insertion = Insertion {
            row,
            shape,
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
    pub(super) fn visit<'t>(
        &'t self,
        (from, to): (usize, usize),
        shape: &Shape,
        mut visit: impl FnMut(Parts<'t>),
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
