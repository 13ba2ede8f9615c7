//! A parsed file that is read key by key: who asks for a key makes it known, what nobody asked for is unknown, and whatever
//! is wrong is noted with its place while reading goes on.
//!
//! serde stops at the first mistake; an operator wants all of them. So the file's tree is walked here, with the byte
//! offsets the parser left in it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::errors::{ConfigErrors, Problem};
use super::nearest::nearest;
use super::secret::{Outside, Secret, from_file, from_variable};
use super::units::{duration_text, parse_duration, parse_size, size_text};

/// The file while it is read.
pub(super) struct Document<'t> {
    text: &'t str,
    outside: &'t dyn Outside,
    /// The directory that relative paths in the file begin at.
    base: PathBuf,
    empty: DeTable<'t>,
    problems: RefCell<Vec<Problem>>,
    /// Those found in what the file means.
    meanings: RefCell<Vec<Problem>>,
    /// Byte offset of every value that was asked for and is there.
    places: RefCell<HashMap<String, usize>>,
    /// Every key that was asked for, `shards[].nodes[].port`.
    keys: RefCell<BTreeSet<String>>,
    /// Those of them that are there.
    found: RefCell<BTreeSet<String>>,
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str, base: &Path, outside: &'t dyn Outside) -> Document<'t> {
        Document {
            text,
            outside,
            base: base.to_owned(),
            empty: DeTable::new(),
            problems: RefCell::default(),
            meanings: RefCell::default(),
            places: RefCell::default(),
            keys: RefCell::default(),
            found: RefCell::default(),
        }
    }

    /// The processors there are.
    pub(super) fn processors(&self) -> usize {
        self.outside.processors()
    }

    /// The section that holds all others.
    pub(super) fn root<'a>(&'a self, table: &'a DeTable<'a>) -> Section<'a> {
        let place = Place { path: String::new(), pattern: String::new(), at: 0 };
        Section { document: self, table, place, known: Vec::new(), misplaced: false }
    }

    /// Notes a problem at a byte offset.
    pub(super) fn note(&self, at: usize, path: &str, message: String) {
        self.problems.borrow_mut().push(self.problem(at, path, message));
    }

    fn problem(&self, at: usize, path: &str, message: String) -> Problem {
        let (line, column) = line_and_column(self.text, at);
        Problem { line, column, path: path.to_owned(), message }
    }

    /// Notes a problem that was found in what the file means, not while it was read. It stands at its key, or else at the
    /// nearest thing around it that is in the file; it is dropped when the key or something in it could not be read,
    /// because then it is most likely a consequence.
    pub(super) fn note_meaning(&self, path: &str, message: String) {
        if !self.problems.borrow().iter().any(|problem| contains(path, &problem.path)) {
            self.meanings.borrow_mut().push(self.problem(self.nearest_place(path), path, message));
        }
    }

    fn nearest_place(&self, path: &str) -> usize {
        let places = self.places.borrow();
        let mut around = path;
        loop {
            match (places.get(around), around.rfind(['.', '['])) {
                (Some(at), _) => return *at,
                (None, Some(end)) => around = &around[..end],
                (None, None) => return 0,
            }
        }
    }

    /// Every key that was asked for, whether it is there or not, without numbers and names of the operator's choice:
    /// `shards[].nodes[].port`, `databases.*.pool_size`.
    #[cfg(test)]
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.keys.borrow().clone()
    }

    /// Whether a key of [`Document::keys`] is anywhere in the file.
    #[cfg(test)]
    pub(super) fn mentions(&self, key: &str) -> bool {
        self.found.borrow().contains(key)
    }

    /// All problems in the order of the file, if there is any.
    pub(super) fn errors(self, origin: &str) -> Option<ConfigErrors> {
        let mut problems = self.problems.into_inner();
        problems.extend(self.meanings.into_inner());
        problems.sort();
        problems.dedup();
        (!problems.is_empty()).then(|| ConfigErrors { origin: origin.to_owned(), problems })
    }
}

