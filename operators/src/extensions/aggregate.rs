//! An own function over groups of rows, and how the state of its groups is kept.

use std::fmt;
use std::sync::{Arc, LazyLock};

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::scalar::fits;
use super::{Signature, Types, fixed};
use crate::stateful::accumulators::{
    Accumulator, Arguments, Constants, Function, Gives, Slab, Within, number,
};
use crate::stateful::bytes::{read_varint, take, write_varint};

/// What an own aggregate knows of one group.
///
/// It is cloned before each row of a record that may still fail, and saved whole whenever it has changed: keep it small.
pub trait GroupState: Clone + Send + 'static {
    /// The version of what [`GroupState::write`] writes. Raise it when that changes.
    const VERSION: u8 = 1;

    /// Takes in one row.
    ///
    /// # Errors
    /// When it cannot; the record then counts as not processed at all.
    fn update(&mut self, arguments: &[Value]) -> Result<(), RecordError>;

    /// Takes in what `later` has taken in, whose rows come after its own: windows that slide, and sessions that meet, are
    /// made of parts.
    ///
    /// # Errors
    /// As [`GroupState::update`].
    fn merge(&mut self, later: &Self) -> Result<(), RecordError>;

    /// The aggregate of what it has taken in.
    ///
    /// # Errors
    /// When there is none; the query ends where that is not while a record is processed.
    fn result(&self) -> Result<Value, RecordError>;

    /// Appends it as bytes, for the checkpoint.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads bytes that [`GroupState::write`] of this version wrote into a group without rows; None when they are not
    /// such, or the version is one that it does not read.
    fn read(self, version: u8, bytes: &[u8]) -> Option<Self>;

    /// Bytes of memory that it takes.
    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

/// A function over groups of rows, written in Rust.
///
/// Rows with a NULL among the arguments do not count, unless it [sees NULLs](Self::sees_nulls). Its state lies in
/// checkpoints under its name and the expressions of its arguments, as that of every aggregate.
pub struct AggregateFunction {
    name: &'static str,
    signature: &'static str,
    about: &'static str,
    own: OwnAggregate,
}

/// Makes the accumulator of one call: places of the arguments, their types, whether NULLs count.
type Make = Arc<dyn Fn(&[usize], &[DataType], bool) -> Box<dyn Accumulator> + Send + Sync>;

struct OwnAggregate {
    types: Types,
    make: Make,
    nulls: bool,
}

impl AggregateFunction {
    /// A function that takes arguments of these types; others are cast to them where Spark would without being asked.
    /// `begin` makes the state of a group without rows. What [`GroupState::result`] gives must be NULL or of the type
    /// `gives`.
    pub fn new<S: GroupState>(
        name: &'static str,
        takes: impl Into<Vec<DataType>>,
        gives: DataType,
        begin: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        Self::made(name, fixed(takes.into(), gives), move |_: &[DataType]| {
            begin()
        })
    }

    /// A function whose types depend on those of its arguments. The error of `types` is a sentence for the author of the
    /// job; `begin` is given the types that the arguments were cast to.
    pub fn generic<S: GroupState>(
        name: &'static str,
        types: impl Fn(&[DataType]) -> Result<Signature, String> + Send + Sync + 'static,
        begin: impl Fn(&[DataType]) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::made(name, Arc::new(types), begin)
    }

    fn made<S: GroupState>(
        name: &'static str,
        types: Types,
        begin: impl Fn(&[DataType]) -> S + Send + Sync + 'static,
    ) -> Self {
        let make = move |places: &[usize], types: &[DataType], nulls: bool| {
            Box::new(Groups::new(places.to_vec(), begin(types), nulls)) as Box<dyn Accumulator>
        };
        Self {
            name,
            signature: name,
            about: "",
            own: OwnAggregate {
                types,
                make: Arc::new(make),
                nulls: false,
            },
        }
    }

    /// How it is called (`longest(text)`) and one line on what it gives: for messages and `thalweg functions`.
    #[must_use]
    pub fn described(mut self, signature: &'static str, about: &'static str) -> Self {
        self.signature = signature;
        self.about = about;
        self
    }

    /// The same function, to which rows with NULL arguments count too.
    #[must_use]
    pub fn sees_nulls(mut self) -> Self {
        self.own.nulls = true;
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// As the plan knows aggregates. Plans name them by reference, so one that was declared lives as long as the process.
    pub(super) fn declare(self) -> &'static Function {
        let own = Own(Box::leak(Box::new(self.own)));
        Box::leak(Box::new(Function {
            name: self.name.to_ascii_lowercase().leak(),
            aliases: &[],
            signature: self.signature,
            about: self.about,
            example: "",
            result: "",
            arity: (0, usize::MAX),
            arguments: Arguments::Any,
            gives: Gives::Same,
            constants: Constants::None,
            within: Within::No,
            own: Some(own),
        }))
    }
}

