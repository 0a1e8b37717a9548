//! What lies in the state of OVER: totals of keys, and the rows that frames keep.

use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::stateful::bytes::decode_row;
use crate::stateful::contents::{Form, Reader, Show, Shown};
use crate::stateful::over::Over;
use crate::stateful::over::finish::{Answer, Finish};
use crate::stateful::over::order::value_of;
use crate::stateful::over::program::Program;
use crate::stateful::over::restore::{Reading, head, leaf};
use crate::stateful::over::save::{HEAD, LEAF, Layout, WATERMARK};

/// OVER.
pub(in crate::stateful) struct OverReader {
    keys: Vec<DataType>,
    order: Option<DataType>,
    program: Program,
    own: Layout,
    reading: Option<(String, Reading)>,
    answers: Vec<Answer>,
    /// What is read of a pane.
    of_panes: Vec<Answer>,
    forms: [Form; 3],
}

const TOTAL: usize = 0;
const ROW: usize = 1;
const PASSED: usize = 2;

impl OverReader {
    pub(in crate::stateful) fn new(keys: Vec<Field>, order: Option<SmolStr>, over: &Over) -> Self {
        let program = Program::new(over);
        let mut answers = Vec::new();
        let mut totals = Vec::new();
        for (function, finish) in over.functions.iter().zip(&program.finishes) {
            if let Finish::Running { answer, .. } = finish {
                answers.push(answer.clone());
                let name = function.identity.as_str();
                totals.push(Field::nullable(name, function.result.clone()));
            }
        }
        let order_type = over.order.as_ref().map(|order| order.data_type.clone());
        let ordered = order.zip(order_type.clone());
        let ordered = ordered.map(|(name, data_type)| Field::nullable(name, data_type));
        let kept = program.kept_identities.iter().zip(&program.kept_types);
        let kept = kept.map(|(kept, data_type)| Field::nullable(&*kept.text, data_type.clone()));
        let form = |what, key: &[Field], value| Form {
            what,
            key: key.to_vec(),
            value,
            about: Vec::new(),
        };
        let time = |name| Field::nullable(name, DataType::Timestamp);
        let mut total = form("total", &keys, totals);
        total.about.push(time("changed"));
        let row = form("row", &keys, ordered.into_iter().chain(kept).collect());
        // Of panes the answers show, as far as one pane gives them.
        let panes = over.functions.iter().zip(&program.finishes);
        let panes = panes.filter_map(|(function, finish)| match finish {
            Finish::Framed { answer, .. } if program.step.is_some() => {
                let name = function.identity.as_str();
                let field = Field::nullable(name, function.result.clone());
                Some((answer.clone(), field))
            }
            _ => None,
        });
        let (of_panes, pane_fields): (Vec<Answer>, Vec<Field>) = panes.unzip();
        let row = if program.step.is_some() {
            let time = row
                .value
                .into_iter()
                .take(usize::from(order_type.is_some()));
            form("pane", &keys, time.chain(pane_fields).collect())
        } else {
            row
        };
        let passed = form("watermark", &[], vec![time("watermark")]);
        Self {
            keys: keys.into_iter().map(|field| field.data_type).collect(),
            order: order_type,
            own: Layout::of(&program),
            program,
            reading: None,
            answers,
            of_panes,
            forms: [total, row, passed],
        }
    }

    fn reading(&mut self, layout: &str) -> Option<Reading> {
        match self.reading.take() {
            Some((text, reading)) if text == layout => Some(reading),
            _ => Reading::new(layout, &self.own, &self.program).ok(),
        }
    }

    fn shown(
        &self,
        reading: &Reading,
        name: &[u8],
        value: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let (kind, mut key) = name.split_first()?;
        match *kind {
            HEAD => {
                let keys = decode_row(&mut key, &self.keys)?;
                let mut words = vec![0; self.program.words];
                let mut values = vec![Value::Null; self.program.values];
                let into = (words.as_mut_slice(), values.as_mut_slice());
                let touched = head(into, &self.program, reading, value)?;
                let answers = self.answers.iter();
                let answers: Vec<Value> = answers
                    .map(|answer| answer.value(&words, &values).unwrap_or_default())
                    .collect();
                show(Shown {
                    form: TOTAL,
                    key: &keys,
                    value: &answers,
                    about: &[touched.map_or(Value::Null, Value::Timestamp)],
                });
            }
            LEAF => {
                let (mut key, label) = key.split_last_chunk::<8>()?;
                let keys = decode_row(&mut key, &self.keys)?;
                let label = u64::from_be_bytes(*label);
                let leaf = leaf(&self.program, label, reading, value)?;
                let columns = &self.program.shape.columns;
                for row in 0..leaf.rows(columns) {
                    let (words, values) = leaf.row(row, columns);
                    let time = self.order.as_ref();
                    let time = time.map(|order| value_of(words[0].cast_signed(), order));
                    let mut row: Vec<Value> = time.into_iter().collect();
                    if columns.merged {
                        let answers = self.of_panes.iter();
                        row.extend(
                            answers.map(|answer| {
                                answer.value(&words[1..], values).unwrap_or_default()
                            }),
                        );
                    } else {
                        let kept = 0..self.program.kept.len();
                        row.extend(kept.map(|column| columns.value(column, words, values)));
                    }
                    show(Shown {
                        form: ROW,
                        key: &keys,
                        value: &row,
                        about: &[],
                    });
                }
            }
            WATERMARK => {
                let watermark = i64::from_le_bytes(value.try_into().ok()?);
                show(Shown {
                    form: PASSED,
                    key: &[],
                    value: &[Value::Timestamp(watermark)],
                    about: &[],
                });
            }
            _ => return None,
        }
        Some(())
    }
}

impl Reader for OverReader {
    fn forms(&self) -> &[Form] {
        &self.forms
    }

    fn entry(
        &mut self,
        layout: &str,
        name: &[u8],
        value: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let reading = self.reading(layout)?;
        let outcome = self.shown(&reading, name, value, show);
        self.reading = Some((layout.to_owned(), reading));
        outcome
    }
}
