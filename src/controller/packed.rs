//! Objects that are kept for long, in the form that takes the least memory.

use std::sync::Arc;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use serde_json::Value;

/// What objects have in common: one of each kind that a landing zone renders to, and a policy of a team, as the API server
/// sends them. Only what is different takes room.
const TYPICAL: &[u8] = include_bytes!("packed/typical.jsonl");

/// Most objects take no more than that as JSON, bytes: their text does not have to move while it is written.
const USUAL_SIZE: usize = 4096;

/// An object as packed JSON. As a tree of values it takes some ten times as much memory as its text, that takes some ten
/// times as much as this, and most objects are looked at only when somebody changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    packed: Arc<[u8]>,
    size: usize,
}

impl Packed {
    /// The object in it.
    #[must_use]
    pub fn unpack(&self) -> Value {
        // It was made from a value, so it is one.
        serde_json::from_slice(&self.json()).unwrap_or_default()
    }

    /// Its JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        decompress_with_dict(&self.packed, self.size, TYPICAL).unwrap_or_default()
    }

    /// How long its JSON is, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// How much memory it takes, in bytes.
    #[cfg(test)]
    #[must_use]
    pub fn takes(&self) -> usize {
        self.packed.len()
    }
}

impl From<&Value> for Packed {
    fn from(object: &Value) -> Self {
        let mut text = Vec::with_capacity(USUAL_SIZE);
        let written = serde_json::to_writer(&mut text, object);
        debug_assert!(written.is_ok(), "values are JSON, and memory takes them");
        Self {
            packed: compress_with_dict(&text, TYPICAL).into(),
            size: text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let object = json!({"a": [1, -2.5, null, true, "\u{1f}\"ü"], "b": {"c": {}}});
        assert_eq!(Packed::from(&object).unpack(), object);
        for one in [json!(null), json!({}), json!("x".repeat(100_000))] {
            assert_eq!(Packed::from(&one).unpack(), one);
        }
    }

    proptest! {
        /// Also what looks like the rest, and what does not at all.
        #[test]
        fn any_text_comes_out(words in prop::collection::vec("[ -~]{0,40}|metadata|landingzones\\.dev/landing-zone", 0..40)) {
            let object = json!({"metadata": {"name": words.concat()}, "spec": words});
            let packed = Packed::from(&object);
            prop_assert_eq!(packed.unpack(), object.clone());
            prop_assert_eq!(packed.size(), object.to_string().len());
        }
    }
}
