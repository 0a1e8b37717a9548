//! Functions of arrays: making, measuring and taking them apart.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::Param::{Any, Array, Int, Text};
use super::forms::{check_elements, failed, int};
use super::{BindContext, Function, function};
use crate::expr::access::{array, int as number, map, text};
use crate::expr::body::Outcome;
use crate::expr::coerce;
use crate::expr::compare::equal;
use crate::expr::typed::{Call, Form, Kind, Op, Typed};
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "array",
        "array(a, b, ...)",
        "An array of the arguments.",
        "array(1, 2, 3)",
        "[1, 2, 3]",
        |args, cx| {
            let (args, element) = cx.same_type(args)?;
            cx.with_nulls(array_of(element), false, args, |v| {
                Ok(Value::Array(v.into()))
            })
        },
    ),
    function(
        "size",
        "size(array or map)",
        "How many elements or pairs it has.",
        "size(array('b', 'd', 'c', 'a'))",
        "4",
        |args, cx| {
            let ansi = cx.settings.ansi;
            let args = cx.take(args, &[Any], 1)?;
            if !matches!(
                args[0].data_type,
                DataType::Array(_) | DataType::Map(_) | DataType::Void
            ) {
                return Err(cx.error(format!(
                    "expected an ARRAY or a MAP, got {}",
                    args[0].data_type
                )));
            }
            let nullable = ansi && args[0].nullable;
            cx.with_nulls(DataType::Int, nullable, args, move |v| {
                Ok(match &v[0] {
                    Value::Array(elements) => int(elements.len()),
                    Value::Map(pairs) => int(pairs.len()),
                    _ if ansi => Value::Null,
                    _ => Value::Int(-1),
                })
            })
        },
    )
    .aliases(&["cardinality"]),
    function(
        "array_size",
        "array_size(array)",
        "How many elements it has.",
        "array_size(array('b', 'd', 'c', 'a'))",
        "4",
        |args, cx| {
            let args = cx.take(args, &[Array], 1)?;
            cx.strict(DataType::Int, args, |v| Ok(int(array(&v[0]).len())))
        },
    ),
    function(
        "array_contains",
        "array_contains(array, value)",
        "Whether the value is among the elements; NULL where it is not but a NULL is.",
        "array_contains(array(1, 2, 3), 2)",
        "true",
        |args, cx| {
            let args = with_element(args, cx)?;
            cx.partial(DataType::Boolean, args, |v| {
                Ok(contains(array(&v[0]), &v[1]))
            })
        },
    ),
    function(
        "array_position",
        "array_position(array, value)",
        "Where the value first stands, counted from 1, as a BIGINT; 0 where it does not.",
        "array_position(array(312, 773, 708, 708), 708)",
        "3",
        |args, cx| {
            let args = with_element(args, cx)?;
            cx.strict(DataType::BigInt, args, |v| {
                let place = array(&v[0])
                    .iter()
                    .position(|element| equal(element, &v[1]));
                let place = place.map_or(0, |place| place + 1);
                Ok(Value::BigInt(i64::try_from(place).unwrap_or(i64::MAX)))
            })
        },
    ),
    function(
        "element_at",
        "element_at(array, place) or element_at(map, key)",
        "The element at a place counted from 1, or from the end when negative; or the value of a key, NULL without it.",
        "element_at(array(1, 2, 3), 2)",
        "2",
        |args, cx| element_at(args, cx, cx.settings.ansi),
    ),
    function(
        "try_element_at",
        "try_element_at(array, place) or try_element_at(map, key)",
        "As element_at, but NULL where the array is too short.",
        "try_element_at(array(1, 2, 3), 4)",
        "NULL",
        |args, cx| element_at(args, cx, false),
    ),
    function(
        "get",
        "get(array, place)",
        "The element at a place counted from 0; NULL where there is none.",
        "get(array(1, 2, 3), 0)",
        "1",
        |args, cx| {
            let args = cx.take(args, &[Array, Int], 2)?;
            cx.partial(element(&args[0]), args, |v| {
                let place = usize::try_from(number(&v[1])).unwrap_or(usize::MAX);
                Ok(array(&v[0]).get(place).cloned().unwrap_or_default())
            })
        },
    ),
    function(
        "slice",
        "slice(array, start, length)",
        "The part of the array that begins at a place counted from 1, or from the end when negative.",
        "slice(array(1, 2, 3, 4), 2, 2)",
        "[2, 3]",
        |args, cx| {
            let args = cx.take(args, &[Array, Int, Int], 3)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                slice(array(&v[0]), number(&v[1]), number(&v[2]))
            })
        },
    ),
    function(
        "array_join",
        "array_join(array, delimiter[, null])",
        "The elements as one text; NULLs are left out, or replaced.",
        "array_join(array('hello', NULL, 'world'), ' ', ',')",
        "hello , world",
        |args, cx| {
            let mut args = cx.take(args, &[Array, Text, Text], 2)?;
            let texts = array_of(DataType::String);
            args[0] = coerce::cast_implicitly(args[0].clone(), &texts, cx.settings);
            super::forms::written(cx, args, |v, out| {
                let replacement = v.get(2).map(text);
                let mut parts = array(&v[0]).iter().filter_map(|element| match element {
                    Value::Null => replacement,
                    element => Some(text(element)),
                });
                if let Some(first) = parts.next() {
                    out.push_str(first);
                }
                parts.for_each(|part| out.extend([text(&v[1]), part]));
                Ok(())
            })
        },
    ),
    function(
        "array_repeat",
        "array_repeat(value, n)",
        "An array of the value n times.",
        "array_repeat('123', 2)",
        "[123, 123]",
        |args, cx| {
            let args = cx.take(args, &[Any, Int], 2)?;
            let nullable = args[1].nullable;
            let data_type = array_of(args[0].data_type.clone());
            cx.with_nulls(data_type, nullable, args, |v| {
                if v[1].is_null() {
                    return Ok(Value::Null);
                }
                let times = usize::try_from(number(&v[1])).unwrap_or(0);
                check_elements(times)?;
                Ok(Value::Array(vec![v[0].clone(); times].into()))
            })
        },
    ),
    function(
        "array_append",
        "array_append(array, value)",
        "The array with the value at its end.",
        "array_append(array('b', 'd', 'c', 'a'), 'd')",
        "[b, d, c, a, d]",
        |args, cx| added(args, cx, false),
    ),
    function(
        "array_prepend",
        "array_prepend(array, value)",
        "The array with the value at its beginning.",
        "array_prepend(array('b', 'd', 'c', 'a'), 'd')",
        "[d, b, d, c, a]",
        |args, cx| added(args, cx, true),
    ),
    function(
        "array_insert",
        "array_insert(array, place, value)",
        "The array with the value at a place counted from 1, or from the end when negative; NULLs fill a gap.",
        "array_insert(array(1, 2, 3, 4), 5, 5)",
        "[1, 2, 3, 4, 5]",
        |args, cx| {
            let mut args = cx.take(args, &[Array, Int, Any], 3)?;
            let value = args.pop();
            let place = args.pop();
            let mut args = with_element(args.into_iter().chain(value).collect(), cx)?;
            args.extend(place);
            let nullable = args[0].nullable || args[2].nullable;
            cx.with_nulls(args[0].data_type.clone(), nullable, args, |v| {
                if v[0].is_null() || v[2].is_null() {
                    return Ok(Value::Null);
                }
                insert(array(&v[0]), number(&v[2]), &v[1])
            })
        },
    ),
    function(
        "array_remove",
        "array_remove(array, value)",
        "The array without the elements that equal the value.",
        "array_remove(array(1, 2, 3, NULL, 3), 3)",
        "[1, 2, null]",
        |args, cx| {
            let args = with_element(args, cx)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                let kept = array(&v[0]).iter().filter(|element| !equal(element, &v[1]));
                Ok(Value::Array(kept.cloned().collect()))
            })
        },
    ),
    function(
        "array_compact",
        "array_compact(array)",
        "The array without its NULLs.",
        "array_compact(array(1, 2, 3, NULL))",
        "[1, 2, 3]",
        |args, cx| {
            let args = cx.take(args, &[Array], 1)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                let kept = array(&v[0]).iter().filter(|element| !element.is_null());
                Ok(Value::Array(kept.cloned().collect()))
            })
        },
    ),
    function(
        "flatten",
        "flatten(array of arrays)",
        "One array of all elements; NULL where one of the arrays is NULL.",
        "flatten(array(array(1, 2), array(3, 4)))",
        "[1, 2, 3, 4]",
        |args, cx| {
            let args = cx.take(args, &[Array], 1)?;
            let inner = element(&args[0]);
            if !matches!(inner, DataType::Array(_)) {
                return Err(cx.error(format!("expected an array of arrays, got ARRAY<{inner}>")));
            }
            cx.partial(inner, args, |v| {
                let arrays = array(&v[0]);
                if arrays.iter().any(Value::is_null) {
                    return Ok(Value::Null);
                }
                Ok(Value::Array(
                    arrays.iter().flat_map(array).cloned().collect(),
                ))
            })
        },
    ),
    function(
        "arrays_zip",
        "arrays_zip(a, b, ...)",
        "An array of structs: the first holds the first elements, and so on; NULLs fill the shorter arrays.",
        "arrays_zip(array(1, 2, 3), array(2, 3, 4))",
        "[{1, 2}, {2, 3}, {3, 4}]",
        |args, cx| {
            let args = cx.take_all(args, Array, 0)?;
            let fields: Arc<[Field]> = args
                .iter()
                .enumerate()
                .map(|(i, arg)| Field::nullable(shown_name(arg, i), element(arg)))
                .collect();
            cx.strict(array_of(DataType::Struct(fields)), args, |v| {
                let longest = v.iter().map(|one| array(one).len()).max().unwrap_or(0);
                let zipped = (0..longest).map(|i| {
                    let values = v
                        .iter()
                        .map(|one| array(one).get(i).cloned().unwrap_or_default());
                    Value::Struct(values.collect())
                });
                Ok(Value::Array(zipped.collect()))
            })
        },
    ),
];