/// What makes an aggregate an own one.
#[derive(Clone, Copy)]
pub struct Own(&'static OwnAggregate);

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

/// What is shown of the state of a group that only the program can read.
pub(crate) fn unread_type() -> DataType {
    DataType::Struct(Arc::new([
        Field::required("version", DataType::Int),
        Field::required("bytes", DataType::Binary),
    ]))
}

/// The state of a group as bytes: what they mean is known to the program that wrote them.
#[derive(Clone, Default)]
struct Unread(Option<(u8, Arc<[u8]>)>);

impl GroupState for Unread {
    fn update(&mut self, _: &[Value]) -> Result<(), RecordError> {
        Ok(())
    }

    fn merge(&mut self, _: &Self) -> Result<(), RecordError> {
        Ok(())
    }

    fn result(&self) -> Result<Value, RecordError> {
        Ok(match &self.0 {
            Some((version, bytes)) => Value::Struct(Arc::new([
                Value::Int(i32::from(*version)),
                Value::Binary(Arc::clone(bytes)),
            ])),
            None => Value::Null,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.iter().flat_map(|(_, bytes)| bytes.iter()));
    }

    fn read(self, version: u8, bytes: &[u8]) -> Option<Self> {
        Some(Self(Some((version, bytes.into()))))
    }
}

impl Own {
    /// An aggregate of a program that is not here: it keeps what was saved and shows it as it is.
    pub(crate) fn unread() -> Self {
        static UNREAD: LazyLock<OwnAggregate> = LazyLock::new(|| OwnAggregate {
            types: fixed(Vec::new(), DataType::Void),
            make: Arc::new(|places: &[usize], _: &[DataType], nulls: bool| {
                Box::new(Groups::new(places.to_vec(), Unread::default(), nulls))
                    as Box<dyn Accumulator>
            }),
            nulls: true,
        });
        Self(&UNREAD)
    }

    /// What the function takes and gives.
    pub(crate) fn types(
        self,
        function: &Function,
        given: &[DataType],
    ) -> Result<Signature, String> {
        let refused =
            |message: String| format!("{}: {message}: {}", function.name, function.signature);
        let signature = (self.0.types)(given).map_err(refused)?;
        if signature.takes.len() != given.len() {
            let takes = signature.takes.len();
            return Err(refused(format!(
                "takes {takes} arguments, not {}",
                given.len()
            )));
        }
        for (place, (given, to)) in given.iter().zip(&signature.takes).enumerate() {
            if !fits(given, to, true) {
                return Err(refused(format!(
                    "argument {} takes {to}, got {given}",
                    place + 1
                )));
            }
        }
        Ok(signature)
    }

    /// The accumulator of a call.
    pub(crate) fn accumulator(self, places: &[usize], types: &[DataType]) -> Box<dyn Accumulator> {
        (self.0.make)(places, types, self.0.nulls)
    }
}

/// All groups of one call; a cell is the number of its group's state.
struct Groups<S> {
    places: Vec<usize>,
    /// A group without rows.
    empty: S,
    nulls: bool,
    groups: Slab<S>,
    /// Groups that changed, as they were.
    undo: Vec<(u64, S)>,
    bytes: usize,
    arguments: Vec<Value>,
}

impl<S: GroupState> Groups<S> {
    fn new(places: Vec<usize>, empty: S, nulls: bool) -> Self {
        Self {
            places,
            empty,
            nulls,
            groups: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
            arguments: Vec::new(),
        }
    }

    /// Changes the state of a cell's group.
    fn change(
        &mut self,
        cell: &mut [u64],
        change: impl FnOnce(&mut S) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        match self.groups.get_mut(cell[0]) {
            Some(state) => {
                let before = state.memory();
                self.undo.push((cell[0], state.clone()));
                let changed = change(state);
                self.bytes = (self.bytes + state.memory()).saturating_sub(before);
                changed
            }
            None => {
                let mut state = self.empty.clone();
                change(&mut state)?;
                self.bytes += state.memory();
                cell[0] = self.groups.insert(state);
                Ok(())
            }
        }
    }
}

impl<S: GroupState> Accumulator for Groups<S> {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let mut arguments = std::mem::take(&mut self.arguments);
        arguments.clear();
        arguments.extend(self.places.iter().map(|&place| row[place].clone()));
        let counts = self.nulls || !arguments.iter().any(Value::is_null);
        let outcome = if counts {
            self.change(cell, |state| state.update(&arguments))
        } else {
            Ok(())
        };
        self.arguments = arguments;
        outcome
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        match self.groups.get(from[0]).cloned() {
            Some(later) => self.change(into, |state| state.merge(&later)),
            None => Ok(()),
        }
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        self.groups.get(cell[0]).unwrap_or(&self.empty).result()
    }

    /// The length of what follows, 0 for a group without rows; the version; the state's own bytes.
    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let Some(state) = self.groups.get(cell[0]) else {
            return write_varint(0, out);
        };
        let mut bytes = vec![S::VERSION];
        state.write(&mut bytes);
        write_varint(bytes.len() as u64, out);
        out.extend_from_slice(&bytes);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        let length = usize::try_from(read_varint(bytes)?).ok()?;
        if length == 0 {
            return Some(());
        }
        let (version, rest) = take(bytes, length)?.split_first()?;
        let state = self.empty.clone().read(*version, rest)?;
        self.bytes += state.memory();
        cell[0] = self.groups.insert(state);
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        if number(cell[0]).is_some() {
            self.groups.free(cell[0]);
        }
    }

    fn accept(&mut self) {
        self.undo.clear();
        let bytes = &mut self.bytes;
        let gone = |state: S| *bytes = bytes.saturating_sub(state.memory());
        self.groups.accept(gone);
    }

    fn reject(&mut self) {
        while let Some((word, before)) = self.undo.pop() {
            if let Some(state) = self.groups.get_mut(word) {
                self.bytes = (self.bytes + before.memory()).saturating_sub(state.memory());
                *state = before;
            }
        }
        let bytes = &mut self.bytes;
        let gone = |state: S| *bytes = bytes.saturating_sub(state.memory());
        self.groups.reject(gone);
    }

    fn bytes(&self) -> usize {
        self.bytes + self.groups.bytes()
    }
}