/// Whether `inner` is `outer` or lies in it.
fn contains(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Both from 1; the column counts characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[derive(Clone)]
struct Place {
    path: String,
    pattern: String,
    at: usize,
}

impl Place {
    fn key(&self, name: &str, at: usize) -> Place {
        Place { path: join(&self.path, &shown(name)), pattern: join(&self.pattern, name), at }
    }

    /// A key that the operator chose.
    fn entry(&self, name: &str, at: usize) -> Place {
        Place { path: join(&self.path, &shown(name)), pattern: join(&self.pattern, "*"), at }
    }

    fn element(&self, index: usize, at: usize) -> Place {
        Place { path: format!("{}[{index}]", self.path), pattern: format!("{}[]", self.pattern), at }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A key as a path shows it: quoted where TOML wants quotes.
pub(super) fn shown(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

/// A table of the file, or the emptiness where one could be.
pub(super) struct Section<'a> {
    document: &'a Document<'a>,
    table: &'a DeTable<'a>,
    place: Place,
    known: Vec<&'static str>,
    /// Whether something else stands where a table belongs; then nothing is missing in it.
    misplaced: bool,
}

impl<'a> Section<'a> {
    /// Whether the file has this key.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The value of a key, if it is there.
    pub(super) fn field(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        let value = self.table.get(name);
        let place = self.place.key(name, value.map_or(self.place.at, |value| value.span().start));
        self.document.keys.borrow_mut().insert(place.pattern.clone());
        value.map(|value| Field::new(self.document, value, place))
    }

    /// The value of a key that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Option<Field<'a>> {
        let field = self.field(name);
        if field.is_none() && !self.misplaced {
            self.document.note(self.place.at, &self.place.key(name, 0).path, format!("missing key {name:?}"));
        }
        field
    }

    /// A key of a later version: whoever sets it is told, and it is no unknown key.
    pub(super) fn not_yet(&mut self, name: &'static str) {
        self.known.push(name);
        if let Some((key, _)) = self.table.get_key_value(name) {
            let path = self.place.key(name, 0).path;
            self.document.note(key.span().start, &path, format!("key {name:?} is not supported yet"));
        }
    }

    /// A table within this one; empty where there is none.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'a> {
        match self.field(name) {
            Some(field) => field.section(),
            None => Section {
                document: self.document,
                table: &self.document.empty,
                place: self.place.key(name, self.place.at),
                known: Vec::new(),
                misplaced: false,
            },
        }
    }

    /// An array of tables.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Section<'a>> {
        self.field(name).map(|field| field.elements()).unwrap_or_default().iter().map(Field::section).collect()
    }

    /// All entries of a table whose keys the operator chose.
    pub(super) fn entries(&self) -> Vec<(String, Field<'a>)> {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'a, str> = key.get_ref();
            let place = self.place.entry(name, value.span().start);
            (name.to_string(), Field::new(self.document, value, place))
        };
        self.table.iter().map(entry).collect()
    }

    /// Ends the reading of this section: whatever is left is unknown.
    pub(super) fn close(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let message = match nearest(name, self.known.iter().copied()) {
                Some(known) => format!("unknown key {name:?}; did you mean {known:?}?"),
                None => format!("unknown key {name:?}; known here: {}", self.known.join(", ")),
            };
            self.document.note(key.span().start, &self.place.key(name, 0).path, message);
        }
    }

    pub(super) fn string(&mut self, name: &'static str) -> Option<String> {
        self.field(name)?.string()
    }

    pub(super) fn strings(&mut self, name: &'static str) -> Option<Vec<String>> {
        self.field(name)?.strings()
    }

    /// A file's path, relative to the configuration's directory, that must be readable text.
    pub(super) fn readable(&mut self, name: &'static str) -> Option<PathBuf> {
        self.field(name)?.readable()
    }

    /// The same where it must be there.
    pub(super) fn required_readable(&mut self, name: &'static str) -> Option<PathBuf> {
        self.required(name)?.readable()
    }

    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.field(name)?.read("true or false", DeValue::as_bool)
    }

    pub(super) fn integer(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let field = self.field(name)?;
        let value = field.integer()?;
        match u64::try_from(value) {
            Ok(value) if bounds.contains(&value) => Some(value),
            _ => field.refuse(format!("must be between {} and {}, is {value}", bounds.start(), bounds.end())),
        }
    }

    pub(super) fn count(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> Option<usize> {
        self.integer(name, bounds).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    }

    pub(super) fn duration(&mut self, name: &'static str, least: Duration) -> Option<Duration> {
        let field = self.field(name)?;
        let text = field.read("a duration such as \"30s\"", |value| value.as_str().map(str::to_owned))?;
        match parse_duration(&text) {
            Ok(value) if value < least => {
                field.refuse(format!("must be at least {:?}, is {text:?}", duration_text(least)))
            }
            Ok(value) if value > LONGEST => {
                field.refuse(format!("must be at most {:?}, is {text:?}", duration_text(LONGEST)))
            }
            Ok(value) => Some(value),
            Err(message) => field.refuse(message),
        }
    }

    pub(super) fn size(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let field = self.field(name)?;
        let text = field.read("a size such as \"64MiB\"", |value| value.as_str().map(str::to_owned))?;
        match parse_size(&text) {
            Ok(value) if bounds.contains(&value) => Some(value),
            Ok(_) => {
                let (least, most) = (size_text(*bounds.start()), size_text(*bounds.end()));
                field.refuse(format!("must be between {least:?} and {most:?}, is {text:?}"))
            }
            Err(message) => field.refuse(message),
        }
    }

    /// One of a few words. `not_yet` are words of a later version.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)], not_yet: &[&str]) -> Option<T> {
        self.field(name)?.choice(words, not_yet)
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.field(name)?.secret()
    }
}

/// No wait is longer than a year; so no sum of a moment and a wait can overflow.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// A value of the file.
pub(super) struct Field<'a> {
    document: &'a Document<'a>,
    value: &'a DeValue<'a>,
    place: Place,
}

