//! Which paths of a base are what was there before at the paths that are given.
//!
//! What lies in the base beside them was not there before: whoever puts a policy into a folder that nobody reviews would
//! otherwise have it known when it moves to one that is reviewed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

/// What each path that is given is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// The base, as it was given.
    base: PathBuf,
    /// By path, in the order in which they were given.
    pairs: Vec<Compared>,
}

/// A path, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    /// The path that is reviewed, as it was given.
    path: PathBuf,
    /// The path below the base; None: nothing was there, and all of it is new.
    with: Option<PathBuf>,
    /// Whether anybody would take it for that.
    #[serde(skip)]
    is_plain: bool,
}

/// Why nobody can say what was there before.
#[derive(Debug, Error)]
pub(super) enum BaseError {
    #[error("--base {}: failed to read it", base.display())]
    Unread { base: PathBuf, source: io::Error },
    #[error(
        "failed to find what -f {} was in --base {}: both {} and {} are there: give --base the folder in which only one of \
         them lies, for instance --base {}",
        path.display(), base.display(), either.display(), or.display(), parent(either).display()
    )]
    Ambiguous {
        path: PathBuf,
        base: PathBuf,
        either: PathBuf,
        or: PathBuf,
    },
    #[error(
        "failed to find what -f {} was in --base {}: {} is what -f {} is compared with: give --base a copy of the folder in \
         which both of them lie",
        path.display(), base.display(), with.display(), other.display()
    )]
    Taken {
        path: PathBuf,
        base: PathBuf,
        with: PathBuf,
        other: PathBuf,
    },
    #[error(
        "failed to find what -f {} was in --base {}, and no other path of -f is there: give --base a copy of the folder in \
         which it lies; an empty folder {} says that nothing was there",
        path.display(), base.display(), base.join(last(path)).display()
    )]
    Nowhere { path: PathBuf, base: PathBuf },
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn last(path: &Path) -> &Path {
    path.file_name().map_or(Path::new(""), Path::new)
}

impl Base {
    /// Finds each path below the base by its name, or by as much of its end as is there; all of the base is what a single
    /// folder or file was that is called otherwise.
    ///
    /// # Errors
    /// The base is not there, more than one place of it could be meant, or none is.
    pub(super) fn of(base: &Path, paths: &[PathBuf]) -> Result<Self, BaseError> {
        if let Err(source) = fs::metadata(base) {
            let base = base.to_owned();
            return Err(BaseError::Unread { base, source });
        }
        let mut pairs: Vec<Compared> = Vec::new();
        for path in paths {
            if pairs.iter().any(|it| it.path == *path) {
                continue;
            }
            let found = if is_standard_input(path) {
                None
            } else {
                there(base, path)?
            };
            let with = found.as_ref().map(|(with, _)| with.clone());
            let same = |it: &&Compared| it.with.is_some() && it.with == with;
            if let (Some(other), Some(with)) = (pairs.iter().find(same), &with)
                && normal(&other.path) != normal(path)
            {
                return Err(BaseError::Taken {
                    path: path.clone(),
                    base: base.to_owned(),
                    with: with.clone(),
                    other: other.path.clone(),
                });
            }
            pairs.push(Compared {
                path: path.clone(),
                with,
                is_plain: found.is_some_and(|(_, is_plain)| is_plain),
            });
        }
        let is_found = pairs.iter().any(|it| it.with.is_some());
        match pairs.as_mut_slice() {
            _ if is_found => {}
            // What does not exist is told where it is read.
            [one] if base.is_file() || is_standard_input(&one.path) || !one.path.is_file() => {
                one.with = Some(base.to_owned());
                one.is_plain = base.is_file();
            }
            [one, ..] => {
                return Err(BaseError::Nowhere {
                    path: one.path.clone(),
                    base: base.to_owned(),
                });
            }
            [] => {}
        }
        Ok(Self {
            base: base.to_owned(),
            pairs,
        })
    }

    /// All of a base that is one of several, where nothing of what is given is found in it.
    pub(super) fn of_several(base: &Path, paths: &[PathBuf]) -> Result<Self, BaseError> {
        match Self::of(base, paths) {
            Err(BaseError::Nowhere { .. }) => Ok(Self {
                base: base.to_owned(),
                pairs: vec![Compared {
                    path: PathBuf::new(),
                    with: Some(base.to_owned()),
                    is_plain: true,
                }],
            }),
            other => other,
        }
    }

