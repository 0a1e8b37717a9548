//! Types as JSON, so that a checkpoint can say what its bytes are: simple ones by their name, others by their parts.

use std::fmt::Display;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};
use thalweg_engine::schema::{DataType, Field};

use crate::stateful::accumulators;

const SIMPLE: [DataType; 15] = [
    DataType::Void,
    DataType::Boolean,
    DataType::TinyInt,
    DataType::SmallInt,
    DataType::Int,
    DataType::BigInt,
    DataType::Float,
    DataType::Double,
    DataType::String,
    DataType::Binary,
    DataType::Date,
    DataType::Timestamp,
    DataType::TimestampNtz,
    DataType::YearMonthInterval,
    DataType::DayTimeInterval,
];

fn to_json(data_type: &DataType) -> Json {
    match data_type {
        DataType::Decimal { precision, scale } => json!({ "decimal": [precision, scale] }),
        DataType::Array(element) => json!({ "array": to_json(element) }),
        DataType::Map(pair) => json!({ "map": [to_json(&pair.0), to_json(&pair.1)] }),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(field);
            json!({ "struct": fields.collect::<Vec<_>>() })
        }
        simple => json!(simple.to_string()),
    }
}

fn field(field: &Field) -> Json {
    json!([field.name, to_json(&field.data_type)])
}

fn of_json(json: &Json) -> Option<DataType> {
    if let Some(name) = json.as_str() {
        let mut all = SIMPLE.into_iter();
        return all.find(|simple| simple.to_string() == name);
    }
    let (word, parts) = json.as_object()?.iter().next()?;
    Some(match word.as_str() {
        "decimal" => {
            let digits = |at: usize| u8::try_from(parts.get(at)?.as_u64()?).ok();
            DataType::Decimal {
                precision: digits(0)?,
                scale: digits(1)?,
            }
        }
        "array" => DataType::Array(Arc::new(of_json(parts)?)),
        "map" => DataType::Map(Arc::new((of_json(parts.get(0)?)?, of_json(parts.get(1)?)?))),
        "struct" => {
            let fields = parts.as_array()?.iter().map(field_of);
            DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into())
        }
        _ => return None,
    })
}

fn field_of(json: &Json) -> Option<Field> {
    let name = json.get(0)?.as_str()?;
    Some(Field::nullable(name, of_json(json.get(1)?)?))
}

fn unknown<E: Error>(what: &impl Display) -> E {
    E::custom(format!("`{what}` is no type that this version knows"))
}

/// Writes a type.
pub(in crate::stateful) fn serialize<S: Serializer>(
    data_type: &DataType,
    to: S,
) -> Result<S::Ok, S::Error> {
    to_json(data_type).serialize(to)
}

/// Reads a type.
pub(in crate::stateful) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<DataType, D::Error> {
    let json = Json::deserialize(from)?;
    of_json(&json).ok_or_else(|| unknown(&json))
}

/// The name of an aggregate, also of one that a program has added, or a later version.
pub(in crate::stateful) fn function<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<&'static str, D::Error> {
    let name = String::deserialize(from)?;
    // Names are named by reference: one that is not in the table lives as long as the command that shows it.
    Ok(accumulators::find(&name).map_or_else(|| name.leak() as &str, |function| function.name))
}

/// That an aggregate is one of a program.
pub(in crate::stateful) mod own {
    use super::{Deserialize, Deserializer, Serialize, Serializer};
    use crate::extensions::Own;

    pub(in crate::stateful) fn serialize<S: Serializer>(
        own: &Option<Own>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        own.is_some().serialize(to)
    }

    pub(in crate::stateful) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Own>, D::Error> {
        Ok(bool::deserialize(from)?.then(Own::unread))
    }
}

/// Several types.
pub(in crate::stateful) mod several {
    use super::{DataType, Deserialize, Deserializer, Json, Serialize, Serializer};

    pub(in crate::stateful) fn serialize<S: Serializer>(
        types: &[DataType],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let all: Vec<Json> = types.iter().map(super::to_json).collect();
        all.serialize(to)
    }

    pub(in crate::stateful) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<DataType>, D::Error> {
        let all = Vec::<Json>::deserialize(from)?;
        let types = all
            .iter()
            .map(|json| super::of_json(json).ok_or_else(|| super::unknown(json)));
        types.collect()
    }
}

/// Columns with their names.
pub(crate) mod columns {
    use super::{Deserialize, Deserializer, Field, Json, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(columns: &[Field], to: S) -> Result<S::Ok, S::Error> {
        let all: Vec<Json> = columns.iter().map(super::field).collect();
        all.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Field>, D::Error> {
        let all = Vec::<Json>::deserialize(from)?;
        let fields = all
            .iter()
            .map(|json| super::field_of(json).ok_or_else(|| super::unknown(json)));
        fields.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stateful::bytes::tests::any_type;

    proptest! {
        #[test]
        fn a_type_is_read_back(data_type in any_type()) {
            prop_assert_eq!(of_json(&to_json(&data_type)), Some(data_type));
        }
    }

    #[test]
    fn a_field_may_be_called_anything() {
        let odd = DataType::Struct(Arc::new([Field::nullable("a>, b: INT", DataType::Int)]));
        assert_eq!(of_json(&to_json(&odd)), Some(odd));
    }
}
