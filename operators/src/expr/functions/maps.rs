//! Functions of maps and structs.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::Param::{Any, Array, Lambda, Map, Text};
use super::array_sets::Seen;
use super::arrays::{array_of, element};
use super::forms::{failed, string};
use super::java_regex::{Patterns, after, find};
use super::lambdas::{condition, higher_order};
use super::{BindContext, Function, function};
use crate::expr::access::{array, fields, map, text};
use crate::expr::body::Outcome;
use crate::expr::coerce;
use crate::expr::compare::equal;
use crate::expr::operators;
use crate::expr::typed::{Kind, Typed};
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "map",
        "map(key, value, ...)",
        "A map of keys and values. A NULL key, or one key twice, is an error.",
        "map(1.0, '2', 3.0, '4')",
        "{1.0 -> 2, 3.0 -> 4}",
        |args, cx| {
            if args.len() % 2 != 0 {
                return Err(cx.error("expected a value after each key"));
            }
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (i, arg) in args.into_iter().enumerate() {
                if i % 2 == 0 { &mut keys } else { &mut values }.push(arg);
            }
            let (keys, key) = cx.same_type(keys)?;
            let (values, value) = cx.same_type(values)?;
            check_key(&key, cx)?;
            let args = keys.into_iter().zip(values).flat_map(|(k, v)| [k, v]).collect();
            cx.with_nulls(map_of(key, value), false, args, |v| {
                build(v.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())))
            })
        },
    ),
    function(
        "map_keys",
        "map_keys(map)",
        "The keys as an array.",
        "map_keys(map(1, 'a', 2, 'b'))",
        "[1, 2]",
        |args, cx| {
            let args = cx.take(args, &[Map], 1)?;
            let (key, _) = pair(&args[0]);
            cx.strict(array_of(key), args, |v| {
                Ok(Value::Array(map(&v[0]).iter().map(|(key, _)| key.clone()).collect()))
            })
        },
    ),
    function(
        "map_values",
        "map_values(map)",
        "The values as an array.",
        "map_values(map(1, 'a', 2, 'b'))",
        "[a, b]",
        |args, cx| {
            let args = cx.take(args, &[Map], 1)?;
            let (_, value) = pair(&args[0]);
            cx.strict(array_of(value), args, |v| {
                Ok(Value::Array(map(&v[0]).iter().map(|(_, value)| value.clone()).collect()))
            })
        },
    ),
    function(
        "map_entries",
        "map_entries(map)",
        "The pairs as an array of structs of key and value.",
        "map_entries(map(1, 'a', 2, 'b'))",
        "[{1, a}, {2, b}]",
        |args, cx| {
            let args = cx.take(args, &[Map], 1)?;
            let (key, value) = pair(&args[0]);
            let fields = [Field::required("key", key), Field::nullable("value", value)];
            cx.strict(array_of(DataType::Struct(fields.into())), args, |v| {
                let entries = map(&v[0])
                    .iter()
                    .map(|(key, value)| Value::Struct([key.clone(), value.clone()].into()));
                Ok(Value::Array(entries.collect()))
            })
        },
    ),
    function(
        "map_from_arrays",
        "map_from_arrays(keys, values)",
        "A map of two arrays of one length.",
        "map_from_arrays(array(1.0, 3.0), array('2', '4'))",
        "{1.0 -> 2, 3.0 -> 4}",
        |args, cx| {
            let args = cx.take(args, &[Array, Array], 2)?;
            let key = element(&args[0]);
            check_key(&key, cx)?;
            cx.strict(map_of(key, element(&args[1])), args, |v| {
                let (keys, values) = (array(&v[0]), array(&v[1]));
                if keys.len() != values.len() {
                    return Err(failed("map_from_arrays: the arrays differ in length"));
                }
                build(keys.iter().cloned().zip(values.iter().cloned()))
            })
        },
    ),
    function(
        "map_from_entries",
        "map_from_entries(array of structs)",
        "A map of structs of key and value; NULL where one of them is NULL.",
        "map_from_entries(array(struct(1, 'a'), struct(2, 'b')))",
        "{1 -> a, 2 -> b}",
        |args, cx| {
            let args = cx.take(args, &[Array], 1)?;
            let (key, value) = match element(&args[0]) {
                DataType::Struct(fields) if fields.len() == 2 => {
                    (fields[0].data_type.clone(), fields[1].data_type.clone())
                }
                other => {
                    return Err(cx.error(format!(
                        "expected an array of structs of two fields, got ARRAY<{other}>"
                    )));
                }
            };
            check_key(&key, cx)?;
            cx.partial(map_of(key, value), args, |v| {
                let entries = array(&v[0]);
                if entries.iter().any(Value::is_null) {
                    return Ok(Value::Null);
                }
                build(entries.iter().map(|entry| {
                    let mut values = fields(entry).iter().cloned();
                    let mut next = || values.next().unwrap_or_default();
                    (next(), next())
                }))
            })
        },
    ),
    function(
        "map_concat",
        "map_concat(a, b, ...)",
        "One map of the pairs of all. One key twice is an error.",
        "map_concat(map(1, 'a', 2, 'b'), map(3, 'c'))",
        "{1 -> a, 2 -> b, 3 -> c}",
        |args, cx| {
            let args = cx.take_all(args, Map, 0)?;
            let (args, data_type) = cx.same_type(args)?;
            let data_type = match data_type {
                DataType::Void => map_of(DataType::String, DataType::String),
                other => other,
            };
            cx.strict(data_type, args, |v| build(v.iter().flat_map(map).cloned()))
        },
    ),
    function(
        "map_contains_key",
        "map_contains_key(map, key)",
        "Whether the map has the key.",
        "map_contains_key(map(1, 'a', 2, 'b'), 1)",
        "true",
        |args, cx| {
            let args = with_key(args, cx)?;
            cx.strict(DataType::Boolean, args, |v| {
                let has = map(&v[0]).iter().any(|(key, _)| equal(key, &v[1]));
                Ok(Value::Boolean(has))
            })
        },
    ),
    function(
        "str_to_map",
        "str_to_map(text[, pairs[, key]])",
        "A map of a text; both delimiters are regular expressions, by default ',' between pairs and ':' after a key.",
        "str_to_map('a:1,b:2,c', ',', ':')",
        "{a -> 1, b -> 2, c -> null}",
        str_to_map,
    ),
    function(
        "map_filter",
        "map_filter(map, (key, value) -> condition)",
        "The pairs for which the condition is true.",
        "map_filter(map(1, 0, 2, 2, 3, -1), (k, v) -> k > v)",
        "{1 -> 0, 3 -> -1}",
        |args, cx| {
            let args = cx.take(args, &[Map, Lambda], 2)?;
            condition(&args[1], cx)?;
            higher_order(cx, args[0].data_type.clone(), args, |v, lambdas, meta| {
                let mut kept = Vec::new();
                for (key, value) in map(&v[0]) {
                    let both = [key.clone(), value.clone()];
                    if lambdas[0].call(both, meta)? == Value::Boolean(true) {
                        kept.push((key.clone(), value.clone()));
                    }
                }
                Ok(Value::Map(kept.into()))
            })
        },
    )
    .lambda(key_and_value),
    function(
        "transform_keys",
        "transform_keys(map, (key, value) -> expr)",
        "The map with each key replaced. A NULL key, or one key twice, is an error.",
        "transform_keys(map_from_arrays(array(1, 2, 3), array(1, 2, 3)), (k, v) -> k + 1)",
        "{2 -> 1, 3 -> 2, 4 -> 3}",
        |args, cx| {
            let args = cx.take(args, &[Map, Lambda], 2)?;
            let key = args[1].data_type.clone();
            check_key(&key, cx)?;
            let (_, value) = pair(&args[0]);
            higher_order(cx, map_of(key, value), args, |v, lambdas, meta| {
                let mut pairs = Vec::new();
                for (key, value) in map(&v[0]) {
                    let new = lambdas[0].call([key.clone(), value.clone()], meta)?;
                    pairs.push((new, value.clone()));
                }
                build(pairs.into_iter())
            })
        },
    )
    .lambda(key_and_value),
    function(
        "transform_values",
        "transform_values(map, (key, value) -> expr)",
        "The map with each value replaced.",
        "transform_values(map_from_arrays(array(1, 2, 3), array(1, 2, 3)), (k, v) -> v + 1)",
        "{1 -> 2, 2 -> 3, 3 -> 4}",
        |args, cx| {
            let args = cx.take(args, &[Map, Lambda], 2)?;
            let (key, _) = pair(&args[0]);
            let data_type = map_of(key, args[1].data_type.clone());
            higher_order(cx, data_type, args, |v, lambdas, meta| {
                map(&v[0])
                    .iter()
                    .map(|(key, value)| {
                        let new = lambdas[0].call([key.clone(), value.clone()], meta)?;
                        Ok((key.clone(), new))
                    })
                    .collect::<Result<Arc<[_]>, RecordError>>()
                    .map(Value::Map)
            })
        },
    )
    .lambda(key_and_value),
    function(
        "map_zip_with",
        "map_zip_with(a, b, (key, x, y) -> expr)",
        "One map from two: for each key of one or the other what the lambda makes of both values, NULL for a missing one.",
        "map_zip_with(map(1, 'a', 2, 'b'), map(1, 'x', 2, 'y'), (k, v1, v2) -> concat(v1, v2))",
        "{1 -> ax, 2 -> by}",
        |args, cx| {
            let mut args = cx.take(args, &[Map, Map, Lambda], 3)?;
            let Some(key) = key_of_both(&args) else {
                return Err(cx.error("the keys of both maps must have one type"));
            };
            for place in [0, 1] {
                let to = map_of(key.clone(), pair(&args[place]).1);
                let given = args[place].clone();
                args[place] = coerce::cast_implicitly(given, &to, cx.settings);
            }
            let data_type = map_of(key, args[2].data_type.clone());
            higher_order(cx, data_type, args, |v, lambdas, meta| {
                let (a, b) = (map(&v[0]), map(&v[1]));
                let (of_a, of_b) = (ByKey::new(a), ByKey::new(b));
                let only_b = b.iter().filter(|(key, _)| of_a.get(key).is_none());
                a.iter()
                    .chain(only_b)
                    .map(|(key, _)| {
                        let values = [of_a.get(key), of_b.get(key)];
                        let [x, y] = values.map(|value| value.cloned().unwrap_or_default());
                        let new = lambdas[0].call([key.clone(), x, y], meta)?;
                        Ok((key.clone(), new))
                    })
                    .collect::<Result<Arc<[_]>, RecordError>>()
                    .map(Value::Map)
            })
        },
    )
    .lambda(|before, parameters| {
        let ((_, a), (_, b)) = (pair(before.first()?), pair(before.get(1)?));
        let key = key_of_both(before)?;
        (parameters == 3).then(|| vec![(key, false), (a, true), (b, true)])
    }),
    function(
        "struct",
        "struct(a, b, ...)",
        "A struct of the arguments; its fields have the columns' names, or col1, col2, ...",
        "struct(1, 'a')",
        "{1, a}",
        |args, cx| {
            let names = args
                .iter()
                .enumerate()
                .map(|(i, arg)| match &arg.kind {
                    Kind::Column { name, .. } | Kind::Variable { name, .. } => name.clone(),
                    _ => SmolStr::new(format!("col{}", i + 1)),
                })
                .collect();
            Ok(operators::structure(names, args, cx.at))
        },
    ),
    function(
        "named_struct",
        "named_struct(name, value, ...)",
        "A struct of names, which must be constants, and values.",
        "named_struct('a', 1, 'b', 2).b",
        "2",
        |args, cx| {
            if args.len() % 2 != 0 {
                return Err(cx.error("expected a value after each name"));
            }
            let (mut names, mut values) = (Vec::new(), Vec::new());
            for (i, arg) in args.into_iter().enumerate() {
                if i % 2 == 1 {
                    values.push(arg);
                } else if let Some(name) = arg.constant_text() {
                    names.push(SmolStr::new(name));
                } else {
                    return Err(cx.error(format!("argument {} must be a constant name", i + 1)));
                }
            }
            Ok(operators::structure(names, values, cx.at))
        },
    ),
];

