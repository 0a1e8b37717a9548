//! What an OVER step does, ready to run: which columns rows keep, which aggregates there are, how answers are made of them.

use serde::{Deserialize, Serialize};
use thalweg_engine::schema::DataType;

use crate::stateful::over::cell::{Columns, Packed};
use crate::stateful::over::decay::{Adds, Decay};
use crate::stateful::over::distinct::Counted;
use crate::stateful::over::finish::{Answer, Finish};
use crate::stateful::over::fold::{Fold, Rule};
use crate::stateful::over::order::Sorted;
use crate::stateful::over::tree::Shape;
use crate::stateful::over::{Argument, Distance, Frame, Function, Kind, Over};

/// A column that aggregates from UNBOUNDED PRECEDING are fed with.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) place: usize,
    pub(super) packed: Option<Packed>,
}

/// An aggregate that is kept from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) text: String,
    pub(super) data_type: String,
}

/// A frame with two ends, and the aggregates that are asked for in it.
#[derive(Clone, Debug)]
pub(super) struct Framed {
    pub(super) frame: Frame,
    pub(super) folds: Vec<Fold>,
}

/// All of a step.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) keys: Vec<usize>,
    pub(super) order: Option<Sorted>,
    /// Whether the watermark says what is forgotten.
    pub(super) event_time: bool,
    /// The places of the kept columns in the incoming row.
    pub(super) kept: Vec<usize>,
    pub(super) kept_identities: Vec<Identity>,
    pub(super) kept_types: Vec<DataType>,
    pub(super) shape: Shape,
    pub(super) keeps_rows: bool,
    /// The farthest edge of RANGE frames.
    pub(super) range: Option<Distance>,
    /// The farthest edge of ROWS frames and `lag`.
    pub(super) rows: Option<u64>,
    pub(super) rows_max: usize,
    pub(super) ttl: Option<i64>,
    /// The width of panes, where they are kept instead of rows.
    pub(super) step: Option<i64>,
    /// How each kept column is packed: panes are fed with them.
    pub(super) kept_packed: Vec<Option<Packed>>,
    /// What aggregates from UNBOUNDED PRECEDING are fed with, their folds, and the size of their accumulators.
    pub(super) inputs: Vec<Input>,
    pub(super) running: Vec<Fold>,
    pub(super) running_identities: Vec<Identity>,
    pub(super) running_types: Vec<DataType>,
    pub(super) words: usize,
    pub(super) values: usize,
    pub(super) frames: Vec<Option<Framed>>,
    pub(super) counted: Vec<Counted>,
    pub(super) finishes: Vec<Finish>,
}

impl Program {
    pub(super) fn new(over: &Over) -> Self {
        let mut program = Self {
            keys: over.keys.clone(),
            order: over
                .order
                .as_ref()
                .map(|order| Sorted::new(order.place, &order.data_type)),
            event_time: over.order.as_ref().is_some_and(|order| order.event_time),
            kept: Vec::new(),
            kept_identities: Vec::new(),
            kept_types: Vec::new(),
            shape: Shape::default(),
            keeps_rows: false,
            range: None,
            rows: None,
            rows_max: over.rows_max,
            ttl: over.ttl,
            step: over.step.filter(|step| *step > 0),
            kept_packed: Vec::new(),
            inputs: Vec::new(),
            running: Vec::new(),
            running_identities: Vec::new(),
            running_types: Vec::new(),
            words: 0,
            values: 0,
            frames: Vec::new(),
            counted: Vec::new(),
            finishes: Vec::new(),
        };
        program.frames = over
            .frames
            .iter()
            .map(|frame| match frame {
                Frame::Unbounded { .. } => None,
                frame => Some(Framed {
                    frame: *frame,
                    folds: Vec::new(),
                }),
            })
            .collect();
        program.keep_columns(&over.functions, &over.frames);
        for function in &over.functions {
            let finish = program.finish(function, &over.frames);
            program.finishes.push(finish);
        }
        if program.step.is_some() {
            let (words, values) = (program.shape.words, program.shape.values);
            program.shape.columns = Columns::merged(words, values);
        }
        program
    }

