//! Which type several have in common.

use thalweg_engine::schema::DataType;

use crate::expr::coerce::{comparable, wider};

const fn decimal(precision: u8, scale: u8) -> DataType {
    DataType::Decimal { precision, scale }
}

#[test]
fn the_wider_type_is_sparks() {
    use DataType as T;
    let ansi = [
        (T::Int, T::BigInt, Some(T::BigInt)),
        (T::Int, T::Float, Some(T::Double)),
        (T::Float, T::Double, Some(T::Double)),
        (T::Int, decimal(5, 2), Some(decimal(12, 2))),
        (T::BigInt, decimal(38, 10), Some(decimal(38, 10))),
        (decimal(38, 0), decimal(38, 10), Some(decimal(38, 0))),
        (decimal(10, 2), T::Double, Some(T::Double)),
        (T::String, T::Int, Some(T::BigInt)),
        (T::String, decimal(5, 2), Some(T::Double)),
        (T::String, T::Date, Some(T::Date)),
        (T::Date, T::Timestamp, Some(T::Timestamp)),
        (T::Void, T::Binary, Some(T::Binary)),
        (T::Boolean, T::Int, None),
        (T::Date, T::Int, None),
    ];
    for (a, b, expected) in ansi {
        assert_eq!(wider(&a, &b, true), expected, "{a} and {b}");
        assert_eq!(wider(&b, &a, true), expected, "{b} and {a}");
    }
    assert_eq!(wider(&T::Int, &T::Float, false), Some(T::Float));
    assert_eq!(wider(&T::String, &T::Int, false), Some(T::String));
    assert_eq!(comparable(&T::String, &T::Int, false), Some(T::Int));
}
