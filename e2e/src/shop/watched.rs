//! Objects that must stay as they are while something else happens.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Object;

/// Objects that nobody may write meanwhile, let alone delete and create anew.
pub struct Watched(Vec<(Object, Value)>);

impl Watched {
    /// Takes note of the objects as they are now.
    pub async fn since_now(objects: impl IntoIterator<Item = Object>) -> Result<Self> {
        let mut all = Vec::new();
        for object in objects {
            let seen = marks(&object).await?;
            all.push((object, seen));
        }
        Ok(Self(all))
    }

    /// Fails when one of them was written, deleted or replaced since. The API server counts writes,
    /// so that nothing that happened in between is missed.
    pub async fn are_untouched(&self) -> Result<()> {
        for (object, before) in &self.0 {
            let now = marks(object).await?;
            ensure!(*before == now, "{} was {before}, is {now}", object.key());
        }
        Ok(())
    }
}

/// What no write leaves as it is.
async fn marks(object: &Object) -> Result<Value> {
    Ok(json!([object.uid().await?, object.version().await?]))
}
