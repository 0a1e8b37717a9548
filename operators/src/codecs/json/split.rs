//! The objects of a file: lines, of which each may be an array of objects, or one document.

use std::ops::Range;

use super::scan::{Kind, Scanner};
use super::syntax::Syntax;

/// The objects of an array, each a record of its own.
#[derive(Debug, Default)]
pub struct Documents {
    allowed: Syntax,
}

/// What a document is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// One record: an object, or what is none and is the decoder's to judge.
    One,
    /// An array of objects: where each stands. There is none either where nothing but white space and comments stands.
    Many(Vec<Range<usize>>),
}

impl Documents {
    /// Documents of this syntax.
    pub fn new(allowed: Syntax) -> Self {
        Self { allowed }
    }

    /// The records of a document.
    pub fn records(&self, document: &[u8]) -> Records {
        let first = document.trim_ascii_start().first();
        if first != Some(&b'[') && (first != Some(&b'/') || !self.allowed.comments) {
            return Records::One;
        }
        let objects = std::str::from_utf8(document)
            .ok()
            .and_then(|text| self.objects(text));
        objects.map_or(Records::One, Records::Many)
    }

    /// The objects of an array; None where it is not whole or holds something else.
    fn objects(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let mut scanner = Scanner::new(text, self.allowed);
        let s = &mut scanner;
        let mut found = Vec::new();
        s.space();
        if s.rest().is_empty() {
            return Some(found);
        }
        s.take(b'[').then_some(())?;
        if s.take(b']') {
            return Some(found);
        }
        loop {
            if s.kind().ok()? != Kind::Object {
                return None;
            }
            let at = s.at();
            s.skip().ok()?;
            found.push(at..s.at());
            if !s.more(b']').ok()? {
                return Some(found);
            }
        }
    }
}
