//! A quantity as people write it: `500m`, `8Gi`, or a number in quotes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::schema;

/// A quantity as people write it: text, also where it is a bare number, as in `pods: "50"`.
/// Whether the text parses is decided by the schema's rules and by [`crate::domain::Quantity`].
///
/// Kubernetes' own kinds take `pods: 50` too. Here it is refused, since the API server of
/// Kubernetes 1.33 cannot bound the cost of a rule about a value that may be a number or text, and
/// would refuse the whole kind.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct QuantityText(pub String);

impl<'de> Deserialize<'de> for QuantityText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a quantity like \"50\", 500m or 8Gi")]
        enum Written {
            Whole(i64),
            Fraction(f64),
            Text(String),
        }
        let bare = |number: &dyn std::fmt::Display| {
            Err(D::Error::custom(format_args!(
                "quantity {number} is a bare number: put it in quotes, like \"{number}\""
            )))
        };
        match Written::deserialize(deserializer)? {
            Written::Whole(number) => bare(&number),
            Written::Fraction(number) => bare(&number),
            Written::Text(text) => Ok(Self(text)),
        }
    }
}

impl JsonSchema for QuantityText {
    fn schema_name() -> Cow<'static, str> {
        "QuantityText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 40,
            "x-kubernetes-validations": schema::quantity_rules(),
        })
    }
}
