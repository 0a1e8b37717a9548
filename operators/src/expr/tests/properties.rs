//! Properties: no expression panics over any row, decimals agree with a slow model, casts come back.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::testing::cases;

use crate::expr::calendar::Zone;
use crate::expr::check::check;
use crate::expr::compare::{compare, equal};
use crate::expr::decimal;
use crate::expr::functions;
use crate::expr::scope::Scope;
use crate::expr::testing::{meta, scope, try_parse};
use crate::expr::{cast, text};

/// Columns of every simple type.
fn columns() -> Vec<Field> {
    let types = [
        DataType::Boolean,
        DataType::TinyInt,
        DataType::SmallInt,
        DataType::Int,
        DataType::BigInt,
        DataType::Float,
        DataType::Double,
        DataType::Decimal {
            precision: 38,
            scale: 10,
        },
        DataType::String,
        DataType::Binary,
        DataType::Date,
        DataType::Timestamp,
        DataType::TimestampNtz,
        DataType::YearMonthInterval,
        DataType::DayTimeInterval,
        DataType::Decimal {
            precision: 5,
            scale: 5,
        },
        DataType::Array(Arc::new(DataType::Int)),
        DataType::Array(Arc::new(DataType::String)),
        DataType::Map(Arc::new((DataType::String, DataType::Int))),
        DataType::Struct(
            vec![
                Field::nullable("a", DataType::Int),
                Field::nullable("b", DataType::String),
            ]
            .into(),
        ),
        DataType::Array(Arc::new(DataType::Map(Arc::new((
            DataType::Int,
            DataType::Double,
        ))))),
    ];
    types
        .into_iter()
        .enumerate()
        .map(|(i, data_type)| Field::nullable(format!("c{i}"), data_type))
        .collect()
}

fn unscaled(precision: u8) -> impl Strategy<Value = i128> {
    let limit = decimal::pow10(precision) - 1;
    prop_oneof![
        -limit..=limit,
        -1000_i128.min(limit)..=1000_i128.min(limit),
        Just(limit),
        Just(-limit)
    ]
}

fn value(data_type: &DataType) -> BoxedStrategy<Value> {
    prop_oneof![4 => some_value(data_type), 1 => Just(Value::Null)].boxed()
}

fn some_value(data_type: &DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::TinyInt => any::<i8>().prop_map(Value::TinyInt).boxed(),
        DataType::SmallInt => any::<i16>().prop_map(Value::SmallInt).boxed(),
        DataType::Int => any::<i32>().prop_map(Value::Int).boxed(),
        DataType::BigInt => any::<i64>().prop_map(Value::BigInt).boxed(),
        DataType::Float => any::<f32>().prop_map(Value::Float).boxed(),
        DataType::Double => any::<f64>().prop_map(Value::Double).boxed(),
        DataType::Decimal { precision, .. } => unscaled(*precision)
            .prop_map(|n| Value::Decimal(n.into()))
            .boxed(),
        DataType::Binary => any::<Vec<u8>>()
            .prop_map(|b| Value::Binary(b.into()))
            .boxed(),
        DataType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        DataType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        DataType::TimestampNtz => any::<i64>().prop_map(Value::TimestampNtz).boxed(),
        DataType::YearMonthInterval => any::<i32>().prop_map(Value::YearMonthInterval).boxed(),
        DataType::DayTimeInterval => any::<i64>().prop_map(Value::DayTimeInterval).boxed(),
        DataType::Array(element) => prop::collection::vec(value(element), 0..4)
            .prop_map(|values| Value::Array(values.into()))
            .boxed(),
        DataType::Map(pair) => prop::collection::vec((some_value(&pair.0), value(&pair.1)), 0..4)
            .prop_map(|mut pairs| {
                pairs.sort_by(|a, b| compare(&a.0, &b.0));
                pairs.dedup_by(|a, b| equal(&a.0, &b.0));
                Value::Map(pairs.into())
            })
            .boxed(),
        DataType::Struct(fields) => fields
            .iter()
            .map(|field| value(&field.data_type))
            .collect::<Vec<_>>()
            .prop_map(|values| Value::Struct(values.into()))
            .boxed(),
        _ => prop_oneof![
            ".{0,12}",
            "[-+]?[0-9]{0,5}[.]?[0-9]{0,5}",
            "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T ][0-9]{1,2}:[0-9]{2}.{0,9}",
        ]
        .prop_map(|text| Value::from(text.as_str()))
        .boxed(),
    }
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    columns()
        .iter()
        .map(|field| value(&field.data_type))
        .collect::<Vec<_>>()
}