impl<'a> Field<'a> {
    fn new(document: &'a Document<'a>, value: &'a Spanned<DeValue<'a>>, place: Place) -> Field<'a> {
        document.places.borrow_mut().insert(place.path.clone(), place.at);
        document.found.borrow_mut().insert(place.pattern.clone());
        Field { document, value: value.get_ref(), place }
    }

    /// Notes what is wrong with this value.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.document.note(self.place.at, &self.place.path, message.into());
    }

    fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.problem(message);
        None
    }

    fn read<T>(&self, expected: &str, read: impl FnOnce(&DeValue<'a>) -> Option<T>) -> Option<T> {
        let value = read(self.value);
        if value.is_none() {
            self.problem(format!("expected {expected}, found {}", self.found()));
        }
        value
    }

    /// The value's kind, without the value where that may be a secret or long.
    fn found(&self) -> String {
        match self.value {
            DeValue::String(_) => "a string".to_owned(),
            DeValue::Integer(number) => format!("the integer {number}"),
            DeValue::Float(number) => format!("the number {number}"),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date or time".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    pub(super) fn section(&self) -> Section<'a> {
        let (table, misplaced) = match self.value {
            DeValue::Table(table) => (table, false),
            _ => {
                self.problem(format!("expected a table, found {}", self.found()));
                (&self.document.empty, true)
            }
        };
        Section { document: self.document, table, place: self.place.clone(), known: Vec::new(), misplaced }
    }

    /// The elements of an array; none, and a problem, if it is not one.
    pub(super) fn elements(&self) -> Vec<Field<'a>> {
        let DeValue::Array(array) = self.value else {
            self.problem(format!("expected an array, found {}", self.found()));
            return Vec::new();
        };
        let element = |(index, value): (usize, &'a Spanned<_>)| {
            Field::new(self.document, value, self.place.element(index, value.span().start))
        };
        array.iter().enumerate().map(element).collect()
    }

    pub(super) fn string(&self) -> Option<String> {
        let text = self.read("a string", |value| value.as_str().map(str::to_owned))?;
        if text.is_empty() { self.refuse("must not be empty") } else { Some(text) }
    }

    fn readable(&self) -> Option<PathBuf> {
        let path = self.document.base.join(self.string()?);
        if let Err(e) = self.document.outside.file(&path) {
            self.problem(format!("cannot read {}: {e}", path.display()));
        }
        Some(path)
    }

    /// What is no string leaves an empty one, so that the numbers of the others stay right.
    pub(super) fn strings(&self) -> Option<Vec<String>> {
        Some(self.elements().iter().map(|element| element.string().unwrap_or_default()).collect())
    }

    fn integer(&self) -> Option<i64> {
        self.read("an integer", |value| {
            let integer = value.as_integer()?;
            i64::from_str_radix(integer.as_str(), integer.radix()).ok()
        })
    }

    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)], not_yet: &[&str]) -> Option<T> {
        let list = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let word = self.read(&format!("one of {}", list()), |value| value.as_str().map(str::to_owned))?;
        if let Some((_, choice)) = words.iter().find(|(name, _)| *name == word) {
            return Some(*choice);
        }
        if not_yet.contains(&word.as_str()) {
            return self.refuse(format!("{word:?} is not supported yet; supported: {}", list()));
        }
        match nearest(&word, words.iter().map(|(name, _)| *name)) {
            Some(near) => self.refuse(format!("expected one of {}, found {word:?}; did you mean {near:?}?", list())),
            None => self.refuse(format!("expected one of {}, found {word:?}", list())),
        }
    }

    /// By value, `{ env = "NAME" }` or `{ file = "PATH" }`.
    pub(super) fn secret(&self) -> Option<Secret> {
        let DeValue::Table(_) = self.value else {
            const EXPECTED: &str = "a string, { env = \"NAME\" } or { file = \"PATH\" }";
            let text = self.read(EXPECTED, |value| value.as_str().map(str::to_owned))?;
            return if text.is_empty() { self.refuse("must not be empty") } else { Some(Secret::new(text)) };
        };
        let mut section = self.section();
        let (variable, file) = (section.field("env"), section.field("file"));
        section.close();
        let outside = self.document.outside;
        let secret = match (variable, file) {
            (Some(variable), None) => from_variable(outside, &variable.string()?),
            (None, Some(file)) => from_file(outside, &self.document.base.join(file.string()?)),
            _ => return self.refuse("expected exactly one of \"env\" and \"file\""),
        };
        secret.map_or_else(|message| self.refuse(message), Some)
    }

    /// A key of the range method: one value, or an array of one value per column. Integers become their decimal text.
    pub(super) fn key_values(&self) -> Option<Vec<String>> {
        match self.value {
            DeValue::Array(_) => {
                let elements = self.elements();
                let values: Vec<String> = elements.iter().filter_map(Field::key_value).collect();
                (values.len() == elements.len()).then_some(values)
            }
            _ => self.key_value().map(|value| vec![value]),
        }
    }

    fn key_value(&self) -> Option<String> {
        self.read("a string or an integer", |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number.to_string())
            }
            _ => None,
        })
    }
}
