//! Objects with known fields.

use crate::rules::Report;
use crate::rules::cursor::{At, Object};
use crate::rules::field::{Kind, Shape};
use serde_json::{Value, json};

/// An object of a shape, and how a `T` is made from it.
pub(in crate::rules) struct Record<T> {
    /// Its fields.
    pub shape: &'static Shape,
    /// Reads them all, then makes the `T` when none is wrong.
    pub build: fn(&Object<'_>, &mut Report) -> Option<T>,
}

impl<T> Kind for Record<T> {
    type Out = T;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<T> {
        let object = at.object(self.shape, report)?;
        (self.build)(&object, report)
    }

    fn words(&self) -> String {
        String::from("an object")
    }

    fn schema(&self) -> Value {
        json!({ "$ref": format!("#/$defs/{}", self.shape.name) })
    }

    fn shape(&self) -> Option<&'static Shape> {
        Some(self.shape)
    }
}