    /// Which columns of the incoming row are kept, each once, and how far frames reach.
    fn keep_columns(&mut self, functions: &[Function], frames: &[Frame]) {
        for function in functions {
            let lag = matches!(function.kind, Kind::Lag { .. });
            match frames.get(function.frame) {
                _ if lag || function.kind == Kind::RowNumber => {}
                Some(Frame::Range { from, .. }) => self.range = farther(self.range, *from),
                Some(Frame::Rows { from, .. }) => self.rows = self.rows.max(Some(*from)),
                _ => {}
            }
            if let Kind::Lag { offset, .. } = function.kind {
                self.rows = self.rows.max(Some(offset));
            }
            let framed = lag
                || (function.kind != Kind::RowNumber
                    && self.frames.get(function.frame).is_some_and(Option::is_some));
            self.keeps_rows |= framed;
            if let Some(argument) = function.argument.as_ref().filter(|_| framed)
                && !self.kept.contains(&argument.place)
            {
                self.kept.push(argument.place);
                self.kept_identities.push(identity(argument, ""));
                self.kept_types.push(argument.data_type.clone());
            }
        }
        let times = [DataType::Timestamp, DataType::TimestampNtz];
        let time = self.order.and_then(|order| {
            let same = |place: &usize| *place == order.place;
            let column = self.kept.iter().position(same)?;
            times.contains(&self.kept_types[column]).then_some(column)
        });
        self.shape.columns = Columns::new(self.kept_types.iter(), time);
        self.kept_packed = self.kept_types.iter().map(Packed::of).collect();
    }

    fn column(&self, argument: Option<&Argument>) -> usize {
        let place = argument.map(|argument| argument.place);
        let at = |kept: &usize| Some(*kept) == place;
        self.kept.iter().position(at).unwrap_or_default()
    }

    fn finish(&mut self, function: &Function, frames: &[Frame]) -> Finish {
        let argument = function.argument.as_ref();
        let current = match frames.get(function.frame) {
            Some(Frame::Unbounded { current }) => Some(*current),
            None => Some(true),
            Some(_) => None,
        };
        match function.kind {
            Kind::Lag { offset, default } => Finish::Lag {
                offset: usize::try_from(offset).unwrap_or(usize::MAX),
                column: self.column(argument),
                default,
            },
            Kind::RowNumber => Finish::Running {
                current: true,
                answer: Answer::Number(self.run(Rule::Rows, None)),
            },
            kind => match current {
                Some(current) => {
                    let fold = self.run(rule(kind, argument, true), argument);
                    Finish::Running {
                        current,
                        answer: Answer::new(function, fold),
                    }
                }
                None => self.framed(function, kind, argument),
            },
        }
    }

    fn framed(&mut self, function: &Function, kind: Kind, argument: Option<&Argument>) -> Finish {
        let frame = function.frame;
        let column = self.column(argument);
        match kind {
            // Of a pane there are no single rows.
            kind if self.step.is_some() => self.folded(function, kind, argument),
            Kind::CountRows => Finish::Rows { frame },
            Kind::First {
                ignore_nulls: false,
            } => Finish::First { frame, column },
            Kind::Last {
                ignore_nulls: false,
            } => Finish::Last { frame, column },
            Kind::CountDistinct | Kind::Collect { .. } => {
                let counted = Counted {
                    column,
                    real: argument
                        .and_then(|argument| Packed::of(&argument.data_type))
                        .is_some_and(Packed::real),
                };
                if let Kind::Collect { distinct } = kind {
                    return Finish::Collect {
                        frame,
                        counted,
                        distinct,
                    };
                }
                // The same column in another frame is another count.
                self.counted.push(counted);
                let which = self.counted.len() - 1;
                Finish::Distinct { frame, which }
            }
            kind => self.folded(function, kind, argument),
        }
    }

    /// From the partial aggregates of the frame's rows.
    fn folded(&mut self, function: &Function, kind: Kind, argument: Option<&Argument>) -> Finish {
        let frame = function.frame;
        let column = self.column(argument);
        let fold = self.shape.fold(rule(kind, argument, false), column);
        if let Some(Some(framed)) = self.frames.get_mut(frame)
            && !framed.folds.iter().any(|known| known.at == fold.at)
        {
            framed.folds.push(fold.clone());
        }
        Finish::Framed {
            frame,
            answer: Answer::new(function, fold),
        }
    }

