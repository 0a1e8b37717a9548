//! Every aggregate: the manual's example, merged, undone and through bytes.

use proptest::prelude::*;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::{Arguments, Constants, Function, Within, all, build, find};
use crate::stateful::grouping::Aggregate;

fn aggregate(function: &'static Function, types: &[DataType], distinct: bool) -> Aggregate {
    let types = function.takes(types).unwrap();
    Aggregate {
        identity: function.name.to_owned(),
        function: function.name,
        arguments: (0..types.len()).collect(),
        filter: None,
        distinct,
        own: function.own,
        ignore_nulls: false,
        result: function.result_type(&types, true).unwrap(),
        ansi: true,
        parameters: match function.constants {
            Constants::Percentages | Constants::PercentagesAndAccuracy => shares(function, 0.3),
            _ => Vec::new(),
        },
        delimiter: ",".to_owned(),
        types,
    }
}

/// The parameters of a share.
fn shares(function: &'static Function, share: f64) -> Vec<f64> {
    let parameters = function.parameters(&[Some(Value::Double(share))]);
    let ascending = (function.within == Within::Needed).then_some(0.0);
    ascending
        .into_iter()
        .chain(parameters.unwrap().numbers)
        .collect()
}

/// The type of an argument that a function takes.
fn argument_of(function: &Function) -> DataType {
    match function.arguments {
        Arguments::Boolean => DataType::Boolean,
        Arguments::Binary => DataType::Binary,
        Arguments::Elements => DataType::Array(DataType::BigInt.into()),
        _ if function.name == "count_if" => DataType::Boolean,
        _ => DataType::BigInt,
    }
}

/// A value as an example writes it, of the type that the function wants.
fn parse(text: &str, wanted: &DataType) -> Value {
    match (text, wanted) {
        ("NULL", _) => Value::Null,
        (text, DataType::Double) => Value::Double(text.parse().unwrap()),
        (text, DataType::Boolean) => Value::Boolean(text.parse().unwrap()),
        (text, DataType::String) => Value::from(text.trim_matches('\'')),
        (text, DataType::BigInt) => Value::BigInt(text.parse().unwrap()),
        (text, DataType::Binary) => {
            let digits = text.trim_start_matches("X'").trim_end_matches('\'');
            Value::Binary([u8::from_str_radix(digits, 16).unwrap()].as_slice().into())
        }
        (text, DataType::Array(element)) => {
            let elements = text.trim_start_matches("array(").trim_end_matches(')');
            Value::Array(
                elements
                    .split(',')
                    .map(|text| parse(text, element))
                    .collect(),
            )
        }
        (text, _) => Value::Int(text.parse().unwrap()),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        Value::String(text) => text.to_string(),
        // A bitmap by its first byte.
        Value::Binary(bytes) => match bytes[1..].iter().all(|byte| *byte == bytes[0]) {
            true => "NULL".to_owned(),
            false => format!("X'{:02X}...'", bytes[0]),
        },
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(show).collect();
            format!("[{}]", values.join(","))
        }
        other => format!("{other:?}"),
    }
}

fn example(function: &'static Function) -> String {
    let (call, rows) = function.example.split_once(" [").unwrap();
    let rows = rows.trim_end_matches(']').replace("), (", ")|(");
    let rows: Vec<Vec<&str>> = if rows.starts_with('(') {
        let pairs = rows.split('|').map(|row| row.trim_matches(['(', ')']));
        pairs.map(|row| row.split(", ").collect()).collect()
    } else {
        rows.split(", ").map(|row| vec![row]).collect()
    };
    let types: Vec<DataType> = (0..rows[0].len())
        .map(|column| match rows[0][column] {
            "true" | "false" => DataType::Boolean,
            text if text.starts_with('\'') => DataType::String,
            text if text.starts_with("X'") => DataType::Binary,
            text if text.starts_with("array") => DataType::Array(DataType::Int.into()),
            _ if function.name == "count_if" => DataType::Boolean,
            _ => DataType::Int,
        })
        .collect();
    let mut aggregate = aggregate(function, &types, false);
    if let Some((_, constant)) = call.split_once("x, 0").or_else(|| call.split_once("(0")) {
        let (constant, _) = constant.split_once(')').unwrap();
        aggregate.parameters = shares(function, constant.parse().unwrap());
    }
    let mut accumulator = build(&aggregate);
    let mut cell = vec![0; accumulator.words()];
    for row in rows {
        let values = row.iter().zip(&aggregate.types);
        let row: Vec<Value> = if function.name == "count_if" {
            // Its argument is `x > 1`.
            vec![
                row[0]
                    .parse::<i32>()
                    .map_or(Value::Null, |x| Value::Boolean(x > 1)),
            ]
        } else {
            values.map(|(text, wanted)| parse(text, wanted)).collect()
        };
        accumulator.update(&mut cell, &row).unwrap();
    }
    show(&accumulator.result(&cell).unwrap())
}

