use super::{FULL, accept};
use crate::rules::field::{Absent, Shape};
use crate::rules::stage::document::SHAPE;
use crate::rules::{reference_markdown, schema_json};
use serde_json::Value;

#[test]
fn the_full_document_of_these_tests_has_every_field() {
    for shape in SHAPE.all() {
        for name in shape.names() {
            assert!(FULL.contains(&format!("\"{name}\":")), "{}.{name}", shape.name);
        }
    }
}

#[test]
fn every_field_is_described() {
    for shape in SHAPE.all() {
        for field in shape.fields {
            let name = field.name();
            assert!(field.doc().ends_with('.'), "{name}");
            assert!(!field.doc().contains(['|', '\n']) && !field.words().contains('|'), "{name}");
            assert_eq!(field.since().split('.').count(), 3, "{name}");
        }
    }
}

#[test]
fn names_in_the_table_do_not_clash() {
    for shape in SHAPE.all() {
        let mut names: Vec<&str> = shape.names().collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{}", shape.name);
        assert!(shape.one_of.iter().all(|name| shape.knows(name)), "{}", shape.name);
    }
}

#[test]
fn the_schema_knows_every_field_and_default() {
    let schema: Value = serde_json::from_str(&schema_json()).unwrap();
    let described = |shape: &Shape| match shape.name {
        "document" => schema.clone(),
        name => schema["$defs"][name].clone(),
    };
    for shape in SHAPE.all() {
        let object = described(shape);
        assert_eq!(object["additionalProperties"], false, "{}", shape.name);
        for field in shape.fields {
            let property = &object["properties"][field.name()];
            let has_default = matches!(field.absent(), Absent::Is(_));
            assert_eq!(property["description"], field.doc());
            assert_eq!(property.get("default").is_some(), has_default, "{}", field.name());
        }
    }
}

#[test]
fn the_reference_knows_every_field_and_feature() {
    let page = reference_markdown();
    for shape in SHAPE.all() {
        assert!(page.contains(&format!("\n### {}\n", shape.name)), "{}", shape.name);
        for name in shape.names() {
            assert!(page.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
    let features = schema_json();
    let features: Value = serde_json::from_str(&features).unwrap();
    for feature in features["properties"]["requires"]["items"]["enum"].as_array().unwrap() {
        assert!(page.contains(&format!("`{}`", feature.as_str().unwrap())), "{feature}");
    }
}

#[test]
fn examples_in_the_reference_are_accepted() {
    let page = reference_markdown();
    let examples = Vec::from_iter(page.split("```json\n").skip(1));
    assert!(!examples.is_empty());
    for example in examples {
        accept(example.split("```").next().unwrap());
    }
}
