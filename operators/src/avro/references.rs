//! Schemas that refer to schemas of other subjects: one schema is made of all of them. Pure.
//!
//! Avro knows a type by its name once it was defined. So each name that is defined elsewhere is replaced by its definition where
//! it is met first; the names that follow mean it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

/// Names that are Avro's own.
const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

/// One schema of a schema and of those that it refers to.
pub(super) fn whole(schema: Json, elsewhere: &[Json]) -> Json {
    let mut weaver = Weaver {
        definitions: BTreeMap::new(),
        defined: BTreeSet::new(),
    };
    for one in elsewhere {
        if let Some(name) = one.as_object().and_then(|object| full_name(object, "")) {
            weaver.definitions.insert(name, one.clone());
        }
    }
    weaver.weave(schema, "")
}

struct Weaver {
    definitions: BTreeMap<String, Json>,
    defined: BTreeSet<String>,
}

impl Weaver {
    fn weave(&mut self, schema: Json, namespace: &str) -> Json {
        match schema {
            Json::String(name) => self.named(name, namespace),
            Json::Array(kinds) => {
                let kinds = kinds.into_iter();
                Json::Array(kinds.map(|kind| self.weave(kind, namespace)).collect())
            }
            Json::Object(object) => self.object(object, namespace),
            other => other,
        }
    }

    /// A name: Avro's own, one that is defined by now, or one from elsewhere.
    fn named(&mut self, name: String, namespace: &str) -> Json {
        if PRIMITIVES.contains(&name.as_str()) {
            return Json::String(name);
        }
        let full = qualified(&name, namespace);
        if self.defined.contains(&full) {
            return Json::String(full);
        }
        match self.definitions.get(&full).cloned() {
            Some(definition) => self.weave(definition, ""),
            None => Json::String(name),
        }
    }

    fn object(&mut self, mut object: Map<String, Json>, namespace: &str) -> Json {
        let kind = object
            .get("type")
            .and_then(Json::as_str)
            .unwrap_or_default();
        match kind {
            "record" | "error" | "enum" | "fixed" => self.definition(object, namespace),
            "array" | "map" => {
                let inner = if kind == "array" { "items" } else { "values" };
                if let Some(inner) = object.get_mut(inner) {
                    *inner = self.weave(inner.take(), namespace);
                }
                Json::Object(object)
            }
            _ => {
                // A type with properties, such as a logical one.
                if let Some(inner) = object.get_mut("type") {
                    *inner = self.weave(inner.take(), namespace);
                }
                Json::Object(object)
            }
        }
    }

    fn definition(&mut self, mut object: Map<String, Json>, namespace: &str) -> Json {
        let Some(full) = full_name(&object, namespace) else {
            return Json::Object(object);
        };
        // Two that refer to a third both bring it along.
        if !self.defined.insert(full.clone()) {
            return Json::String(full);
        }
        let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let fields = object.get_mut("fields").and_then(Json::as_array_mut);
        for field in fields.into_iter().flatten() {
            if let Some(kind) = field.get_mut("type") {
                *kind = self.weave(kind.take(), inner);
            }
        }
        object.insert("name".to_owned(), Json::String(full));
        object.remove("namespace");
        Json::Object(object)
    }
}

fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn full_name(object: &Map<String, Json>, namespace: &str) -> Option<String> {
    let text = |name: &str| object.get(name).and_then(Json::as_str);
    let namespace = text("namespace").unwrap_or(namespace);
    Some(qualified(text("name")?, namespace))
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_of_elsewhere_is_replaced_where_it_is_met_first() {
        let place = json!({"type": "record", "name": "Place", "namespace": "geo", "fields": [
            {"name": "city", "type": "string"}, {"name": "zone", "type": "Zone"}]});
        let zone = json!({"type": "enum", "name": "geo.Zone", "symbols": ["A", "B"]});
        let order = json!({"type": "record", "name": "Order", "namespace": "shop", "fields": [
            {"name": "from", "type": "geo.Place"},
            {"name": "to", "type": ["null", "geo.Place"]},
            {"name": "zones", "type": {"type": "array", "items": "geo.Zone"}},
            {"name": "before", "type": ["null", "Order"]},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}}]});
        let whole = whole(order, &[place.clone(), zone, place]);
        let schema = Schema::parse_str(&whole.to_string()).unwrap();
        let text = schema.canonical_form();
        assert_eq!(text.matches("\"city\"").count(), 1, "{text}");
        assert_eq!(text.matches("\"symbols\"").count(), 1, "{text}");
        assert!(text.contains("\"shop.Order\""), "{text}");
    }

    #[test]
    fn a_name_that_nobody_defines_stays_for_the_parser_to_refuse() {
        let order = json!({"type": "record", "name": "Order", "fields": [
            {"name": "from", "type": "geo.Place"}]});
        assert_eq!(whole(order.clone(), &[]), order);
        assert!(Schema::parse_str(&order.to_string()).is_err());
    }
}