#[test]
fn the_examples_of_the_manual_are_true() {
    for function in all() {
        assert_eq!(example(function), function.result, "{}", function.example);
    }
}

#[test]
fn nothing_gives_zero_or_null() {
    for function in all() {
        let types = vec![argument_of(function); function.arity.0.max(1)];
        let accumulator = build(&aggregate(function, &types, false));
        let nothing = accumulator.result(&vec![0; accumulator.words()]).unwrap();
        let expected = match function.name {
            "count" | "count_if" | "regr_count" | "approx_count_distinct" => "0",
            "collect_list" | "collect_set" | "collect_union" => "[]",
            _ => "NULL",
        };
        assert_eq!(show(&nothing), expected, "{}", function.name);
    }
}

#[test]
fn a_sum_that_overflows_is_an_error_under_ansi_and_wraps_without() {
    let mut ansi = aggregate(find("sum").unwrap(), &[DataType::BigInt], false);
    let row = |number| [Value::BigInt(number)];
    for on in [true, false] {
        ansi.ansi = on;
        let mut sum = build(&ansi);
        let mut cell = vec![0; sum.words()];
        sum.update(&mut cell, &row(i64::MAX)).unwrap();
        assert_eq!(sum.update(&mut cell, &row(1)).is_err(), on);
        let expected = if on { i64::MAX } else { i64::MIN };
        assert_eq!(sum.result(&cell), Ok(Value::BigInt(expected)));
    }
}

#[test]
fn decimals_keep_their_digits() {
    let decimal = DataType::Decimal {
        precision: 5,
        scale: 2,
    };
    let values = [12345_i128, -1, 99999];
    let mut results = Vec::new();
    for name in ["sum", "avg", "max"] {
        let mut accumulator = build(&aggregate(
            find(name).unwrap(),
            std::slice::from_ref(&decimal),
            false,
        ));
        let mut cell = vec![0; accumulator.words()];
        for value in values {
            let row = [Value::Decimal(value.into())];
            accumulator.update(&mut cell, &row).unwrap();
        }
        results.push(accumulator.result(&cell).unwrap());
    }
    // 1123.43, 374.476667 and 999.99.
    let expected = [112_343_i128, 374_476_667, 99999].map(|n| Value::Decimal(n.into()));
    assert_eq!(results, expected);
}

#[test]
fn an_estimate_is_near_and_exact_for_few() {
    let mut hll = build(&aggregate(
        find("approx_count_distinct").unwrap(),
        &[DataType::BigInt],
        false,
    ));
    let mut cell = vec![0; hll.words()];
    for (upto, tolerance) in [(10_i64, 0.0), (1000, 0.12), (100_000, 0.12)] {
        for number in 0..upto {
            hll.update(&mut cell, &[Value::BigInt(number)]).unwrap();
        }
        let Ok(Value::BigInt(found)) = hll.result(&cell) else {
            panic!("no count");
        };
        #[allow(clippy::cast_precision_loss)]
        let off = (found - upto).abs() as f64 / upto as f64;
        assert!(off <= tolerance, "{found} of {upto}");
    }
}

#[test]
fn an_estimate_is_the_one_that_spark_gives() {
    for (upto, spark) in [
        (10, 10),
        (100, 103),
        (300, 296),
        (390, 392),
        (420, 414),
        (600, 612),
        (1000, 1026),
        (2000, 1947),
        (5000, 4671),
        (100_000, 95546),
    ] {
        let function = find("approx_count_distinct").unwrap();
        let mut hll = build(&aggregate(function, &[DataType::BigInt], false));
        let mut cell = vec![0; hll.words()];
        for number in 0..upto {
            hll.update(&mut cell, &[Value::BigInt(number)]).unwrap();
        }
        assert_eq!(hll.result(&cell), Ok(Value::BigInt(spark)), "{upto}");
    }
}