/// The type of maps of this key and value.
fn map_of(key: DataType, value: DataType) -> DataType {
    DataType::Map(Arc::new((key, value)))
}

/// Key and value type of a map argument.
fn pair(map: &Typed) -> (DataType, DataType) {
    match &map.data_type {
        DataType::Map(pair) => (pair.0.clone(), pair.1.clone()),
        _ => (DataType::Void, DataType::Void),
    }
}

fn check_key(key: &DataType, cx: &BindContext) -> Result<(), JobError> {
    if matches!(key, DataType::Map(_)) {
        return Err(cx.error("a MAP cannot be a key"));
    }
    Ok(())
}

/// A map and a key, the key brought to the type of the map's keys.
pub(super) fn with_key(args: Vec<Typed>, cx: &BindContext) -> Result<Vec<Typed>, JobError> {
    let mut args = cx.take(args, &[Map, Any], 2)?;
    let (held, _) = pair(&args[0]);
    let given = args[1].data_type.clone();
    match coerce::wider(&held, &given, cx.settings.ansi) {
        Some(common) if common == held => {
            let key = args.remove(1);
            args.push(coerce::cast_implicitly(key, &held, cx.settings));
            Ok(args)
        }
        _ => Err(cx.error(format!("the keys are {held}, the key is {given}"))),
    }
}

