//! A column's values, from whichever type the file has to the declared one.

use arrow::array::{Array, ArrayAccessor, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType as Arrow, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use smol_str::SmolStr;
use thalweg_engine::row::{Unscaled, Value};
use thalweg_engine::schema::DataType;

use crate::expr::calendar;
use crate::expr::decimal;

/// The values of one column, and which of them are beyond their type.
#[derive(Default)]
pub(crate) struct Cells {
    pub(crate) values: Vec<Value>,
    /// Places of values that do not fit, ascending; NULL stands there.
    pub(crate) bad: Vec<usize>,
}

impl Cells {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            values: Vec::with_capacity(count),
            bad: Vec::new(),
        }
    }

    /// Appends an array's values as this type; false where the type cannot be read from the array's.
    pub(crate) fn read(&mut self, array: &ArrayRef, to: &DataType) -> bool {
        use DataType as T;
        if *array.data_type() == Arrow::Null {
            let nulls = std::iter::repeat_n(Value::Null, array.len());
            self.values.extend(nulls);
            return true;
        }
        match to {
            T::Boolean => self.booleans(array),
            T::TinyInt | T::SmallInt | T::Int | T::BigInt => self.integers(array, to),
            T::Float => self.floats(array),
            T::Double => self.doubles(array),
            T::Decimal { precision, scale } => self.decimals(array, *precision, *scale),
            T::String => self.texts(array),
            T::Binary => self.bytes(array),
            T::Date => self.dates(array),
            T::Timestamp => self.times(array, Value::Timestamp),
            T::TimestampNtz => self.local_times(array),
            T::Array(element) => self.lists(array, element),
            T::Map(pair) => self.maps(array, &pair.0, &pair.1),
            T::Struct(fields) => self.structs(array, fields),
            T::Void | T::YearMonthInterval | T::DayTimeInterval => false,
        }
    }

    /// Leaves out the blanks behind texts.
    pub(crate) fn unpad(&mut self) {
        for value in &mut self.values {
            if let Value::String(text) = value {
                *text = SmolStr::new(text.trim_end_matches(' '));
            }
        }
    }

    /// Values that always fit.
    #[inline]
    fn all<P: ArrowPrimitiveType>(&mut self, array: &ArrayRef, make: impl Fn(P::Native) -> Value) {
        let array = array.as_primitive::<P>();
        if array.null_count() == 0 {
            self.values
                .extend(array.values().iter().map(|value| make(*value)));
        } else {
            self.each(array, make);
        }
    }

    /// Values of any kind that always fit. Arrow's own iterators do not say for sure how many values come, so that a vector
    /// looks for room at each of them.
    #[inline]
    fn each<A: ArrayAccessor>(&mut self, array: A, make: impl Fn(A::Item) -> Value) {
        let places = 0..array.len();
        match array.nulls() {
            None => self.values.extend(places.map(|at| make(array.value(at)))),
            Some(nulls) => self.values.extend(places.map(|at| {
                if nulls.is_valid(at) {
                    make(array.value(at))
                } else {
                    Value::Null
                }
            })),
        }
    }

    /// Values of which some may not fit.
    #[inline]
    fn some<P: ArrowPrimitiveType>(
        &mut self,
        array: &ArrayRef,
        make: impl Fn(P::Native) -> Option<Value>,
    ) {
        for value in array.as_primitive::<P>() {
            let made = value.map(&make);
            if let Some(None) = made {
                self.bad.push(self.values.len());
            }
            self.values.push(made.flatten().unwrap_or_default());
        }
    }

    fn booleans(&mut self, array: &ArrayRef) -> bool {
        let Some(array) = array.as_boolean_opt() else {
            return false;
        };
        self.each(array, Value::Boolean);
        true
    }

    /// From integers of any width; one that is wider than the declared type must fit.
    fn integers(&mut self, array: &ArrayRef, to: &DataType) -> bool {
        match (array.data_type(), to) {
            (Arrow::Int32, DataType::Int) => self.all::<Int32Type>(array, Value::Int),
            (Arrow::Int64, DataType::BigInt) => self.all::<Int64Type>(array, Value::BigInt),
            (Arrow::Int8, _) => self.some::<Int8Type>(array, |n| integer(n.into(), to)),
            (Arrow::Int16, _) => self.some::<Int16Type>(array, |n| integer(n.into(), to)),
            (Arrow::Int32, _) => self.some::<Int32Type>(array, |n| integer(n.into(), to)),
            (Arrow::UInt8, _) => self.some::<UInt8Type>(array, |n| integer(n.into(), to)),
            (Arrow::UInt16, _) => self.some::<UInt16Type>(array, |n| integer(n.into(), to)),
            (Arrow::UInt32, _) => self.some::<UInt32Type>(array, |n| integer(n.into(), to)),
            _ => return false,
        }
        true
    }

    fn floats(&mut self, array: &ArrayRef) -> bool {
        if *array.data_type() != Arrow::Float32 {
            return false;
        }
        self.all::<Float32Type>(array, Value::Float);
        true
    }

    fn doubles(&mut self, array: &ArrayRef) -> bool {
        match array.data_type() {
            Arrow::Float64 => self.all::<Float64Type>(array, Value::Double),
            Arrow::Float32 => self.all::<Float32Type>(array, |n| Value::Double(n.into())),
            Arrow::Int8 => self.all::<Int8Type>(array, |n| Value::Double(n.into())),
            Arrow::Int16 => self.all::<Int16Type>(array, |n| Value::Double(n.into())),
            Arrow::Int32 => self.all::<Int32Type>(array, |n| Value::Double(n.into())),
            Arrow::UInt8 => self.all::<UInt8Type>(array, |n| Value::Double(n.into())),
            Arrow::UInt16 => self.all::<UInt16Type>(array, |n| Value::Double(n.into())),
            Arrow::UInt32 => self.all::<UInt32Type>(array, |n| Value::Double(n.into())),
            _ => return false,
        }
        true
    }

    /// From decimals and integers, as long as no digit is lost.
    fn decimals(&mut self, array: &ArrayRef, precision: u8, scale: u8) -> bool {
        let whole = |n: i128| {
            let unscaled = n.checked_mul(decimal::pow10(scale))?;
            fits(unscaled, precision)
        };
        match array.data_type() {
            Arrow::Decimal128(_, from) | Arrow::Decimal256(_, from) => {
                let from = u8::try_from(*from).ok();
                let Some(more) = from.and_then(|from| scale.checked_sub(from)) else {
                    return false;
                };
                let factor = decimal::pow10(more);
                let scaled = |n: i128| fits(n.checked_mul(factor)?, precision);
                match array.data_type() {
                    Arrow::Decimal128(..) => self.some::<Decimal128Type>(array, scaled),
                    _ => self.some::<Decimal256Type>(array, |n| scaled(n.to_i128()?)),
                }
            }
            Arrow::Int8 => self.some::<Int8Type>(array, |n| whole(n.into())),
            Arrow::Int16 => self.some::<Int16Type>(array, |n| whole(n.into())),
            Arrow::Int32 => self.some::<Int32Type>(array, |n| whole(n.into())),
            Arrow::Int64 => self.some::<Int64Type>(array, |n| whole(n.into())),
            Arrow::UInt64 => self.some::<UInt64Type>(array, |n| whole(n.into())),
            _ => return false,
        }
        true
    }

    /// From text, and from bytes that are text; others get the replacement character.
    fn texts(&mut self, array: &ArrayRef) -> bool {
        let text = |text: &str| Value::String(SmolStr::new(text));
        let lossy = |bytes: &[u8]| Value::String(SmolStr::new(String::from_utf8_lossy(bytes)));
        match array.data_type() {
            Arrow::Utf8 => self.each(array.as_string::<i32>(), text),
            Arrow::LargeUtf8 => self.each(array.as_string::<i64>(), text),
            Arrow::Utf8View => self.each(array.as_string_view(), text),
            Arrow::Binary => self.each(array.as_binary::<i32>(), lossy),
            Arrow::LargeBinary => self.each(array.as_binary::<i64>(), lossy),
            _ => return false,
        }
        true
    }

    fn bytes(&mut self, array: &ArrayRef) -> bool {
        let bytes = |bytes: &[u8]| Value::Binary(bytes.into());
        let text = |text: &str| bytes(text.as_bytes());
        match array.data_type() {
            Arrow::Binary => self.each(array.as_binary::<i32>(), bytes),
            Arrow::LargeBinary => self.each(array.as_binary::<i64>(), bytes),
            Arrow::FixedSizeBinary(_) => self.each(array.as_fixed_size_binary(), bytes),
            Arrow::Utf8 => self.each(array.as_string::<i32>(), text),
            Arrow::LargeUtf8 => self.each(array.as_string::<i64>(), text),
            _ => return false,
        }
        true
    }

    fn dates(&mut self, array: &ArrayRef) -> bool {
        if *array.data_type() != Arrow::Date32 {
            return false;
        }
        self.all::<Date32Type>(array, Value::Date);
        true
    }

    /// From times of any unit; what is finer than a microsecond is cut off.
    fn times(&mut self, array: &ArrayRef, make: fn(i64) -> Value) -> bool {
        let Arrow::Timestamp(unit, _) = array.data_type() else {
            return false;
        };
        match unit {
            TimeUnit::Second => {
                self.some::<TimestampSecondType>(array, |n| n.checked_mul(1_000_000).map(make));
            }
            TimeUnit::Millisecond => {
                self.some::<TimestampMillisecondType>(array, |n| n.checked_mul(1000).map(make));
            }
            TimeUnit::Microsecond => self.all::<TimestampMicrosecondType>(array, make),
            TimeUnit::Nanosecond => {
                self.all::<TimestampNanosecondType>(array, |n| make(n.div_euclid(1000)));
            }
        }
        true
    }

    /// A time of an instant is none of a clock: only those without zone are read, and dates.
    fn local_times(&mut self, array: &ArrayRef) -> bool {
        match array.data_type() {
            Arrow::Timestamp(_, None) => self.times(array, Value::TimestampNtz),
            Arrow::Date32 => {
                self.some::<Date32Type>(array, |days| {
                    calendar::midnight(days).map(Value::TimestampNtz)
                });
                true
            }
            _ => false,
        }
    }
}

fn integer(n: i64, to: &DataType) -> Option<Value> {
    Some(match to {
        DataType::TinyInt => Value::TinyInt(n.try_into().ok()?),
        DataType::SmallInt => Value::SmallInt(n.try_into().ok()?),
        DataType::Int => Value::Int(n.try_into().ok()?),
        _ => Value::BigInt(n),
    })
}

fn fits(unscaled: i128, precision: u8) -> Option<Value> {
    decimal::fits(unscaled, precision).then(|| Value::Decimal(Unscaled::from(unscaled)))
}
