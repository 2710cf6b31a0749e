//! From text to documents.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Tag};
use serde_json::Value;

use super::scalar;
use super::{Content, Document, Entry, Flaw, Node, Position};
use crate::domain::FieldPath;

/// Nodes that the aliases of one document may stand for: far more than any landing zone has, and
/// far less than what a file of laughs unfolds to.
const MAX_ALIASED_NODES: usize = 100_000;
/// Levels of nesting, aliases written out. The parser itself stops at 255 of each style.
const MAX_DEPTH: usize = 512;
/// Syntax errors after which a file is given up.
const MAX_SYNTAX_ERRORS: usize = 20;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// Its documents, empty ones left out.
    pub documents: Vec<Document>,
    /// Places where it is not YAML.
    pub syntax: Vec<Flaw>,
}

/// Reads all documents of a text. After a syntax error it goes on with the next document.
#[must_use]
pub fn parse(text: &str) -> Stream {
    let mut stream = Stream::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut skipped = 0;
    while let Some(error_line) = read(rest, skipped, &mut stream) {
        if stream.syntax.len() >= MAX_SYNTAX_ERRORS {
            break;
        }
        let Some((lines, next)) = next_document(rest, error_line) else {
            break;
        };
        skipped += lines;
        rest = next;
    }
    stream
}

/// Reads documents up to the first syntax error, whose line in `text` it returns.
fn read(text: &str, skipped: usize, stream: &mut Stream) -> Option<usize> {
    let mut options = Options::default();
    // Comments are buffered only up to a limit that long licence headers exceed.
    options.set_emit_comments(false);
    let mut builder = Builder::new(skipped);
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                if let Some(document) = builder.take(event, span.start) {
                    stream.documents.push(document);
                }
            }
            Err(error) => {
                let at = builder.position(*error.marker());
                let line = error.marker().line();
                stream
                    .documents
                    .pop_if(|last| !is_over(text, skipped, last, line));
                let rule = format!("this is not YAML: {}", error.info());
                stream
                    .syntax
                    .push(Flaw::new(at, FieldPath::default(), "", rule));
                return Some(line);
            }
        }
    }
    None
}

/// Whether a document was over before a line in error: by a line that ends it, or begins another one. The parser takes a
/// directive for its end as well, so that half a document would be taken for the whole.
fn is_over(text: &str, skipped: usize, document: &Document, error_line: usize) -> bool {
    let Some(begins) = document
        .root
        .at
        .line
        .checked_sub(skipped)
        .filter(|it| *it > 0)
    else {
        // It was read before, up to another error.
        return true;
    };
    let rest = text.lines().take(error_line).skip(begins);
    rest.map(|line| {
        line.split_whitespace()
            .next()
            .filter(|_| !line.starts_with(char::is_whitespace))
    })
    .any(|first| matches!(first, Some("---" | "...")))
}

/// The text from the first `---` after a line, and how many lines come before it. No value can hold
/// such a line, so that it always begins a document.
fn next_document(text: &str, after_line: usize) -> Option<(usize, &str)> {
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if index > 0 && index + 1 > after_line && marker {
            return text.get(offset..).map(|rest| (index, rest));
        }
        offset += line.len();
    }
    None
}

/// Builds trees from the parser's events, without recursion.
struct Builder {
    skipped: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    aliased: usize,
    flaws: Vec<Flaw>,
}

/// A list or map that is being read.
struct Open {
    at: Position,
    anchor: usize,
    children: Children,
}

enum Children {
    Items(Vec<Rc<Node>>),
    Entries {
        entries: Vec<Entry>,
        key: Option<(String, Position)>,
        /// Lines of the keys so far.
        lines: HashMap<String, usize>,
        /// What is merged, each with the number of entries before it.
        merged: Vec<(Rc<Node>, usize)>,
    },
}

impl Builder {
    fn new(skipped: usize) -> Self {
        Self {
            skipped,
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            flaws: Vec::new(),
        }
    }