    /// What is read.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let paths = self.pairs.iter().filter_map(|it| it.with.clone());
        paths.collect()
    }

    /// What is compared with what.
    pub(super) fn pairs(&self) -> &[Compared] {
        &self.pairs
    }

    /// Which reading was taken, where it may not be the one that is meant: in words, for a person.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let odd = self.pairs.iter().filter(|it| !it.is_plain);
        odd.map(|it| match &it.with {
            Some(with) if *with == self.base => format!(
                "{it}, which has no {} of its own: all that lies in it counts as what was there before",
                it.path.display()
            ),
            _ => it.to_string(),
        })
    }

    /// Where a file of the base would be reviewed; None: nowhere.
    pub(super) fn reviewed(&self, file: &Path) -> Option<PathBuf> {
        let file = normal(file);
        self.pairs.iter().find_map(|it| {
            let below = file.strip_prefix(normal(it.with.as_ref()?)).ok()?;
            let path = normal(&it.path);
            // A file has nothing below it.
            Some(if below.as_os_str().is_empty() {
                path
            } else {
                path.join(below)
            })
        })
    }
}

impl Compared {
    /// Whether anybody would take it for that.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }
}

/// `pr/policies is compared with main/policies`.
impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_standard_input(&self.path) {
            f.write_str("standard input")?;
        } else {
            write!(f, "{}", self.path.display())?;
        }
        match &self.with {
            Some(with) => write!(f, " is compared with {}", with.display()),
            None => f.write_str(" was not there before, so all of it counts as new"),
        }
    }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Where a path is below the base, and whether that is where anybody would look for it.
fn there(base: &Path, path: &Path) -> Result<Option<(PathBuf, bool)>, BaseError> {
    let own = relative(path);
    let ends = ends(own.as_deref().unwrap_or(path));
    let is_alike = |there: &Path| match (path.is_dir(), path.is_file()) {
        (true, _) => there.is_dir(),
        (_, true) => there.is_file(),
        _ => there.exists(),
    };
    // From a folder of a copy beside the base, files are those of the same folder of the base.
    let below = below_copy(base).filter(|_| path.is_file());
    let is_same = below.as_ref().is_some_and(|it| base.join(it).is_dir());
    let own = own.map(|own| match &below {
        Some(below) if is_same => below.join(own),
        _ => own,
    });
    let own = own.filter(|it| base.join(it).exists());
    let is_plain = below.is_none() || is_same;
    // Who gives single files gives those of a change, and may have put a new one where its name is another's.
    let is_meant = |end: &&PathBuf| !path.is_file() || is_copied(base, path, end);
    let mut found = ends
        .iter()
        .filter(|it| is_alike(&base.join(it)))
        .filter(is_meant);
    if let Some(own) = own {
        // A copy of this folder has both as well.
        let other = found.find(|it| **it != own && !it.exists());
        return match other {
            Some(other) => Err(ambiguous(base, path, [&own, other])),
            None => Ok(Some((base.join(own), is_plain))),
        };
    }
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => Err(ambiguous(base, path, [one, other])),
        (one, _) => Ok(one.map(|it| (base.join(it), false))),
    }
}

/// Where the working directory lies in a copy of the base that lies beside it; None: in none, or in its root.
fn below_copy(base: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let base = base.canonicalize().ok()?;
    let below = here.strip_prefix(base.parent()?).ok()?;
    let mut below = below.components();
    let is_base = below.next().is_some_and(|it| base.ends_with(it));
    let rest = below.as_path();
    (!is_base && !rest.as_os_str().is_empty()).then(|| rest.to_owned())
}

/// Whether what is left of a path without its end is what the base is a copy of: it lies beside the base, or is called so.
fn is_copied(base: &Path, path: &Path, end: &Path) -> bool {
    let mut root = path;
    for _ in end.components() {
        root = root.parent().unwrap_or(Path::new(""));
    }
    let here = Path::new(".");
    let root = if root.as_os_str().is_empty() {
        here
    } else {
        root
    };
    match (root.canonicalize(), base.canonicalize()) {
        (Ok(root), Ok(base)) => {
            root.parent() == base.parent() || root.file_name() == base.file_name()
        }
        // That one of them cannot be read is told where it is read.
        _ => true,
    }
}

fn ambiguous(base: &Path, path: &Path, [either, or]: [&PathBuf; 2]) -> BaseError {
    BaseError::Ambiguous {
        path: path.to_owned(),
        base: base.to_owned(),
        either: base.join(either),
        or: base.join(or),
    }
}

/// The ends of a path, the longest first; nothing above the last step up.
fn ends(path: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => names.clear(),
        }
    }
    let starts = 0..names.len();
    starts.map(|it| names[it..].iter().collect()).collect()
}

/// A path below the working directory; None for others, and for standard input.
fn relative(path: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().ok();
    let path = match here.filter(|_| path.is_absolute()) {
        Some(here) => path.strip_prefix(here).ok()?,
        None => path,
    };
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) if name != "-" => relative.push(name),
            _ => return None,
        }
    }
    Some(relative)
}

/// A path without detours, from the working directory.
pub(super) fn normal(path: &Path) -> PathBuf {
    let path = relative(path).unwrap_or_else(|| path.to_owned());
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some_and(|it| it != "..") => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
