//! The JSON Schema of the rules document, made from the table of fields.

use super::field::{Absent, AnyField, Literal, Shape};
use super::stage::document;
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of the rules document, as indented text.
///
/// It knows names, types, ranges of numbers and the form of durations. What a schema
/// cannot say (ranges of durations, bytes of a name) [`parse`](super::parse) checks.
pub fn schema_json() -> String {
    let mut schema = object(&document::SHAPE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Tidegate rules");
    let inner = document::SHAPE.all().into_iter().skip(1);
    let definitions: Map<String, Value> = inner.map(|shape| (shape.name.to_string(), object(shape))).collect();
    schema["$defs"] = Value::Object(definitions);
    schema.sort_all_objects();
    format!("{schema:#}\n")
}

fn object(shape: &Shape) -> Value {
    let named = |field: &&dyn AnyField| (field.name().to_string(), property(*field));
    let properties: Map<String, Value> = shape.fields.iter().map(named).collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.doc,
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    });
    add_demands(shape, &mut schema);
    schema
}

fn add_demands(shape: &Shape, schema: &mut Value) {
    let required = |field: &&&dyn AnyField| matches!(field.absent(), Absent::Required);
    let names: Vec<&str> = shape.fields.iter().filter(required).map(|field| field.name()).collect();
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
    if !shape.one_of.is_empty() {
        let one = |name: &&str| json!({ "required": [name] });
        schema["anyOf"] = shape.one_of.iter().map(one).collect();
    }
}

fn property(field: &dyn AnyField) -> Value {
    let mut schema = field.schema();
    schema["description"] = json!(field.doc());
    if let Absent::Is(literal) = field.absent() {
        schema["default"] = value(*literal);
    }
    schema
}

fn value(literal: Literal) -> Value {
    literal.node().to_value()
}