    fn position(&self, marker: Marker) -> Position {
        Position {
            line: marker.line() + self.skipped,
            column: marker.col() + 1,
        }
    }

    /// Takes one event; returns a document when it is complete.
    fn take(&mut self, event: Event<'_>, start: Marker) -> Option<Document> {
        let at = self.position(start);
        match event {
            Event::DocumentStart(..) => {
                self.open.clear();
                self.anchors.clear();
                self.flaws.clear();
                self.aliased = 0;
                None
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref(), at);
                self.finish(node, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at, "seq");
                self.start(at, anchor, Children::Items(Vec::new()));
                None
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at, "map");
                self.start(
                    at,
                    anchor,
                    Children::Entries {
                        entries: Vec::new(),
                        key: None,
                        lines: HashMap::new(),
                        merged: Vec::new(),
                    },
                );
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                let content = match open.children {
                    Children::Items(items) => Content::List(items),
                    Children::Entries {
                        entries, merged, ..
                    } => Content::Map(self.merge(entries, &merged)),
                };
                self.finish(Node::new(open.at, content), open.anchor)
            }
            Event::Alias(anchor) => {
                let node = self.alias(anchor, at);
                self.attach(node)
            }
            _ => None,
        }
    }

    fn start(&mut self, at: Position, anchor: usize, children: Children) {
        self.open.push(Open {
            at,
            anchor,
            children,
        });
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Option<Document> {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node)
    }

    /// Puts a complete node into the list or map that is being read.
    fn attach(&mut self, node: Rc<Node>) -> Option<Document> {
        let Some(open) = self.open.last_mut() else {
            let flaws = std::mem::take(&mut self.flaws);
            let root = Rc::unwrap_or_clone(node);
            return (!root.is_null()).then_some(Document { root, flaws });
        };
        match &mut open.children {
            Children::Items(items) => items.push(node),
            Children::Entries {
                entries,
                key,
                lines,
                merged,
            } => match key.take() {
                Some((name, _)) if name == MERGE => merged.push((node, entries.len())),
                Some((name, key_at)) => {
                    if let Some(first) = lines.get(&name) {
                        let rule = format!(
                            "this key is written twice, first in line {first}: keep one of them"
                        );
                        let path = self.path().key(name);
                        self.flaws.push(Flaw::new(key_at, path, "", rule));
                    } else {
                        lines.insert(name.clone(), key_at.line);
                        entries.push(Entry {
                            key: name,
                            key_at,
                            value: node,
                        });
                    }
                }
                None => self.key(&node),
            },
        }
        None
    }

    /// Takes a node for the next key of the innermost map.
    fn key(&mut self, node: &Node) {
        let name = match &node.content {
            // Kubernetes turns numbers and booleans that are keys into text, as they are written.
            Content::Scalar { value, written } if !value.is_null() => written.clone(),
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => {
                self.flaw(node.at, "", "a key must be text");
                "?".to_owned()
            }
        };
        if let Some(Open {
            children: Children::Entries { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some((name, node.at));
        }
    }

    /// Adds what merge keys bring in: a map's own keys win, then the earlier of the merged maps. To Go's reader of YAML
    /// 1.1, which kubectl uses, what comes later wins.
    fn merge(&mut self, mut entries: Vec<Entry>, merged: &[(Rc<Node>, usize)]) -> Vec<Entry> {
        if merged.is_empty() {
            return entries;
        }
        let mut keys: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let own: Vec<(String, Position)> = entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.key_at))
            .collect();
        let mut known: HashMap<String, Position> = HashMap::new();
        let mut taken = 0;
        for (node, before) in merged {
            known.extend(own.get(taken..*before).into_iter().flatten().cloned());
            taken = *before;
            let earlier = known.clone();
            let maps = match &node.content {
                Content::List(items) => items.as_slice(),
                Content::Map(_) | Content::Scalar { .. } => std::slice::from_ref(node),
            };
            for map in maps {
                let Content::Map(more) = &map.content else {
                    self.flaw(map.at, "", "only maps can be merged by <<");
                    continue;
                };
                for entry in more {
                    if let Some(at) = earlier.get(&entry.key) {
                        let path = self.path().key(&entry.key);
                        self.flaws.push(Flaw::new(*at, path, "", MERGED_OVER));
                    }
                    known.insert(entry.key.clone(), entry.key_at);
                    if keys.insert(entry.key.clone()) {
                        entries.push(entry.clone());
                    }
                }
            }
        }
        entries
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Rc<Node> {
        if let Some(node) = self.anchors.get(&anchor).cloned() {
            self.aliased = self.aliased.saturating_add(node.size);
            let too_deep = self.open.len() + node.height > MAX_DEPTH;
            if self.aliased <= MAX_ALIASED_NODES && !too_deep {
                return node;
            }
            self.flaw(
                at,
                "",
                format!(
                    "the aliases of this document stand for more than {MAX_ALIASED_NODES} values \
                     or {MAX_DEPTH} levels: write them out"
                ),
            );
        } else {
            self.flaw(at, "", "an alias cannot stand inside of what it stands for");
        }
        Rc::new(null(at))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Node {
        let plain = matches!(style, ScalarStyle::Plain);
        if text == MERGE && (!plain || tag.is_some()) && self.is_at_key() {
            self.flaw(
                at,
                text,
                "some readers merge what stands here, others take it for a field: write << without quotes and tags",
            );
        }
        // A key is text whatever it looks like; `attach` sees to those that are not.
        let value = if tag.is_some_and(is_text_tag) || !plain || text == MERGE {
            Value::String(text.to_owned())
        } else {
            self.refuse_tag(tag, at, "");
            scalar::resolve(text).unwrap_or_else(|rule| {
                self.flaw(at, text, rule);
                Value::String(text.to_owned())
            })
        };
        Node::new(
            at,
            Content::Scalar {
                value,
                written: text.to_owned(),
            },
        )
    }

    /// Whether the next node is a key.
    fn is_at_key(&self) -> bool {
        let innermost = self.open.last().map(|open| &open.children);
        matches!(innermost, Some(Children::Entries { key: None, .. }))
    }

    /// Refuses every tag but the one that says what stands there anyway.
    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position, natural: &str) {
        if let Some(tag) = tag
            && !(tag.handle() == CORE_TAGS && tag.suffix() == natural)
        {
            let written = format!("{}{}", tag.original_handle(), tag.suffix());
            self.flaw(
                at,
                written,
                "tags other than !!str are not read here: leave it out",
            );
        }
    }

    fn flaw(&mut self, at: Position, value: impl Into<String>, rule: impl Into<String>) {
        let path = self.path();
        self.flaws.push(Flaw::new(at, path, value, rule));
    }

    /// The path of the value that is being read.
    fn path(&self) -> FieldPath {
        self.open
            .iter()
            .fold(FieldPath::default(), |path, open| match &open.children {
                Children::Items(items) => path.index(items.len()),
                Children::Entries {
                    key: Some((name, _)),
                    ..
                } => path.key(name),
                Children::Entries { key: None, .. } => path,
            })
    }
}

const MERGE: &str = "<<";
const MERGED_OVER: &str = "kubectl takes what is merged by << after this key instead, other readers do not: put << first, \
     or remove the key";
const CORE_TAGS: &str = "tag:yaml.org,2002:";

/// Whether a tag says that a word is text.
fn is_text_tag(tag: &Tag) -> bool {
    (tag.handle() == CORE_TAGS && tag.suffix() == "str")
        || (tag.handle().is_empty() && tag.suffix() == "!")
        || (tag.handle() == "!" && tag.suffix().is_empty())
}

fn null(at: Position) -> Node {
    Node::new(
        at,
        Content::Scalar {
            value: Value::Null,
            written: String::new(),
        },
    )
}
