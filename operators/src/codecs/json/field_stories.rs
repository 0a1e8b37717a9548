//! Fields of a STRUCT that are read alone are those of the whole, whatever the text.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::{JsonOptions, JsonParser, Syntax};
use crate::codecs::Mode;

fn structure(fields: Vec<(&str, DataType)>) -> DataType {
    let fields = fields.into_iter();
    let fields = fields.map(|(name, data_type)| Field::nullable(name, data_type));
    DataType::Struct(fields.collect())
}

fn array(element: DataType) -> DataType {
    DataType::Array(Arc::new(element))
}

fn columns() -> Vec<(&'static str, DataType)> {
    let point = structure(vec![
        ("a", DataType::Int),
        ("b", array(DataType::String)),
        ("c", structure(vec![("a", DataType::Boolean)])),
    ]);
    let decimal = DataType::Decimal {
        precision: 10,
        scale: 2,
    };
    vec![
        ("a", DataType::Int),
        ("b", DataType::String),
        ("c", array(point.clone())),
        ("d", point),
        ("e", DataType::Map(Arc::new((DataType::String, decimal)))),
        ("f", DataType::Timestamp),
        ("g", DataType::Double),
        ("_corrupt_record", DataType::String),
    ]
}

fn parser(columns: Vec<(&str, DataType)>, options: &JsonOptions) -> JsonParser {
    JsonParser::new(&structure(columns), Mode::Permissive, options).unwrap()
}

/// Reads the text whole, and the chosen fields alone; both must agree.
fn agree(text: &str, chosen: &[bool], options: &JsonOptions) {
    let whole = parser(columns(), options).parse(text).unwrap();
    let kept = |place: &usize| chosen.get(*place).copied().unwrap_or(false);
    let places: Vec<usize> = (0..columns().len()).filter(kept).collect();
    let some = places.iter().map(|place| columns()[*place].clone());
    let mut values = vec![Value::from("left from another record"); places.len()];
    let there = parser(some.collect(), options)
        .fields(text, &mut values)
        .unwrap();
    let expected: Vec<Value> = match &whole {
        Value::Struct(fields) => places.iter().map(|place| fields[*place].clone()).collect(),
        _ => vec![Value::Null; places.len()],
    };
    assert_eq!(there, !whole.is_null(), "{text}");
    // As text: NaN is not equal to itself.
    assert_eq!(format!("{values:?}"), format!("{expected:?}"), "{text}");
}

fn options() -> impl Strategy<Value = JsonOptions> {
    (any::<bool>(), any::<bool>()).prop_map(|(loose, strict)| JsonOptions {
        syntax: Syntax {
            comments: loose,
            bare_names: loose,
            single_quotes: !strict,
            leading_zeros: loose,
            any_escape: loose,
            control_characters: loose,
            non_numeric: !strict,
        },
        ..JsonOptions::default()
    })
}

/// A value that may fit a column, or not, or be no JSON.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?[0-9]{1,12}(\\.[0-9]{1,3})?",
        "\"[a-z0-9 ,\\\\\"]{0,6}\"",
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("007".to_owned()),
        Just("NaN".to_owned()),
        Just("\"2024-05-06 07:08:09\"".to_owned()),
        Just("'single'".to_owned()),
        Just("\"\\x\"".to_owned()),
        Just("\"\\ud83d\"".to_owned()),
        Just("/* x */ 1".to_owned()),
        Just(String::new()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec(("[a-d]", inner), 0..4).prop_map(|all| {
                let all: Vec<String> = all
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\": {value}"))
                    .collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

fn object() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "\"[a-i]\"",
        Just("\"_corrupt_record\"".to_owned()),
        Just("\"\\u0061\"".to_owned()),
        "[a-d]",
        "'[a-d]'",
    ];
    let pair = (name, value()).prop_map(|(name, value)| format!("{name}:{value}"));
    prop::collection::vec(pair, 0..9).prop_map(|pairs| format!("{{{}}}", pairs.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn fields_read_alone_are_those_of_the_whole(
        text in prop_oneof![
            6 => object(),
            1 => prop::collection::vec(object(), 0..3).prop_map(|all| format!("[{}]", all.join(","))),
            1 => value(),
            1 => "[ \n]{0,3}",
        ],
        chosen in prop::collection::vec(any::<bool>(), 8),
        options in options(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let text = match cut {
            Some(at) => text.get(..at.index(text.len() + 1)).unwrap_or(&text).to_owned(),
            None => text,
        };
        agree(&text, &chosen, &options);
    }
}

#[test]
fn how_deep_a_value_lies_counts_alike_where_it_is_read_and_where_it_is_not() {
    for levels in 250..262 {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for column in ["b", "c", "d", "e", "other"] {
                let deep = format!("{}1{}", open.repeat(levels), close.repeat(levels));
                let text = format!("{{\"{column}\":{deep},\"a\":5}}");
                for place in 0..8 {
                    let chosen: Vec<bool> = (0..8).map(|at| at == place).collect();
                    agree(&text, &chosen, &JsonOptions::default());
                }
            }
        }
    }
}