/// The type of arrays of this element.
pub(super) fn array_of(element: DataType) -> DataType {
    DataType::Array(Arc::new(element))
}

/// The element type of an array argument.
pub(super) fn element(array: &Typed) -> DataType {
    match &array.data_type {
        DataType::Array(element) => DataType::clone(element),
        _ => DataType::Void,
    }
}

/// What Spark names the field that an argument becomes: the column's name, else its place.
fn shown_name(arg: &Typed, place: usize) -> SmolStr {
    match &arg.kind {
        Kind::Column { name, .. } | Kind::Variable { name, .. } => name.clone(),
        Kind::Node {
            op:
                Op::Call(Call {
                    name,
                    form: Form::Field,
                    ..
                }),
            ..
        } => name.clone(),
        _ => SmolStr::new(place.to_string()),
    }
}

/// An array and a value, both brought to the type that elements and value have in common.
pub(super) fn with_element(args: Vec<Typed>, cx: &BindContext) -> Result<Vec<Typed>, JobError> {
    let mut args = cx.take(args, &[Array, Any], 2)?;
    let held = element(&args[0]);
    let value = &args[1].data_type;
    let Some(common) = coerce::wider(&held, value, cx.settings.ansi) else {
        return Err(cx.error(format!("the elements are {held}, the value is {value}")));
    };
    let array = array_of(common.clone());
    let value = args.remove(1);
    let elements = args.remove(0);
    Ok(vec![
        coerce::cast_implicitly(elements, &array, cx.settings),
        coerce::cast_implicitly(value, &common, cx.settings),
    ])
}