#[test]
fn distinct_counts_each_combination_once_and_no_nulls() {
    let types = [DataType::BigInt, DataType::String];
    let mut count = build(&aggregate(find("count").unwrap(), &types, true));
    let mut cell = vec![0; count.words()];
    for (a, b) in [(1, "x"), (1, "y"), (1, "x"), (2, "x")] {
        let row = [Value::BigInt(a), Value::from(b)];
        count.update(&mut cell, &row).unwrap();
    }
    count
        .update(&mut cell, &[Value::Null, Value::from("x")])
        .unwrap();
    assert_eq!(count.result(&cell), Ok(Value::BigInt(3)));
}

/// Doubles are equal to a few digits, all else exactly.
fn near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => {
            (a - b).abs() <= 1e-6 * (1.0 + a.abs()) || (a.is_nan() && b.is_nan())
        }
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn merged_undone_and_read_back_it_is_the_same(
        numbers in prop::collection::vec((prop::option::of(-20..20_i64), -20..20_i64), 1..30),
        at in 0..30_usize,
        distinct: bool,
    ) {
        for function in all() {
            let types = vec![argument_of(function); function.arity.0.max(1)];
            let aggregate = aggregate(function, &types, distinct && function.arity.0 == 1);
            let row = |&(x, y): &(Option<i64>, i64)| -> Vec<Value> {
                let value = |number: Option<i64>, wanted: &DataType| match (number, wanted) {
                    (None, _) => Value::Null,
                    (Some(n), DataType::Boolean) => Value::Boolean(n > 0),
                    #[allow(clippy::cast_precision_loss)]
                    (Some(n), DataType::Double) => Value::Double(n as f64),
                    (Some(n), DataType::String) => Value::from(n.to_string().as_str()),
                    (Some(n), DataType::Binary) => Value::Binary(n.to_le_bytes().as_slice().into()),
                    (Some(n), DataType::Array(_)) => Value::Array([Value::BigInt(n), Value::BigInt(n / 2)].as_slice().into()),
                    (Some(n), _) if function.arguments == Arguments::Place => Value::BigInt(n + 20),
                    (Some(n), _) => Value::BigInt(n),
                };
                [x, Some(y)].into_iter().zip(&aggregate.types).map(|(n, t)| value(n, t)).collect()
            };
            let at = at.min(numbers.len());
            let mut accumulator = build(&aggregate);
            let words = accumulator.words();
            let [mut whole, mut left, mut right] = [vec![0; words], vec![0; words], vec![0; words]];
            for (place, pair) in numbers.iter().enumerate() {
                accumulator.update(&mut whole, &row(pair)).unwrap();
                let part = if place < at { &mut left } else { &mut right };
                accumulator.update(part, &row(pair)).unwrap();
            }
            accumulator.accept();
            let expected = accumulator.result(&whole).unwrap();

            // What is undone leaves no trace.
            let kept = left.clone();
            accumulator.update(&mut left, &row(&(Some(19), -19))).unwrap();
            accumulator.merge(&mut left, &right).unwrap();
            accumulator.reject();
            left = kept;
            accumulator.merge(&mut left, &right).unwrap();
            accumulator.accept();
            let merged = accumulator.result(&left).unwrap();
            prop_assert!(near(&merged, &expected), "{}: {merged:?} {expected:?}", function.name);

            let (mut bytes, mut again) = (Vec::new(), Vec::new());
            accumulator.write(&whole, &mut bytes);
            let mut other = build(&aggregate);
            let mut cell = vec![0; words];
            prop_assert_eq!(other.read(&mut cell, &mut bytes.as_slice()), Some(()));
            other.write(&cell, &mut again);
            prop_assert_eq!(&again, &bytes);
            prop_assert_eq!(other.result(&cell).unwrap(), expected);

            accumulator.free(&whole);
            accumulator.free(&left);
            accumulator.free(&right);
            accumulator.accept();
        }
    }
}