/// A map of pairs, each key once and not NULL.
fn build(pairs: impl Iterator<Item = (Value, Value)>) -> Outcome {
    let mut seen = Seen::default();
    let pairs: Vec<(Value, Value)> = pairs.collect();
    for (key, _) in &pairs {
        if key.is_null() {
            return Err(failed("a key of a map must not be NULL"));
        }
        if !seen.add(key) {
            return Err(failed("a map must not have one key twice"));
        }
    }
    Ok(Value::Map(pairs.into()))
}

/// The values of a map, found by their keys. Of a key that stands twice, as in a map from elsewhere, the first counts.
struct ByKey<'m> {
    keys: Seen,
    values: Vec<&'m Value>,
}

impl<'m> ByKey<'m> {
    fn new(pairs: &'m [(Value, Value)]) -> Self {
        let mut keys = Seen::default();
        let first = pairs.iter().filter(|(key, _)| keys.add(key));
        let values = first.map(|(_, value)| value).collect();
        Self { keys, values }
    }

    fn get(&self, key: &Value) -> Option<&'m Value> {
        self.keys.place(key).map(|place| self.values[place])
    }
}

/// The type that holds the keys of the first two maps.
fn key_of_both(maps: &[Typed]) -> Option<DataType> {
    coerce::wider(&pair(maps.first()?).0, &pair(maps.get(1)?).0, true)
}

