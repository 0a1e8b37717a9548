//! Ways into nested values: `s.field`, `a[0]`, `m['key']`.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::access;
use crate::expr::body::{Body, Outcome};
use crate::expr::coerce::{self, Settings};
use crate::expr::compare::equal;
use crate::expr::typed::{Call, Form, Op, Typed};
use crate::job_error::{JobError, Location};

fn node(
    name: &str,
    form: Form,
    args: Vec<Typed>,
    data_type: DataType,
    nullable: bool,
    call: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static,
) -> Typed {
    let body = Body::Pure {
        call: Arc::new(call),
        nulls: false,
    };
    made(name, form, args, data_type, nullable, body)
}

fn made(
    name: &str,
    form: Form,
    args: Vec<Typed>,
    data_type: DataType,
    nullable: bool,
    body: Body,
) -> Typed {
    let at = args.first().map_or(Location::default(), |arg| arg.at);
    let call = Call {
        name: SmolStr::new(name),
        form,
        body,
        deterministic: true,
    };
    Typed::node(Op::Call(call), args, data_type, nullable, at)
}

/// The place of a field; names in any case, as in Spark.
fn find(fields: &[Field], name: &str, at: Location) -> Result<usize, JobError> {
    let mut found = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.name.to_lowercase() == name.to_lowercase());
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(JobError::new(
            at,
            format!("field `{name}` is ambiguous: the struct has it more than once"),
        )),
        (None, _) => {
            let names = fields.iter().map(|field| field.name.as_str());
            let error = JobError::new(at, format!("the struct has no field `{name}`"))
                .nearest(name, names.clone());
            Err(if error.help.is_some() {
                error
            } else {
                error.help(format!("it has {}", names.collect::<Vec<_>>().join(", ")))
            })
        }
    }
}

/// `base.name`: a field of a struct, of all structs of an array, or a key of a map.
pub(crate) fn field(
    base: Typed,
    name: &str,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    match base.data_type.clone() {
        DataType::Struct(fields) => {
            let index = find(&fields, name, at)?;
            let field = &fields[index];
            let nullable = base.nullable || field.nullable;
            let data_type = field.data_type.clone();
            let name = field.name.clone();
            let body = Body::Field(index);
            Ok(made(
                &name,
                Form::Field,
                vec![base],
                data_type,
                nullable,
                body,
            ))
        }
        DataType::Array(element) => {
            let DataType::Struct(fields) = element.as_ref() else {
                return Err(no_fields(&base, name, at));
            };
            let index = find(fields, name, at)?;
            let field = &fields[index];
            let data_type = DataType::Array(Arc::new(field.data_type.clone()));
            let nullable = base.nullable;
            Ok(node(
                &field.name,
                Form::Field,
                vec![base],
                data_type,
                nullable,
                move |v| {
                    Ok(Value::Array(
                        access::array(&v[0])
                            .iter()
                            .map(|element| match element {
                                Value::Struct(values) => {
                                    values.get(index).cloned().unwrap_or_default()
                                }
                                _ => Value::Null,
                            })
                            .collect(),
                    ))
                },
            ))
        }
        DataType::Map(pair) if pair.0 == DataType::String => {
            let key = Typed::literal(Value::from(name), DataType::String, at);
            element(base, key, settings, at)
        }
        _ => Err(no_fields(&base, name, at)),
    }
}

fn no_fields(base: &Typed, name: &str, at: Location) -> JobError {
    JobError::new(
        at,
        format!("`{base}` is {}, it has no field `{name}`", base.data_type),
    )
}

/// `base[key]`: an element of an array counted from 0, the value of a map's key, or a field of a struct.
pub(crate) fn element(
    base: Typed,
    key: Typed,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    match base.data_type.clone() {
        DataType::Array(element)
            if key.data_type.is_integer() || key.data_type == DataType::Void =>
        {
            let key = coerce::cast_implicitly(key, &DataType::BigInt, settings);
            let data_type = DataType::clone(&element);
            let ansi = settings.ansi;
            Ok(node(
                "[]",
                Form::Element,
                vec![base, key],
                data_type,
                true,
                move |v| {
                    let elements = access::array(&v[0]);
                    let found = usize::try_from(access::long(&v[1]))
                        .ok()
                        .and_then(|index| elements.get(index));
                    match found {
                        Some(value) => Ok(value.clone()),
                        None if ansi => Err(RecordError::expression(
                            "the index is outside of the array; get(array, index) gives NULL instead",
                        )),
                        None => Ok(Value::Null),
                    }
                },
            ))
        }
        DataType::Map(pair) => {
            let Some(common) = coerce::comparable(&pair.0, &key.data_type, settings.ansi) else {
                return Err(JobError::new(
                    at,
                    format!("the map's keys are {}, not {}", pair.0, key.data_type),
                ));
            };
            let key_type = if common == pair.0 {
                common
            } else {
                pair.0.clone()
            };
            let key = coerce::cast_implicitly(key, &key_type, settings);
            Ok(node(
                "[]",
                Form::Element,
                vec![base, key],
                pair.1.clone(),
                true,
                |v| {
                    let found = access::map(&v[0]).iter().find(|(key, _)| equal(key, &v[1]));
                    Ok(found.map_or(Value::Null, |(_, value)| value.clone()))
                },
            ))
        }
        DataType::Struct(_) => match key.constant_text() {
            Some(name) => {
                let name = name.to_owned();
                field(base, &name, settings, at)
            }
            None => Err(JobError::new(
                at,
                "a field of a struct is named by a constant text",
            )),
        },
        other => Err(JobError::new(
            at,
            format!(
                "`{base}` is {other}: [] with {} has no meaning there",
                key.data_type
            ),
        )),
    }
}
