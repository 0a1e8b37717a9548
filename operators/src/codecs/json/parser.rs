//! `from_json`: a text into one typed value.

use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::object::{Context, Node, Object};
use super::scan::{Fault, Kind, Scanner};
use super::syntax::Syntax;
use super::{JsonOptions, decode, unsupported};
use crate::codecs::Mode;
use crate::expr::coerce::nullable;

/// Reads texts as one STRUCT, ARRAY or MAP type, as Spark's `from_json` does. Owned by one lane.
pub struct JsonParser {
    root: Root,
    context: Context,
    permissive: bool,
    syntax: Syntax,
    /// Which field of the STRUCT takes the text where it does not fit.
    corrupt: Option<usize>,
}

enum Root {
    Object(Object),
    /// An array of structs takes a single object too, as its only element.
    Objects(Box<Node>),
    Other(Node),
}

impl JsonParser {
    /// A parser of this type. With [`Mode::Permissive`], Spark's default, what does not parse gives NULLs; with
    /// [`Mode::FailFast`] it is an error.
    ///
    /// # Errors
    /// When the type is none that a JSON text can be, or the mode is neither of these; the reason in words.
    pub fn new(data_type: &DataType, mode: Mode, options: &JsonOptions) -> Result<Self, String> {
        if mode == Mode::DropMalformed {
            return Err("the mode of from_json is PERMISSIVE or FAILFAST".to_owned());
        }
        if let Some(reason) = unsupported(data_type) {
            return Err(reason);
        }
        let corrupt = corrupt_field(data_type, options);
        let root = match nullable(data_type) {
            DataType::Struct(fields) => {
                // What a text lacks is NULL, whatever the type says.
                let fields = fields.iter().enumerate();
                let read = fields.filter(|(place, _)| Some(*place) != corrupt);
                Root::Object(Object::new(read.map(|(_, field)| field)))
            }
            DataType::Array(element) if matches!(*element, DataType::Struct(_)) => {
                Root::Objects(Box::new(Node::new(&element)))
            }
            other @ (DataType::Array(_) | DataType::Map(_)) => Root::Other(Node::new(&other)),
            other => {
                return Err(format!(
                    "the type of from_json is a STRUCT, an ARRAY or a MAP, not {other}"
                ));
            }
        };
        Ok(Self {
            root,
            context: Context {
                compact: true,
                ..Context::new(mode, options)
            },
            syntax: options.syntax,
            permissive: mode == Mode::Permissive,
            corrupt,
        })
    }

    /// The value of a text; NULL for one without content.
    ///
    /// # Errors
    /// When the mode is FAILFAST and the text does not parse.
    pub fn parse(&mut self, text: &str) -> Result<Value, RecordError> {
        if self.is_empty(text) {
            return Ok(Value::Null);
        }
        self.context.misfits = false;
        let (value, broken) = match self.read(text) {
            Ok(value) => (value, self.context.misfits),
            Err(_) if self.permissive => match &self.root {
                Root::Object(object) => {
                    (Value::Struct(vec![Value::Null; object.len()].into()), true)
                }
                _ => (Value::Null, true),
            },
            Err(fault) => return Err(failed(&fault, text)),
        };
        Ok(match (self.corrupt, value) {
            (Some(place), Value::Struct(values)) => {
                let mut values = values.to_vec();
                let text = broken.then(|| Value::from(text));
                values.insert(place, text.unwrap_or_default());
                Value::Struct(values.into())
            }
            (_, value) => value,
        })
    }

    /// The fields of the STRUCT that a text is, into `values`; whether it is there. A STRUCT that does not parse has NULLs.
    ///
    /// # Errors
    /// As [`JsonParser::parse`]; also of a parser of another type.
    pub fn fields(&mut self, text: &str, values: &mut [Value]) -> Result<bool, RecordError> {
        values.fill(Value::Null);
        if self.is_empty(text) {
            return Ok(false);
        }
        match self.read_fields(text, values) {
            Ok(()) => Ok(true),
            Err(_) if self.permissive => {
                values.fill(Value::Null);
                Ok(true)
            }
            Err(fault) => Err(failed(&fault, text)),
        }
    }

    /// Whether nothing but white space and comments stands there.
    fn is_empty(&self, text: &str) -> bool {
        let text = text.trim_ascii_start();
        if !text.starts_with('/') || !self.syntax.comments {
            return text.is_empty();
        }
        let mut scanner = Scanner::new(text, self.syntax);
        scanner.space();
        scanner.rest().is_empty()
    }

    #[inline]
    fn read_fields(&mut self, text: &str, values: &mut [Value]) -> Result<(), Fault> {
        let mut scanner = decode::begin(text, self.syntax)?;
        let s = &mut scanner;
        let Root::Object(object) = &mut self.root else {
            return Err(s.syntax("expected a type that is a STRUCT"));
        };
        let cx = &mut self.context;
        if s.kind()? == Kind::Array {
            return Err(s.syntax("expected an object"));
        }
        object.read(s, cx, values, |_| {})
    }

    /// What follows the value is not looked at, as in Spark.
    fn read(&mut self, text: &str) -> Result<Value, Fault> {
        let mut scanner = decode::begin(text, self.syntax)?;
        let s = &mut scanner;
        let cx = &mut self.context;
        let kind = s.kind()?;
        match (&mut self.root, kind) {
            (Root::Object(_), Kind::Array) => Err(s.syntax("expected an object")),
            (Root::Object(object), _) => object.value(s, cx),
            (Root::Objects(node), Kind::Object) => {
                Ok(Value::Array(Arc::from([node.value(s, cx)?])))
            }
            (Root::Objects(node), Kind::Array) => {
                let mut values = Vec::new();
                s.enter()?;
                if !s.take(b']') {
                    loop {
                        values.push(node.value(s, cx)?);
                        if !s.more(b']')? {
                            break;
                        }
                    }
                }
                Ok(Value::Array(values.into()))
            }
            (Root::Other(node), _) => node.value(s, cx),
            (Root::Objects(_), _) => Err(s.syntax("expected an array")),
        }
    }
}

/// The field of a STRUCT that takes a text that does not fit, where it has one.
pub(crate) fn corrupt_field(data_type: &DataType, options: &JsonOptions) -> Option<usize> {
    let DataType::Struct(fields) = data_type else {
        return None;
    };
    let corrupt = options.corrupt_column.as_ref();
    fields
        .iter()
        .position(|field| Some(&field.name) == corrupt && field.data_type == DataType::String)
}

/// The error of a text that does not parse.
#[cold]
fn failed(fault: &Fault, text: &str) -> RecordError {
    let error = decode::error(fault, text.as_bytes());
    RecordError {
        class: thalweg_engine::error::ErrorClass::Expression,
        reason: format!("from_json: {}", error.reason).into(),
        content: error.content,
    }
}