fn key_and_value(before: &[Typed], parameters: usize) -> Option<Vec<(DataType, bool)>> {
    let (key, value) = pair(before.first()?);
    (parameters == 2).then(|| vec![(key, false), (value, true)])
}

fn str_to_map(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Text, Text, Text], 1)?;
    for default in [",", ":"].into_iter().skip(args.len() - 1) {
        args.push(Typed::literal(
            Value::from(default),
            DataType::String,
            cx.at,
        ));
    }
    let wrong = |error| cx.error(format!("the delimiter is no regular expression: {error}"));
    let pairs = Patterns::of(&args[1]).map_err(wrong)?;
    let keys = Patterns::of(&args[2]).map_err(wrong)?;
    let data_type = map_of(DataType::String, DataType::String);
    super::forms::strict_scratch(cx, data_type, args, move || {
        let (mut pairs, mut keys) = (pairs.clone(), keys.clone());
        Box::new(move |v| {
            let whole = text(&v[0]);
            let (pairs, keys) = (pairs.get(&v[1], whole)?, keys.get(&v[2], whole)?);
            let mut made = Vec::new();
            let mut rest = Some(whole);
            while let Some(whole) = rest {
                let (entry, next) = cut(pairs, whole)?;
                let (key, value) = cut(keys, entry)?;
                made.push((string(key), value.map_or(Value::Null, string)));
                rest = next;
            }
            build(made.into_iter())
        })
    })
}

/// What stands before and after the first match that is not empty, or lies within the text.
fn cut<'t>(
    regex: &fancy_regex::Regex,
    whole: &'t str,
) -> Result<(&'t str, Option<&'t str>), RecordError> {
    let mut from = Some(0);
    while let Some(start) = from {
        let Some(found) = find(regex, whole, start)? else {
            break;
        };
        if found.end() > 0 && found.start() < whole.len() {
            return Ok((&whole[..found.start()], Some(&whole[found.end()..])));
        }
        from = after(whole, found.start(), found.end());
    }
    Ok((whole, None))
}