/// SQL of any shape; much of it is refused, which is fine.
fn sql() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        8 => (0..21_usize).prop_map(|i| format!("c{i}")),
        1 => Just("NULL".to_owned()),
        1 => Just("0".to_owned()),
        1 => Just("1.5".to_owned()),
        1 => Just("'2024-01-01'".to_owned()),
        1 => Just("INTERVAL 3 DAYS".to_owned()),
        1 => Just("-9223372036854775808".to_owned()),
    ];
    let types = prop::sample::select(vec![
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(38,10)",
        "DECIMAL(3,1)",
        "STRING",
        "BINARY",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMP_NTZ",
        "INTERVAL DAY TO SECOND",
        "INTERVAL YEAR TO MONTH",
    ]);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let operators = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "div", "=", "<", ">=", "<=>", "<>", "AND", "OR", "||", "&",
            "^", "LIKE", "RLIKE", "IS DISTINCT FROM",
        ]);
        prop_oneof![
            6 => (inner.clone(), operators, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            3 => (inner.clone(), types.clone(), any::<bool>()).prop_map(|(a, t, try_)| {
                format!("{}({a} AS {t})", if try_ { "try_cast" } else { "CAST" })
            }),
            1 => inner.clone().prop_map(|a| format!("(- {a})")),
            1 => inner.clone().prop_map(|a| format!("(NOT {a})")),
            1 => inner.clone().prop_map(|a| format!("({a} IS NULL)")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} IN ({b}, {c}))")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} BETWEEN {b} AND {c})")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("CASE WHEN {a} THEN {b} ELSE {c} END")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("coalesce({a}, {b})")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("struct({a}, {b}).col2")),
        ]
    })
}

/// An argument of a function: columns most often, because constants are computed when the job is checked.
fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => (0..21_usize).prop_map(|i| format!("c{i}")),
        1 => prop::sample::select(vec![
            "NULL", "-1", "0", "1", "3", "2147483647", "1.5", "'a'", "''", "'yyyy-MM-dd'", "'[a-z'",
            "'MONTH'", "'Europe/Berlin'", "'a INT, b STRING'", "'$.a[0]'", "x -> x", "(x, y) -> x",
            "(x, y) -> x + y", "x -> x > 1",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Whether a value is of a type.
fn is_of(value: &Value, data_type: &DataType) -> bool {
    use DataType as T;
    match (value, data_type) {
        (Value::Null, _) => true,
        (Value::Decimal(number), T::Decimal { precision, .. }) => {
            decimal::fits(i128::from(*number), *precision)
        }
        (Value::Boolean(_), T::Boolean)
        | (Value::TinyInt(_), T::TinyInt)
        | (Value::SmallInt(_), T::SmallInt)
        | (Value::Int(_), T::Int)
        | (Value::BigInt(_), T::BigInt)
        | (Value::Float(_), T::Float)
        | (Value::Double(_), T::Double)
        | (Value::String(_), T::String)
        | (Value::Binary(_), T::Binary)
        | (Value::Date(_), T::Date)
        | (Value::Timestamp(_), T::Timestamp)
        | (Value::TimestampNtz(_), T::TimestampNtz)
        | (Value::YearMonthInterval(_), T::YearMonthInterval)
        | (Value::DayTimeInterval(_), T::DayTimeInterval) => true,
        (Value::Array(values), T::Array(element)) => values.iter().all(|v| is_of(v, element)),
        (Value::Map(pairs), T::Map(pair)) => pairs
            .iter()
            .all(|(key, value)| is_of(key, &pair.0) && is_of(value, &pair.1)),
        (Value::Struct(values), T::Struct(fields)) => {
            values.len() == fields.len()
                && values
                    .iter()
                    .zip(fields.iter())
                    .all(|(v, f)| is_of(v, &f.data_type))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1500)))]

    #[test]
    fn no_expression_panics_and_every_value_is_of_its_type(
        sql in sql(), row in row(), ansi in any::<bool>(), berlin in any::<bool>(),
    ) {
        let scope = Scope {
            ansi,
            time_zone: if berlin { Zone::Region(chrono_tz::Tz::Europe__Berlin) } else { Zone::UTC },
            ..scope(&columns())
        };
        // Some of it is not even SQL to the parser.
        let typed = try_parse(&sql).ok().and_then(|expr| check(&expr, &scope).ok());
        if let Some(typed) = typed {
            prop_assert!(!typed.to_string().is_empty());
            if let Ok(value) = typed.compile().eval(&row, &meta()) {
                prop_assert!(is_of(&value, &typed.data_type), "{} gave {:?} for {}", sql, value, typed.data_type);
                prop_assert!(typed.nullable || !value.is_null(), "{} is NULL", sql);
                let mut out = String::new();
                text::append(&mut out, &value, &typed.data_type, scope.time_zone);
            }
        }
    }

    #[test]
    fn no_function_panics_and_every_value_is_of_its_type(
        function in prop::sample::select(functions::all().collect::<Vec<_>>()),
        args in prop::collection::vec(argument(), 0..5),
        row in row(),
        ansi in any::<bool>(),
    ) {
        let scope = Scope { ansi, ..scope(&columns()) };
        let sql = format!("{}({})", function.name, args.join(", "));
        let typed = try_parse(&sql).ok().and_then(|expr| check(&expr, &scope).ok());
        if let Some(typed) = typed
            && let Ok(value) = typed.compile().eval(&row, &meta())
        {
            prop_assert!(is_of(&value, &typed.data_type), "{} gave {:?} for {}", sql, value, typed.data_type);
            prop_assert!(typed.nullable || !value.is_null(), "{} is NULL", sql);
            let mut out = String::new();
            text::append(&mut out, &value, &typed.data_type, scope.time_zone);
        }
    }

    #[test]
    fn reading_a_text_never_panics(text in ".{0,40}") {
        for field in columns() {
            let _ = cast::parse(&text, &field.data_type, Zone::Region(chrono_tz::Tz::Europe__Berlin), false);
            let _ = cast::parse(&text, &field.data_type, Zone::UTC, true);
        }
    }

    #[test]
    fn what_is_written_is_read_back(row in row()) {
        for (field, value) in columns().iter().zip(&row) {
            let nothing = matches!(
                value,
                Value::Null | Value::Binary(_) | Value::String(_) | Value::Array(_) | Value::Map(_) | Value::Struct(_)
            );
            // Beyond the years of the calendar that texts can name.
            let far = match value {
                Value::Timestamp(micros) | Value::TimestampNtz(micros) => micros.abs() > 1 << 60,
                Value::Date(days) => days.abs() > 3_000_000,
                _ => false,
            };
            if nothing || far {
                continue;
            }
            let mut out = String::new();
            text::append(&mut out, value, &field.data_type, Zone::UTC);
            let back = cast::parse(&out, &field.data_type, Zone::UTC, false);
            let same = back.as_ref().is_some_and(|back| equal(back, value));
            prop_assert!(same, "{:?} as {} came back as {:?}", value, out, back);
        }
    }
}