fn contains(elements: &[Value], value: &Value) -> Value {
    if elements.iter().any(|element| equal(element, value)) {
        Value::Boolean(true)
    } else if elements.iter().any(Value::is_null) {
        Value::Null
    } else {
        Value::Boolean(false)
    }
}

fn element_at(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Any, Any], 2)?;
    if let DataType::Map(pair) = args[0].data_type.clone() {
        let args = super::maps::with_key(args, cx)?;
        return cx.partial(pair.1.clone(), args, |v| {
            let found = map(&v[0]).iter().find(|(key, _)| equal(key, &v[1]));
            Ok(found.map_or(Value::Null, |(_, value)| value.clone()))
        });
    }
    let args = cx.take(args, &[Array, Int], 2)?;
    cx.partial(element(&args[0]), args, move |v| {
        let elements = array(&v[0]);
        let place = number(&v[1]);
        let distance = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
        let index = match place {
            0 => return Err(failed("the elements are counted from 1, not 0")),
            1.. => Some(distance - 1),
            _ => elements.len().checked_sub(distance),
        };
        match index.and_then(|index| elements.get(index)) {
            Some(element) => Ok(element.clone()),
            None if strict => Err(failed(
                "the array has no element at the place; try_element_at gives NULL",
            )
            .with_content(place.to_string())),
            None => Ok(Value::Null),
        }
    })
}

fn slice(elements: &[Value], start: i32, length: i32) -> Outcome {
    if start == 0 {
        return Err(failed("slice: the elements are counted from 1, not 0"));
    }
    let Ok(length) = usize::try_from(length) else {
        return Err(failed("slice: the length must not be negative"));
    };
    let distance = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
    let from = if start > 0 {
        Some(distance - 1)
    } else {
        elements.len().checked_sub(distance)
    };
    let rest = from.and_then(|from| elements.get(from..)).unwrap_or(&[]);
    Ok(Value::Array(rest[..length.min(rest.len())].into()))
}

fn added(args: Vec<Typed>, cx: &BindContext, first: bool) -> Result<Typed, JobError> {
    let args = with_element(args, cx)?;
    let nullable = args[0].nullable;
    cx.with_nulls(args[0].data_type.clone(), nullable, args, move |v| {
        if v[0].is_null() {
            return Ok(Value::Null);
        }
        let (elements, value) = (array(&v[0]), std::slice::from_ref(&v[1]));
        // Slices are copied in a quarter of the time that an iterator takes, and `aggregate` may append each element of many.
        let longer = if first {
            [value, elements].concat()
        } else {
            [elements, value].concat()
        };
        Ok(Value::Array(longer.into()))
    })
}

fn insert(elements: &[Value], place: i32, value: &Value) -> Outcome {
    let distance = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
    check_elements(distance)?;
    let mut longer = elements.to_vec();
    match place {
        0 => {
            return Err(failed(
                "array_insert: the elements are counted from 1, not 0",
            ));
        }
        1.. => {
            if distance > longer.len() {
                longer.resize(distance - 1, Value::Null);
            }
            longer.insert(distance - 1, value.clone());
        }
        // -1 is the end.
        _ => match (longer.len() + 1).checked_sub(distance) {
            Some(index) => longer.insert(index, value.clone()),
            None => {
                let gap = distance - longer.len() - 1;
                let nulls = std::iter::repeat_n(Value::Null, gap);
                longer.splice(0..0, std::iter::once(value.clone()).chain(nulls));
            }
        },
    }
    Ok(Value::Array(longer.into()))
}
