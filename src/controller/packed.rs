//! Objects that are kept for long, in the form that takes the least memory.

use std::sync::Arc;

use serde_json::Value;

/// An object as JSON text. As a tree of values it takes some ten times as much memory, and most objects are looked at
/// only when somebody changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Arc<str>);

impl Packed {
    /// The object in it.
    #[must_use]
    pub fn unpack(&self) -> Value {
        // It was made from a value, so it is one.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Its JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl From<&Value> for Packed {
    fn from(object: &Value) -> Self {
        Self(object.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let object = json!({"a": [1, -2.5, null, true, "\u{1f}\"ü"], "b": {"c": {}}});
        assert_eq!(Packed::from(&object).unpack(), object);
    }
}