/// Numbers of many digits as vectors of them: slow, and simple enough to be right.
mod model {
    use std::cmp::Ordering;

    /// Least digit first, without leading zeros at the end.
    #[derive(Clone, Debug, PartialEq)]
    pub(super) struct Big(Vec<u8>);

    impl Big {
        pub(super) fn of(number: u128) -> Self {
            let digits = number.to_string().bytes().rev().map(|b| b - b'0').collect();
            Self(digits).trimmed()
        }

        fn trimmed(mut self) -> Self {
            while self.0.last() == Some(&0) {
                self.0.pop();
            }
            self
        }

        pub(super) fn shifted(mut self, zeros: u8) -> Self {
            self.0
                .splice(0..0, std::iter::repeat_n(0, usize::from(zeros)));
            self.trimmed()
        }

        pub(super) fn plus(&self, other: &Self) -> Self {
            let mut sum = Vec::new();
            let mut carry = 0;
            for i in 0..self.0.len().max(other.0.len()) + 1 {
                let digit = self.0.get(i).unwrap_or(&0) + other.0.get(i).unwrap_or(&0) + carry;
                sum.push(digit % 10);
                carry = digit / 10;
            }
            Self(sum).trimmed()
        }

        /// Of a greater or equal number.
        pub(super) fn minus(&self, other: &Self) -> Self {
            let mut rest = Vec::new();
            let mut borrow = 0_i8;
            for i in 0..self.0.len() {
                let digit = self.0[i] as i8 - *other.0.get(i).unwrap_or(&0) as i8 - borrow;
                borrow = i8::from(digit < 0);
                rest.push(digit.rem_euclid(10) as u8);
            }
            Self(rest).trimmed()
        }

