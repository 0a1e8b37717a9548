//! A schema in JSON, as Spark's `df.schema.json()` writes it and the schemas of its tables hold it.
//!
//! `{"type": "struct", "fields": [{"name": "a", "type": "integer", "nullable": true, "metadata": {}}]}`. A type is a name or an
//! object: a struct, `{"type": "array", "elementType": .., "containsNull": ..}`, or `{"type": "map", "keyType": .., "valueType": ..,
//! "valueContainsNull": ..}`. That something may not be NULL says nothing, as for a schema in words.

use std::sync::Arc;

use serde_json::Value as Json;
use smol_str::SmolStr;
use thalweg_engine::schema::{DataType, Field};

use super::{BindContext, json};
use crate::job_error::JobError;

/// The type that a schema in JSON describes.
///
/// # Errors
/// For what is not JSON, or no schema.
pub(super) fn data_type(schema: &str, cx: &BindContext) -> Result<DataType, JobError> {
    let schema: Json = serde_json::from_str(schema)
        .map_err(|error| cx.error(format!("the schema is not JSON: {error}")))?;
    of(&schema, cx)
}

fn of(json: &Json, cx: &BindContext) -> Result<DataType, JobError> {
    let part = |name: &str| {
        json.get(name)
            .ok_or_else(|| cx.error(format!("a type of the schema has no `{name}`: {json}")))
    };
    if let Some(name) = json.as_str() {
        return match name {
            "null" => Ok(DataType::Void),
            name => json::ddl(name, cx),
        };
    }
    match part("type")?.as_str() {
        Some("array") => Ok(DataType::Array(Arc::new(of(part("elementType")?, cx)?))),
        Some("map") => {
            let types = (of(part("keyType")?, cx)?, of(part("valueType")?, cx)?);
            Ok(DataType::Map(Arc::new(types)))
        }
        Some("struct") => {
            let fields = part("fields")?.as_array().ok_or_else(|| {
                cx.error(format!(
                    "the `fields` of a struct in the schema are a list: {json}"
                ))
            })?;
            let fields = fields.iter().map(|one| field(one, cx));
            let fields: Result<Arc<[Field]>, JobError> = fields.collect();
            Ok(DataType::Struct(fields?))
        }
        _ => Err(cx.error(format!(
            "the `type` of an object in the schema is struct, array or map: {json}"
        ))),
    }
}

fn field(json: &Json, cx: &BindContext) -> Result<Field, JobError> {
    match (json["name"].as_str(), json.get("type")) {
        (Some(name), Some(data_type)) => {
            Ok(Field::nullable(SmolStr::new(name), of(data_type, cx)?))
        }
        _ => Err(cx.error(format!(
            "a field of the schema needs `name` and `type`: {json}"
        ))),
    }
}
