//! The typed tree of an expression: what a plan keeps, shows and compiles.

use std::collections::BTreeSet;
use std::fmt;

use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::Eval;
use crate::expr::body::Body;
use crate::expr::calendar::Zone;
use crate::expr::{clock_cast, compile};
use crate::job_error::Location;

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Typed {
    /// What it is.
    pub kind: Kind,
    /// The type of its value.
    pub data_type: DataType,
    /// Whether its value may be NULL.
    pub nullable: bool,
    /// Where it stands in the job file.
    pub at: Location,
    /// Whether it is a literal as the author wrote it, not computed of such: beside a decimal that has the digits that stand
    /// there, and anything else those of its type.
    pub written: bool,
}

/// What a checked expression is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A constant.
    Literal(Value),
    /// A column of the row.
    Column {
        /// Its place in the row.
        index: usize,
        /// Its name, to be shown.
        name: SmolStr,
    },
    /// The time at which the engine took the record: `current_timestamp()`.
    TakenAt,
    /// A parameter of the lambda around it.
    Variable {
        /// Unique within the expression.
        id: u32,
        /// Its name, to be shown.
        name: SmolStr,
    },
    /// A lambda; only as an argument of a function that calls it. The type is that of its body.
    Lambda {
        /// Its parameters: id and name.
        parameters: Vec<(u32, SmolStr)>,
        /// The expression after the arrow.
        body: Box<Typed>,
    },
    /// An operator or a function over arguments.
    Node {
        /// Which.
        op: Op,
        /// Its arguments, of the types that it expects.
        args: Vec<Typed>,
    },
}

/// Operators and functions.
#[derive(Clone, Debug)]
pub enum Op {
    /// A cast to the node's type.
    Cast(Cast),
    /// Both arguments of the types that [`arithmetic`](crate::expr) expects.
    Arithmetic {
        /// Which.
        operator: Arithmetic,
        /// Whether overflow and division by zero are errors, or NULL (integers wrap).
        mode: Mode,
    },
    /// Both arguments of one type.
    Compare(Comparison),
    /// AND over two or more.
    And,
    /// OR over two or more.
    Or,
    /// NOT.
    Not,
    /// IS NULL.
    IsNull,
    /// IS NOT NULL.
    IsNotNull,
    /// Everything else.
    Call(Call),
}

/// What happens where a value cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An error of the record.
    Ansi,
    /// Spark's answer with `ansi` off: NULL, or wrapped integers.
    Legacy,
    /// NULL: the `try_` family.
    Try,
}

impl Mode {
    /// The mode of `SET ansi`.
    pub fn of(ansi: bool) -> Self {
        if ansi { Self::Ansi } else { Self::Legacy }
    }
}

/// How to cast.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// What happens where it fails.
    pub mode: Mode,
    /// The zone of times without one.
    pub zone: Zone,
    /// Whether the check put it there, not the author.
    pub implicit: bool,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `div`
    IntegralDivide,
}