    /// The running aggregate of this rule over this argument; one that is there already is shared.
    fn run(&mut self, rule: Rule, argument: Option<&Argument>) -> Fold {
        let column = match argument {
            None => 0,
            Some(argument) => {
                let known = |input: &Input| input.place == argument.place;
                self.inputs.iter().position(known).unwrap_or_else(|| {
                    self.inputs.push(Input {
                        place: argument.place,
                        packed: Packed::of(&argument.data_type),
                    });
                    self.inputs.len() - 1
                })
            }
        };
        let same =
            |fold: &&Fold| fold.rule == rule && (fold.column == column || rule == Rule::Rows);
        if let Some(fold) = self.running.iter().find(same) {
            return fold.clone();
        }
        let fold = Fold {
            rule,
            column,
            at: self.words,
            value_at: self.values,
        };
        let (words, values) = rule.size();
        self.words += words;
        self.values += values;
        self.running.push(fold.clone());
        self.running_types
            .push(argument.map_or(DataType::BigInt, |argument| argument.data_type.clone()));
        self.running_identities.push(match argument {
            Some(argument) => identity(argument, &format!("{} of ", rule.name())),
            None => Identity {
                text: rule.name().into_owned(),
                data_type: String::new(),
            },
        });
        fold
    }
}

impl Shape {
    /// The partial aggregate of this rule over this column; one that is there already is shared.
    fn fold(&mut self, rule: Rule, column: usize) -> Fold {
        let same = |fold: &&Fold| fold.rule == rule && fold.column == column;
        if let Some(fold) = self.folds.iter().find(same) {
            return fold.clone();
        }
        let fold = Fold {
            rule,
            column,
            at: self.words,
            value_at: self.values,
        };
        let (words, values) = rule.size();
        self.words += words;
        self.values += values;
        self.folds.push(fold.clone());
        fold
    }
}

fn identity(argument: &Argument, before: &str) -> Identity {
    Identity {
        text: format!("{before}{}", argument.identity),
        data_type: argument.data_type.to_string(),
    }
}

impl Program {
    /// What an aggregate of panes is known by.
    pub(super) fn pane_identity(&self, fold: &Fold) -> Identity {
        let name = fold.rule.name();
        match self.kept_identities.get(fold.column) {
            Some(column) if fold.rule != Rule::Rows => Identity {
                text: format!("{name} of {}", column.text),
                data_type: column.data_type.clone(),
            },
            _ => Identity {
                text: name.into_owned(),
                data_type: String::new(),
            },
        }
    }

    /// The type of the values that an aggregate of panes holds.
    pub(super) fn pane_type(&self, fold: &Fold) -> Option<DataType> {
        self.kept_types.get(fold.column).cloned()
    }
}

fn farther(known: Option<Distance>, other: Distance) -> Option<Distance> {
    Some(match (known, other) {
        (Some(Distance::Whole(a)), Distance::Whole(b)) => Distance::Whole(a.max(b)),
        (Some(Distance::Real(a)), Distance::Real(b)) => Distance::Real(a.max(b)),
        (_, other) => other,
    })
}

/// Which aggregate answers a function; `running` says whether rows are only ever added.
fn rule(kind: Kind, argument: Option<&Argument>, running: bool) -> Rule {
    let packed = argument.and_then(|argument| Packed::of(&argument.data_type));
    let real = packed.is_some_and(Packed::real);
    match kind {
        Kind::CountRows | Kind::RowNumber => Rule::Rows,
        Kind::Sum | Kind::Avg if real && running => Rule::InOrder,
        Kind::Sum | Kind::Avg if real => Rule::Real,
        Kind::Sum | Kind::Avg => Rule::Whole,
        Kind::Min => Rule::Extreme { max: false, packed },
        Kind::Max => Rule::Extreme { max: true, packed },
        Kind::Deviation { .. } => Rule::Moments,
        Kind::First { ignore_nulls } => Rule::Edge {
            last: false,
            nulls: !ignore_nulls,
            packed,
        },
        Kind::Last { ignore_nulls } => Rule::Edge {
            last: true,
            nulls: !ignore_nulls,
            packed,
        },
        Kind::Decayed { half_life, sum } => Rule::Decayed(Decay {
            half_life,
            adds: match (sum, argument) {
                (true, _) => Adds::Value,
                (false, Some(_)) => Adds::Present,
                (false, None) => Adds::Row,
            },
        }),
        // What keeps single values is not asked from UNBOUNDED PRECEDING: the plan refuses it.
        Kind::Count | Kind::CountDistinct | Kind::Collect { .. } | Kind::Lag { .. } => Rule::Count,
    }
}

/// How many rows a frame or `lag` reaches back.
pub(super) fn reach(rows: Option<u64>) -> usize {
    usize::try_from(rows.unwrap_or_default()).unwrap_or(usize::MAX)
}