        pub(super) fn times(&self, other: &Self) -> Self {
            let mut product = Self(Vec::new());
            for (place, digit) in other.0.iter().enumerate() {
                for _ in 0..*digit {
                    product = product.plus(&self.clone().shifted(place as u8));
                }
            }
            product
        }

        pub(super) fn order(&self, other: &Self) -> Ordering {
            self.0
                .len()
                .cmp(&other.0.len())
                .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
        }

        /// Quotient and remainder.
        pub(super) fn divided(&self, divisor: &Self) -> (Self, Self) {
            let (mut quotient, mut rest) = (vec![], Self(vec![]));
            for digit in self.0.iter().rev() {
                rest.0.insert(0, *digit);
                rest = rest.trimmed();
                let mut count = 0;
                while rest.order(divisor) != Ordering::Less {
                    rest = rest.minus(divisor);
                    count += 1;
                }
                quotient.insert(0, count);
            }
            (Self(quotient).trimmed(), rest)
        }

        /// The quotient rounded HALF_UP.
        pub(super) fn rounded(&self, divisor: &Self) -> Self {
            let (quotient, rest) = self.divided(divisor);
            if rest.plus(&rest).order(divisor) == Ordering::Less {
                quotient
            } else {
                quotient.plus(&Self::of(1))
            }
        }

        /// None above `precision` digits.
        pub(super) fn number(&self, negative: bool, precision: u8) -> Option<i128> {
            if self.0.len() > usize::from(precision) {
                return None;
            }
            let number = self
                .0
                .iter()
                .rev()
                .fold(0_i128, |n, d| n * 10 + i128::from(*d));
            Some(if negative { -number } else { number })
        }
    }
}

/// A decimal with its type.
fn typed_decimal() -> impl Strategy<Value = (i128, u8, u8)> {
    (1..=38_u8)
        .prop_flat_map(|precision| (Just(precision), 0..=precision))
        .prop_flat_map(|(precision, scale)| (unscaled(precision), Just(precision), Just(scale)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(800)))]

    #[test]
    fn decimal_arithmetic_agrees_with_the_slow_model(a in typed_decimal(), b in typed_decimal()) {
        use model::Big;
        let ((a, p1, s1), (b, p2, s2)) = (a, b);
        let (x, y) = (Big::of(a.unsigned_abs()), Big::of(b.unsigned_abs()));
        let ten = |n: u8| Big::of(1).shifted(n);

        let (precision, scale) = decimal::product_type((p1, s1), (p2, s2));
        let expected = x.times(&y).rounded(&ten(s1 + s2 - scale)).number((a < 0) != (b < 0), precision);
        prop_assert_eq!(decimal::multiply((a, s1), (b, s2), precision, scale), expected);

        let common = s1.max(s2);
        let (left, right) = (x.clone().shifted(common - s1), y.clone().shifted(common - s2));
        let (precision, scale) = decimal::sum_type((p1, s1), (p2, s2));
        let (sum, negative) = if (a < 0) == (b < 0) {
            (left.plus(&right), a < 0)
        } else if left.order(&right) == std::cmp::Ordering::Less {
            (right.minus(&left), b < 0)
        } else {
            (left.minus(&right), a < 0)
        };
        let expected = sum.rounded(&ten(common - scale)).number(negative, precision);
        prop_assert_eq!(decimal::add((a, s1), (b, s2), precision, scale), expected);

        let order = decimal::compare((a, s1), (b, s2));
        let of_magnitudes = left.order(&right);
        let expected = match (a < 0, b < 0) {
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            (true, true) => of_magnitudes.reverse(),
            (false, false) => of_magnitudes,
        };
        prop_assert_eq!(order, expected);

        if b != 0 {
            let (precision, scale) = decimal::quotient_type((p1, s1), (p2, s2));
            let shift = i32::from(scale) - i32::from(s1) + i32::from(s2);
            let (dividend, divisor) = if shift >= 0 {
                (x.clone().shifted(shift as u8), y.clone())
            } else {
                (x.clone(), y.clone().shifted((-shift) as u8))
            };
            let expected = dividend.rounded(&divisor).number((a < 0) != (b < 0), precision);
            prop_assert_eq!(decimal::divide((a, s1), (b, s2), precision, scale), expected);

            let (precision, scale) = decimal::remainder_type((p1, s1), (p2, s2));
            let rest = left.divided(&right).1;
            let expected = rest.rounded(&ten(common - scale)).number(a < 0, precision);
            prop_assert_eq!(decimal::remainder((a, s1), (b, s2), precision, scale), expected);
        }
    }
}
