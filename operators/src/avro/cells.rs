//! One value of Avro as a column's type, where Avro's resolution allows it.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::Name;
use apache_avro::types::Value as Avro;
use smol_str::SmolStr;
use thalweg_engine::row::{Row, Unscaled, Value};
use thalweg_engine::schema::{DataType, Field};

use super::shown;
use crate::expr::decimal::{fits, pow10};

/// A schema with the types that it names, to which other parts of it may refer.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) schema: Schema,
    names: HashMap<Name, Schema>,
}

impl Named {
    pub(super) fn new(schema: Schema) -> Self {
        let mut names = HashMap::new();
        gather(&schema, &mut names);
        Self { schema, names }
    }

    fn resolved<'s>(&'s self, schema: &'s Schema) -> &'s Schema {
        match schema {
            Schema::Ref { name } => self.names.get(name).unwrap_or(schema),
            other => other,
        }
    }
}

/// Notes the records that a schema defines: of other named types the values tell all.
fn gather(schema: &Schema, names: &mut HashMap<Name, Schema>) {
    match schema {
        Schema::Record(record) => {
            names.insert(record.name.clone(), schema.clone());
            for field in &record.fields {
                gather(&field.schema, names);
            }
        }
        Schema::Array(array) => gather(&array.items, names),
        Schema::Map(map) => gather(&map.types, names),
        Schema::Union(union) => {
            for variant in union.variants() {
                gather(variant, names);
            }
        }
        _ => {}
    }
}

/// The value as the type has it; else a sentence that says why not.
pub(super) fn cell(
    value: Avro,
    schema: &Schema,
    named: &Named,
    wanted: &DataType,
) -> Result<Value, String> {
    let schema = named.resolved(schema);
    let misfit = |kind: &str| {
        Err(format!(
            "a value of Avro's type {kind} is not read as {}",
            shown(wanted)
        ))
    };
    match (value, wanted) {
        (Avro::Null, _) => Ok(Value::Null),
        (Avro::Union(place, value), _) => {
            let Schema::Union(union) = schema else {
                return misfit("union");
            };
            let variant = usize::try_from(place)
                .ok()
                .and_then(|place| union.variants().get(place));
            match variant {
                Some(variant) => cell(*value, variant, named, wanted),
                None => misfit("union"),
            }
        }
        (Avro::Decimal(value), DataType::Decimal { precision, scale }) => {
            let Schema::Decimal(schema) = schema else {
                return misfit("decimal");
            };
            let bytes = Vec::<u8>::try_from(&value).map_err(|error| error.to_string())?;
            let from = u32::try_from(schema.scale).unwrap_or(u32::MAX);
            decimal(&bytes, from, *precision, *scale)
        }
        (Avro::Boolean(value), DataType::Boolean) => Ok(Value::Boolean(value)),
        (Avro::Int(value) | Avro::TimeMillis(value), _) => int(value, wanted),
        (Avro::Long(value) | Avro::TimeMicros(value), DataType::BigInt) => Ok(Value::BigInt(value)),
        #[allow(clippy::cast_precision_loss, reason = "Avro's resolution has it so")]
        (Avro::Long(value), DataType::Float) => Ok(Value::Float(value as f32)),
        #[allow(clippy::cast_precision_loss, reason = "Avro's resolution has it so")]
        (Avro::Long(value), DataType::Double) => Ok(Value::Double(value as f64)),
        (Avro::Float(value), DataType::Float) => Ok(Value::Float(value)),
        (Avro::Float(value), DataType::Double) => Ok(Value::Double(value.into())),
        (Avro::Double(value), DataType::Double) => Ok(Value::Double(value)),
        (Avro::String(value) | Avro::Enum(_, value), DataType::String) => {
            Ok(Value::String(SmolStr::from(value)))
        }
        (Avro::String(value), DataType::Binary) => Ok(Value::Binary(value.into_bytes().into())),
        (Avro::Uuid(value), DataType::String) => {
            Ok(Value::String(SmolStr::from(value.to_string())))
        }
        (Avro::Bytes(value) | Avro::Fixed(_, value), DataType::Binary) => {
            Ok(Value::Binary(value.into()))
        }
        (Avro::Bytes(value), DataType::String) => match String::from_utf8(value) {
            Ok(text) => Ok(Value::String(SmolStr::from(text))),
            Err(_) => Err("bytes that are not UTF-8 are not read as STRING".to_owned()),
        },
        (Avro::Date(days), DataType::Date) => Ok(Value::Date(days)),
        (Avro::TimestampMillis(at), DataType::Timestamp) => micros(at).map(Value::Timestamp),
        (Avro::TimestampMicros(at), DataType::Timestamp) => Ok(Value::Timestamp(at)),
        (Avro::TimestampNanos(at), DataType::Timestamp) => {
            Ok(Value::Timestamp(at.div_euclid(1000)))
        }
        (Avro::LocalTimestampMillis(at), DataType::TimestampNtz) => {
            micros(at).map(Value::TimestampNtz)
        }
        (Avro::LocalTimestampMicros(at), DataType::TimestampNtz) => Ok(Value::TimestampNtz(at)),
        (Avro::LocalTimestampNanos(at), DataType::TimestampNtz) => {
            Ok(Value::TimestampNtz(at.div_euclid(1000)))
        }
        (Avro::Array(values), DataType::Array(element)) => {
            let Schema::Array(schema) = schema else {
                return misfit("array");
            };
            values
                .into_iter()
                .map(|value| cell(value, &schema.items, named, element))
                .collect::<Result<Arc<[Value]>, String>>()
                .map(Value::Array)
        }
        (Avro::Map(values), DataType::Map(types)) if types.0 == DataType::String => {
            let Schema::Map(schema) = schema else {
                return misfit("map");
            };
            let mut values: Vec<(String, Avro)> = values.into_iter().collect();
            // Avro's maps have no order: the same bytes give the same rows.
            values.sort_by(|(a, _), (b, _)| a.cmp(b));
            values
                .into_iter()
                .map(|(key, value)| {
                    let value = cell(value, &schema.types, named, &types.1)?;
                    Ok((Value::String(SmolStr::from(key)), value))
                })
                .collect::<Result<Arc<[(Value, Value)]>, String>>()
                .map(Value::Map)
        }
        (Avro::Record(values), DataType::Struct(fields)) => {
            let mut found = Vec::with_capacity(fields.len());
            record(values, schema, named, fields.iter(), &mut found)?;
            Ok(Value::Struct(found.into()))
        }
        (value, _) => misfit(kind(&value)),
    }
}

