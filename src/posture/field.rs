//! Fields of Azure's resources, as `az` prints them and as Azure Resource Manager has them.
//!
//! `az aks show` has `authorizedIpRanges` and `vnetSubnetId` where Azure Resource Manager has `authorizedIPRanges` and
//! `vnetSubnetID`, and most of what the latter has stands below `properties`. So keys are compared without case, and what is
//! not there is looked for below `properties`. Nothing, `null`, and text without characters say the same: the commands differ in
//! which of them they print.

use std::cell::RefCell;

use serde_json::Value;

use super::{GivenFile, InputProblem};
use crate::domain::{FieldPath, Problem};

/// What is wrong with fields that somebody wanted to read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    all: RefCell<Vec<InputProblem>>,
    /// Those that were met since somebody last took them.
    met: RefCell<Vec<InputProblem>>,
}

impl Problems {
    pub fn add(&self, problem: InputProblem) {
        let mut all = self.all.borrow_mut();
        if !all.contains(&problem) {
            all.push(problem.clone());
        }
        self.met.borrow_mut().push(problem);
    }

    /// Takes what was met since the last time.
    pub fn take(&self) -> Vec<InputProblem> {
        self.met.take()
    }

    pub fn into_all(self) -> Vec<InputProblem> {
        self.all.into_inner()
    }
}

/// A field, which may not be there.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    value: Option<&'a Value>,
    path: FieldPath,
    file: &'a GivenFile,
    problems: &'a Problems,
}

/// Characters of a value that are told.
const SHOWN: usize = 60;

impl<'a> Field<'a> {
    /// All of a file.
    pub fn root(file: &'a GivenFile, problems: &'a Problems) -> Self {
        Self {
            value: Some(&file.content),
            path: FieldPath::default(),
            file,
            problems,
        }
    }

    /// A field of this one.
    pub fn get(&self, key: &str) -> Self {
        let nothing = || Self {
            value: None,
            path: self.path.key(key),
            ..self.clone()
        };
        let map = match self.value {
            Some(Value::Object(map)) => map,
            Some(Value::Null) | None => return nothing(),
            Some(_) => {
                self.complain("must be an object");
                return nothing();
            }
        };
        let mut known = map.iter();
        if let Some((own, value)) = known.find(|(own, _)| own.eq_ignore_ascii_case(key)) {
            return Self {
                value: Some(value).filter(|it| !it.is_null()),
                path: self.path.key(own),
                ..self.clone()
            };
        }
        match map.get(PROPERTIES) {
            Some(properties @ Value::Object(_)) => Self {
                value: Some(properties),
                path: self.path.key(PROPERTIES),
                ..self.clone()
            }
            .get(key),
            _ => nothing(),
        }
    }

    /// Text; None where there is none, or nothing in it.
    pub fn text(&self) -> Option<&'a str> {
        match self.value? {
            Value::String(text) => Some(text.as_str()).filter(|it| !it.is_empty()),
            Value::Null => None,
            _ => self.refuse("must be text"),
        }
    }

    /// A yes or no; None where there is none.
    pub fn flag(&self) -> Option<bool> {
        match self.value? {
            Value::Bool(flag) => Some(*flag),
            Value::Null => None,
            _ => self.refuse("must be true or false"),
        }
    }

    /// A whole number; None where there is none.
    pub fn number(&self) -> Option<i64> {
        match self.value? {
            Value::Null => None,
            other => other
                .as_i64()
                .or_else(|| self.refuse("must be a whole number")),
        }
    }

    /// The items of a list; none where there is no list.
    pub fn items(&self) -> Vec<Self> {
        match self.value {
            Some(Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.map(|(at, value)| self.item(at, value)).collect()
            }
            Some(Value::Null) | None => Vec::new(),
            Some(_) => {
                self.complain("must be a list");
                Vec::new()
            }
        }
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.value, Some(Value::Array(_)))
    }

    /// Whether this is text.
    pub fn is_text(&self) -> bool {
        matches!(self.value, Some(Value::String(_)))
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.value, Some(Value::Object(_)))
    }

    /// The texts of a list.
    pub fn texts(&self) -> Vec<&'a str> {
        self.items().iter().filter_map(Self::text).collect()
    }

    /// The keys of this object.
    pub fn keys(&self) -> Vec<&'a str> {
        match self.value {
            Some(Value::Object(map)) => map.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The same as [`Self::complain`], for whoever needs a value.
    pub fn refuse<T>(&self, rule: &str) -> Option<T> {
        self.complain(rule);
        None
    }

    /// Tells that what stands here cannot be used, and why, with the way out.
    pub fn complain(&self, rule: &str) {
        let input = self.file.input;
        let value = match self.value {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        let value = match value.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &value[..end]),
            None => value,
        };
        let rule = format!(
            "{rule}: give what `{}` prints, as it is printed",
            input.command()
        );
        self.problems.add(InputProblem {
            input,
            file: self.file.name.clone(),
            problem: Problem {
                path: self.path.clone(),
                value,
                rule,
            },
        });
    }

    fn item(&self, at: usize, value: &'a Value) -> Self {
        Self {
            value: Some(value),
            path: self.path.index(at),
            ..self.clone()
        }
    }
}

/// What Azure Resource Manager has most fields below.
const PROPERTIES: &str = "properties";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::posture::InputFile;

    fn file(content: Value) -> GivenFile {
        GivenFile {
            input: InputFile::Cluster,
            name: "a.json".to_owned(),
            content,
        }
    }

    #[test]
    fn both_spellings_are_read() {
        let problems = Problems::default();
        let printed =
            file(json!({"apiServerAccessProfile": {"authorizedIpRanges": ["10.0.0.0/8"]}}));
        let raw = file(
            json!({"properties": {"apiServerAccessProfile": {"authorizedIPRanges": ["10.0.0.0/8"]}}}),
        );
        for file in [&printed, &raw] {
            let profile = Field::root(file, &problems).get("apiServerAccessProfile");
            assert_eq!(profile.get("authorizedIpRanges").texts(), ["10.0.0.0/8"]);
        }
        assert_eq!(problems.into_all(), []);
    }

    #[test]
    fn nothing_is_null_and_empty() {
        let problems = Problems::default();
        let file = file(json!({"a": null, "b": ""}));
        let root = Field::root(&file, &problems);
        for key in ["a", "b", "c"] {
            assert_eq!(root.get(key).text(), None, "{key}");
        }
        assert_eq!(root.get("a").get("x").get("y").text(), None);
        assert_eq!(problems.into_all(), []);
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place_as_it_is_written() {
        let problems = Problems::default();
        let file =
            file(json!({"Properties": 1, "properties": {"a": {"Flag": "yes"}, "b": {}, "c": 1.5}}));
        let root = Field::root(&file, &problems);
        assert_eq!(root.get("a").get("flag").flag(), None);
        assert!(root.get("b").items().is_empty());
        assert_eq!(root.get("c").number(), None);
        let told: Vec<_> = problems
            .take()
            .iter()
            .map(|it| it.problem.to_string())
            .collect();
        let way_out = "give what `az aks show -g $RG -n $AKS -o json` prints, as it is printed";
        assert_eq!(
            told,
            [
                format!("properties.a.Flag: \"yes\": must be true or false: {way_out}"),
                format!("properties.b: \"{{}}\": must be a list: {way_out}"),
                format!("properties.c: \"1.5\": must be a whole number: {way_out}"),
            ]
        );
        assert_eq!(problems.take(), [], "they are taken once");
        assert_eq!(problems.into_all().len(), 3);
    }
}