impl Arithmetic {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::IntegralDivide => "div",
        }
    }
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<=>`: NULL equals NULL.
    NullSafeEqual,
}

impl Comparison {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::NullSafeEqual => "<=>",
        }
    }
}

/// A function or a rare operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name, to be shown.
    pub name: SmolStr,
    /// How it is shown.
    pub form: Form,
    /// How it is evaluated.
    pub body: Body,
    /// Whether equal arguments always give an equal value.
    pub deterministic: bool,
}

/// How a call is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `name(a, b)`
    Function,
    /// `(a name b)`
    Infix,
    /// `(a name)`
    Postfix,
    /// `(name a)`
    Prefix,
    /// `(a name (b, c))`
    InList,
    /// `a.name`
    Field,
    /// `a[b]`
    Element,
    /// `CASE WHEN a THEN b ... ELSE z END`
    Case,
}

impl Typed {
    /// A constant.
    pub fn literal(value: Value, data_type: DataType, at: Location) -> Self {
        Self {
            nullable: value.is_null(),
            kind: Kind::Literal(value),
            data_type,
            at,
            written: false,
        }
    }

    /// A column of the row.
    pub fn column(index: usize, field: &Field, at: Location) -> Self {
        Self {
            kind: Kind::Column {
                index,
                name: field.name.clone(),
            },
            data_type: field.data_type.clone(),
            nullable: field.nullable,
            at,
            written: false,
        }
    }

    /// An operator over arguments. Computed at once when all arguments are constants.
    pub fn node(
        op: Op,
        args: Vec<Self>,
        data_type: DataType,
        nullable: bool,
        at: Location,
    ) -> Self {
        Self {
            kind: Kind::Node { op, args },
            data_type,
            nullable,
            at,
            written: false,
        }
        .fold()
    }

    /// The same as what is computed: no literal.
    pub fn computed(self) -> Self {
        Self {
            written: false,
            ..self
        }
    }

    /// The value, where it is a constant.
    pub fn constant(&self) -> Option<&Value> {
        match &self.kind {
            Kind::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// The constant text of a STRING, if it is one.
    pub fn constant_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Literal(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Makes it evaluable.
    pub fn compile(&self) -> Box<dyn Eval> {
        compile::compile(self)
    }

    /// The places in the row that it uses, ascending.
    pub fn columns(&self) -> Vec<usize> {
        let mut used = BTreeSet::new();
        self.visit(&mut |typed| {
            if let Kind::Column { index, .. } = &typed.kind {
                used.insert(*index);
            }
        });
        used.into_iter().collect()
    }

    /// Gives every column its place in another row.
    pub fn remap(&mut self, place: &dyn Fn(usize) -> usize) {
        self.visit_mut(&mut |typed| {
            if let Kind::Column { index, .. } = &mut typed.kind {
                *index = place(*index);
            }
        });
    }

    /// Whether equal rows always give equal values; false for `rand()`, `uuid()`, `current_timestamp()`.
    pub fn deterministic(&self) -> bool {
        let mut deterministic = true;
        self.visit(&mut |typed| match &typed.kind {
            Kind::TakenAt => deterministic = false,
            Kind::Node {
                op: Op::Call(call), ..
            } => deterministic &= call.deterministic,
            _ => deterministic &= !typed.is_of_today(),
        });
        deterministic
    }

    /// Whether it is the cast of a constant time of day, which is of the day when it is asked.
    fn is_of_today(&self) -> bool {
        match &self.kind {
            Kind::Node {
                op: Op::Cast(_),
                args,
            } if self.data_type == DataType::Timestamp => {
                let constant = args.first().and_then(|arg| arg.constant());
                constant.is_some_and(clock_cast::of_today)
            }
            _ => false,
        }
    }

    /// Calls `see` for it and everything in it.
    pub fn visit(&self, see: &mut dyn FnMut(&Self)) {
        see(self);
        match &self.kind {
            Kind::Lambda { body, .. } => body.visit(see),
            Kind::Node { args, .. } => args.iter().for_each(|arg| arg.visit(see)),
            _ => {}
        }
    }

    /// Calls `change` for it and everything in it, from the outside in.
    pub fn visit_mut(&mut self, change: &mut dyn FnMut(&mut Self)) {
        change(self);
        match &mut self.kind {
            Kind::Lambda { body, .. } => body.visit_mut(change),
            Kind::Node { args, .. } => args.iter_mut().for_each(|arg| arg.visit_mut(change)),
            _ => {}
        }
    }

    /// Replaces a node over constants by its value. One that fails stays as it is and fails for its row, because it may
    /// stand in a branch that is never taken.
    fn fold(self) -> Self {
        let Kind::Node { op, args } = &self.kind else {
            return self;
        };
        let pure = !matches!(op, Op::Call(call) if !call.deterministic) && !self.is_of_today();
        if !pure || !args.iter().all(|arg| arg.constant().is_some()) {
            return self;
        }
        match compile::evaluate_constant(&self) {
            Ok(value) => Self::literal(value, self.data_type, self.at),
            Err(_) => self,
        }
    }
}

impl fmt::Display for Typed {
    /// As SQL, near to what Spark shows in its plans.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Literal(value) => compile::show_literal(value, &self.data_type, f),
            Kind::Column { name, .. } | Kind::Variable { name, .. } => f.write_str(name),
            Kind::TakenAt => f.write_str("current_timestamp()"),
            Kind::Lambda { parameters, body } => {
                match parameters.as_slice() {
                    [(_, one)] => f.write_str(one)?,
                    several => {
                        f.write_str("(")?;
                        join(f, several.iter().map(|(_, name)| name))?;
                        f.write_str(")")?;
                    }
                }
                write!(f, " -> {body}")
            }
            Kind::Node { op, args } => show_node(op, args, &self.data_type, f),
        }
    }
}

fn join<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn infix(f: &mut fmt::Formatter<'_>, word: &str, args: &[Typed]) -> fmt::Result {
    f.write_str("(")?;
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            write!(f, " {word} ")?;
        }
        write!(f, "{arg}")?;
    }
    f.write_str(")")
}

fn show_node(
    op: &Op,
    args: &[Typed],
    data_type: &DataType,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let first = args.first();
    match (op, first) {
        (Op::Cast(cast), Some(arg)) => {
            let word = if cast.mode == Mode::Try {
                "TRY_CAST"
            } else {
                "CAST"
            };
            write!(f, "{word}({arg} AS {data_type})")
        }
        (Op::Arithmetic { operator, .. }, _) => infix(f, operator.symbol(), args),
        (Op::Compare(comparison), _) => infix(f, comparison.symbol(), args),
        (Op::And, _) => infix(f, "AND", args),
        (Op::Or, _) => infix(f, "OR", args),
        (Op::Not, Some(arg)) => write!(f, "(NOT {arg})"),
        (Op::IsNull, Some(arg)) => write!(f, "({arg} IS NULL)"),
        (Op::IsNotNull, Some(arg)) => write!(f, "({arg} IS NOT NULL)"),
        (Op::Call(call), _) => show_call(call, args, f),
        (Op::Cast(_) | Op::Not | Op::IsNull | Op::IsNotNull, None) => Ok(()),
    }
}

fn show_call(call: &Call, args: &[Typed], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = &call.name;
    match (call.form, args) {
        (Form::Infix, _) => infix(f, name, args),
        (Form::Postfix, [arg]) => write!(f, "({arg} {name})"),
        (Form::Prefix, [arg]) => write!(f, "({name} {arg})"),
        (Form::Field, [arg]) => write!(f, "{arg}.{name}"),
        (Form::Element, [arg, index]) => write!(f, "{arg}[{index}]"),
        (Form::InList, [arg, list @ ..]) => {
            write!(f, "({arg} {name} (")?;
            join(f, list.iter())?;
            f.write_str("))")
        }
        (Form::Case, _) => {
            f.write_str("CASE")?;
            let mut pairs = args.chunks_exact(2);
            for pair in &mut pairs {
                write!(f, " WHEN {} THEN {}", pair[0], pair[1])?;
            }
            if let [otherwise] = pairs.remainder() {
                write!(f, " ELSE {otherwise}")?;
            }
            f.write_str(" END")
        }
        _ => {
            write!(f, "{name}(")?;
            join(f, args.iter())?;
            f.write_str(")")
        }
    }
}