/// The values of these columns or fields, found by their names.
pub(super) fn record<'f>(
    mut values: Vec<(String, Avro)>,
    schema: &Schema,
    named: &Named,
    fields: impl IntoIterator<Item = &'f Field>,
    row: &mut Row,
) -> Result<(), String> {
    let Schema::Record(schema) = named.resolved(schema) else {
        return Err("the schema is no record".to_owned());
    };
    for field in fields {
        // A record's values stand in the order of its schema.
        let found = schema
            .fields
            .iter()
            .zip(&mut values)
            .find(|(one, _)| one.name == field.name.as_str());
        let value = match found {
            None => Value::Null,
            Some((one, (_, value))) => {
                let value = std::mem::replace(value, Avro::Null);
                cell(value, &one.schema, named, &field.data_type)
                    .map_err(|why| format!("`{}`: {why}", field.name))?
            }
        };
        if value.is_null() && !field.nullable {
            return Err(format!("`{}` is NOT NULL, but absent or null", field.name));
        }
        row.push(value);
    }
    Ok(())
}

/// A decimal's bytes, with the scale of its schema.
fn decimal(bytes: &[u8], from: u32, precision: u8, scale: u8) -> Result<Value, String> {
    let misfit = || format!("the decimal does not fit DECIMAL({precision},{scale})");
    let sign = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let fill = if sign { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(16);
    if bytes[..extra].iter().any(|byte| *byte != fill) {
        return Err(misfit());
    }
    let mut wide = [fill; 16];
    let kept = &bytes[extra..];
    wide[16 - kept.len()..].copy_from_slice(kept);
    let unscaled = i128::from_be_bytes(wide);
    if (unscaled < 0) != sign {
        return Err(misfit());
    }
    let scale32 = u32::from(scale);
    let power = u8::try_from(from.abs_diff(scale32))
        .ok()
        .filter(|power| *power <= 38)
        .ok_or_else(misfit)?;
    let moved = if from <= scale32 {
        unscaled.checked_mul(pow10(power))
    } else {
        // Digits are not cut off in silence.
        (unscaled % pow10(power) == 0).then(|| unscaled / pow10(power))
    };
    moved
        .filter(|number| fits(*number, precision))
        .map(|number| Value::Decimal(Unscaled::from(number)))
        .ok_or_else(misfit)
}

fn int(value: i32, wanted: &DataType) -> Result<Value, String> {
    let narrow = || format!("{value} is out of the range of {}", shown(wanted));
    match wanted {
        DataType::Int => Ok(Value::Int(value)),
        DataType::BigInt => Ok(Value::BigInt(value.into())),
        DataType::SmallInt => i16::try_from(value)
            .map(Value::SmallInt)
            .map_err(|_| narrow()),
        DataType::TinyInt => i8::try_from(value)
            .map(Value::TinyInt)
            .map_err(|_| narrow()),
        #[allow(clippy::cast_precision_loss, reason = "Avro's resolution has it so")]
        DataType::Float => Ok(Value::Float(value as f32)),
        DataType::Double => Ok(Value::Double(value.into())),
        _ => Err(format!(
            "a value of Avro's type int is not read as {}",
            shown(wanted)
        )),
    }
}

fn micros(millis: i64) -> Result<i64, String> {
    millis
        .checked_mul(1000)
        .ok_or_else(|| format!("the time of {millis} milliseconds since 1970 is too far away"))
}

/// The name of a value's type in a schema.
fn kind(value: &Avro) -> &'static str {
    match value {
        Avro::Null => "null",
        Avro::Boolean(_) => "boolean",
        Avro::Int(_) => "int",
        Avro::Long(_) => "long",
        Avro::Float(_) => "float",
        Avro::Double(_) => "double",
        Avro::Bytes(_) => "bytes",
        Avro::String(_) => "string",
        Avro::Fixed(..) => "fixed",
        Avro::Enum(..) => "enum",
        Avro::Union(..) => "union",
        Avro::Array(_) => "array",
        Avro::Map(_) => "map",
        Avro::Record(_) => "record",
        Avro::Date(_) => "date",
        Avro::Decimal(_) | Avro::BigDecimal(_) => "decimal",
        Avro::TimeMillis(_) => "time-millis",
        Avro::TimeMicros(_) => "time-micros",
        Avro::TimestampMillis(_) => "timestamp-millis",
        Avro::TimestampMicros(_) => "timestamp-micros",
        Avro::TimestampNanos(_) => "timestamp-nanos",
        Avro::LocalTimestampMillis(_) => "local-timestamp-millis",
        Avro::LocalTimestampMicros(_) => "local-timestamp-micros",
        Avro::LocalTimestampNanos(_) => "local-timestamp-nanos",
        Avro::Duration(_) => "duration",
        Avro::Uuid(_) => "uuid",
    }
}
