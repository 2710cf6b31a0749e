//! Values that know where they are written.

use std::rc::Rc;

use serde_json::Value;

use super::Position;
use crate::domain::{FieldPath, Segment};

/// A value and the place where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub content: Content,
    /// Nodes in it, itself included, with aliases written out.
    pub(super) size: usize,
    /// Levels below it.
    pub(super) height: usize,
}

/// What a [`Node`] is. Children are shared, so that an alias costs no memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Null, a boolean, a number or text.
    Scalar {
        /// The value.
        value: Value,
        /// The characters that stand for it.
        written: String,
    },
    /// A list.
    List(Vec<Rc<Node>>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is written.
    pub key_at: Position,
    /// The value.
    pub value: Rc<Node>,
}

impl Entry {
    /// Where to point when this entry is wrong: at what stands there where that is a word, else at
    /// the key, since a map or list begins on some later line.
    #[must_use]
    pub fn pointer(&self) -> Position {
        match &self.value.content {
            Content::Scalar { value, .. } if !value.is_null() => self.value.at,
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => self.key_at,
        }
    }
}

impl Node {
    pub(super) fn new(at: Position, content: Content) -> Self {
        let children: Box<dyn Iterator<Item = &Rc<Self>>> = match &content {
            Content::Scalar { .. } => Box::new(std::iter::empty()),
            Content::List(items) => Box::new(items.iter()),
            Content::Map(entries) => Box::new(entries.iter().map(|entry| &entry.value)),
        };
        let (size, height) = children.fold((1_usize, 0), |(size, height), child| {
            (
                size.saturating_add(child.size),
                height.max(child.height + 1),
            )
        });
        Self {
            at,
            content,
            size,
            height,
        }
    }

    /// The value of a key, when this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, when this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Content::Scalar { .. } | Content::List(_) => None,
        }
    }

    /// The text, when this is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { value, .. } => value.as_str(),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Whether nothing stands here.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { value, .. } if value.is_null())
    }

    /// The same value without places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar { value, .. } => value.clone(),
            Content::List(items) => items.iter().map(|item| item.to_json()).collect(),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect(),
            ),
        }
    }

    /// Where a field is written, or the nearest of its ancestors that is.
    #[must_use]
    pub fn locate(&self, path: &FieldPath) -> Position {
        let mut node = self;
        let mut pointer = self.at;
        for segment in &path.0 {
            match segment {
                Segment::Key(key) => {
                    let Some(entry) = node.entry(key) else {
                        break;
                    };
                    pointer = entry.pointer();
                    node = &entry.value;
                }
                Segment::Index(index) => {
                    let Content::List(items) = &node.content else {
                        break;
                    };
                    let Some(item) = items.get(*index) else {
                        break;
                    };
                    pointer = item.at;
                    node = item;
                }
            }
        }
        pointer
    }
}
