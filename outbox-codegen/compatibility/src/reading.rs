//! Whether one type reads what another one writes, the reader being serde with unknown fields ignored.
//!
//! The relation has one direction. "Backward" is the new reader before the old writer, "forward" the old reader before
//! the new writer; nothing else differs between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Direction;
use super::parse::Document;
use super::path::Path;
use super::shape::{Array, Field, Integer, Number, Object, Rest, Shape, Text};

/// Something that is written and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) reason: String,
    pub(super) advice: Option<&'static str>,
    /// Whether it is only not known that it can be read.
    pub(super) unknown: bool,
}

/// A reader's shape and a writer's, by their places in memory: both documents stay where they are.
type Pair = (*const Shape, *const Shape);

pub(super) struct Reading<'a> {
    direction: Direction,
    reader: &'a Document,
    writer: &'a Document,
    /// Pairs that are being judged or were found to fit. A pair that is met inside of itself fits if the rest does.
    assumed: Vec<Pair>,
    /// Pairs that do not fit, whatever is assumed.
    refuted: BTreeSet<Pair>,
    /// Where the reasons of a refuted pair were reported.
    reported: BTreeMap<Pair, String>,
    /// Whether reasons are wanted, or only whether there is one.
    explains: bool,
}

/// All that `writer` may write and `reader` cannot read; nothing if it reads everything.
pub(super) fn findings(reader: &Document, writer: &Document, direction: Direction) -> Vec<Finding> {
    let mut reading = Reading {
        direction,
        reader,
        writer,
        assumed: Vec::new(),
        refuted: BTreeSet::new(),
        reported: BTreeMap::new(),
        explains: true,
    };
    let mut found = Vec::new();
    reading.all(&reader.root, &writer.root, &Path::root(), &mut found);
    found
}

/// What schemars says of a decimal number's text when it is read, and when it is written.
const DECIMAL_READ: &str = r"^-?\d+(\.\d+)?([eE]\d+)?$";
const DECIMAL_WRITTEN: &str = r"^-?\d+(\.\d+)?$";
/// What to do where a function hides the data.
const DECLARE: &str = "say what is written and read: `#[schemars(with = \"…\")]` with a type that serde writes and reads like that";

impl<'a> Reading<'a> {
    /// Every alternative of the writer has to be read by one of the reader's.
    fn all(&mut self, reader: &'a Shape, writer: &'a Shape, at: &Path, found: &mut Vec<Finding>) {
        let (mut reader, mut writer) = (self.reader.resolved(reader), self.writer.resolved(writer));
        if let (Shape::Custom(one), Shape::Custom(other)) = (reader, writer)
            && one.is_alike(other)
        {
            return self.all(&one.shape, &other.shape, at, found);
        }
        if !reader.is_read_otherwise() {
            reader = reader.typed();
        }
        if !writer.is_written_otherwise() {
            writer = writer.typed();
        }
        if reader.is_read_otherwise() {
            return self.functions(reader, writer, at, found);
        }
        let readers = self.reader.alternatives(reader);
        let written = self.writer.alternatives(writer);
        let several = is_enum(&readers) || is_enum(&written);
        for writer in written {
            if readers.iter().any(|reader| self.fits(reader, writer)) {
                continue;
            }
            if self.explains {
                self.explain(&readers, writer, several, at, found);
            } else {
                self.push(at, String::new(), None, found);
            }
        }
    }

    fn fits(&mut self, reader: &'a Shape, writer: &'a Shape) -> bool {
        let pair: Pair = (reader, writer);
        if self.refuted.contains(&pair) {
            return false;
        }
        if self.assumed.contains(&pair) {
            return true;
        }
        let before = self.assumed.len();
        self.assumed.push(pair);
        let explains = std::mem::replace(&mut self.explains, false);
        let mut found = Vec::new();
        self.one(reader, writer, &Path::root(), &mut found);
        self.explains = explains;
        if !found.is_empty() {
            self.assumed.truncate(before);
            self.refuted.insert(pair);
        }
        found.is_empty()
    }

    /// No reader fits: explains why the nearest one does not.
    fn explain(
        &mut self,
        readers: &[&'a Shape],
        writer: &'a Shape,
        several: bool,
        at: &Path,
        found: &mut Vec<Finding>,
    ) {
        let label = writer.label().filter(|_| several);
        let only = |fits: &dyn Fn(&Shape) -> bool| {
            let mut candidates = readers.iter().copied().filter(|reader| fits(reader));
            candidates.next().filter(|_| candidates.next().is_none())
        };
        let nearest = only(&|reader| label.is_some() && reader.label() == label)
            .or_else(|| only(&|reader| label.is_none() && reader.is_like(writer)))
            .or_else(|| only(&|reader| !several && *reader != Shape::Null && *writer != Shape::Null));
        let place = label
            .as_ref()
            .map_or_else(|| at.clone(), |label| at.variant(label));
        let Some(reader) = nearest else {
            let (data, readers) = self.words();
            let reason = match &label {
                Some(label) => format!("{data} may hold the variant `{label}`, which {readers} do not know"),
                None => format!("{data} may be {writer}, which {readers} do not take"),
            };
            return self.push(&place, reason, None, found);
        };
        let pair: Pair = (reader, writer);
        if let Some(before) = self.reported.get(&pair) {
            let reason = format!("as at {before}: it is the same type");
            return self.push(&place, reason, None, found);
        }
        self.reported.insert(pair, place.to_string());
        self.one(reader, writer, &place, found);
    }

    /// Neither is a reference or a union here.
    fn one(&mut self, reader: &'a Shape, writer: &'a Shape, at: &Path, found: &mut Vec<Finding>) {
        match (reader, writer) {
            (Shape::Any, _) | (Shape::Null, Shape::Null) | (Shape::Boolean, Shape::Boolean) => {}
            (Shape::Opaque(reader), Shape::Opaque(writer)) if reader == writer => {}
            (Shape::Custom(reader), Shape::Custom(writer)) if reader.is_alike(writer) => {
                self.all(&reader.shape, &writer.shape, at, found)
            }
            (reader, writer) if reader.is_read_otherwise() || writer.is_written_otherwise() => {
                self.functions(reader, writer, at, found)
            }
            (Shape::Custom(_), _) | (_, Shape::Custom(_)) => {
                self.all(reader.typed(), writer.typed(), at, found)
            }
            (Shape::Opaque(_), _) | (_, Shape::Opaque(_)) => {
                self.cannot_tell(at, "the schema of this place", found)
            }
            (Shape::Literal(reader), Shape::Literal(writer)) if reader == writer => {}
            (Shape::Boolean, Shape::Literal(Value::Bool(_))) => {}
            (Shape::Integer(reader), Shape::Literal(Value::Number(writer))) if reader.takes(writer) => {}
            (Shape::Number(reader), Shape::Literal(Value::Number(_))) if reader.unknown.is_empty() => {}
            (Shape::Number(reader), Shape::Integer(writer)) if reader.takes(writer) => {}
            (Shape::Text(reader), Shape::Literal(Value::String(writer))) if reader.takes(writer) => {}
            (Shape::Integer(reader), Shape::Integer(writer)) => self.integers(reader, writer, at, found),
            (Shape::Number(reader), Shape::Number(writer)) => self.numbers(reader, writer, at, found),
            (Shape::Text(reader), Shape::Text(writer)) => self.texts(reader, writer, at, found),
            (Shape::Array(reader), Shape::Array(writer)) => self.arrays(reader, writer, at, found),
            (Shape::Object(reader), Shape::Object(writer)) => self.objects(reader, writer, at, found),
            (reader, writer) => {
                let (data, readers) = self.words();
                self.push(
                    at,
                    format!("{data} may be {writer}, and {readers} want {reader}"),
                    None,
                    found,
                );
            }
        }
    }

    fn integers(&mut self, reader: &Integer, writer: &Integer, at: &Path, found: &mut Vec<Finding>) {
        if reader.unknown != writer.unknown {
            return self.cannot_tell(at, "its keywords", found);
        }
        if writer.lower < reader.lower || writer.upper > reader.upper {
            self.bounds(
                &Shape::Integer(reader.clone()),
                &Shape::Integer(writer.clone()),
                at,
                found,
            );
        }
    }

    fn numbers(&mut self, reader: &Number, writer: &Number, at: &Path, found: &mut Vec<Finding>) {
        if reader.unknown != writer.unknown {
            return self.cannot_tell(at, "its keywords", found);
        }
        if reader.single && !writer.single {
            let (data, readers) = self.words();
            let reason = format!("{data} may have more digits than {readers} keep in a float");
            self.push(at, reason, None, found);
        }
    }

    fn texts(&mut self, reader: &Text, writer: &Text, at: &Path, found: &mut Vec<Finding>) {
        if reader.unknown != writer.unknown {
            return self.cannot_tell(at, "its keywords", found);
        }
        let format = match (reader.format.as_deref(), writer.format.as_deref()) {
            (None, _) | (Some("ip"), Some("ipv4" | "ipv6")) => true,
            (reader, writer) => reader == writer,
        };
        let pattern = match (reader.pattern.as_deref(), writer.pattern.as_deref()) {
            (None, _) => true,
            (Some(DECIMAL_READ), Some(writer)) => writer == DECIMAL_WRITTEN || writer == DECIMAL_READ,
            (reader, writer) => reader == writer,
        };
        let longest = reader
            .longest
            .is_none_or(|most| writer.longest.is_some_and(|longest| longest <= most));
        if !(format && pattern && longest && reader.shortest <= writer.shortest) {
            self.bounds(
                &Shape::Text(reader.clone()),
                &Shape::Text(writer.clone()),
                at,
                found,
            );
        }
    }

    fn arrays(&mut self, reader: &'a Array, writer: &'a Array, at: &Path, found: &mut Vec<Finding>) {
        if reader.unknown != writer.unknown {
            return self.cannot_tell(at, "its keywords", found);
        }
        let longest = reader
            .longest
            .is_none_or(|most| writer.longest.is_some_and(|longest| longest <= most));
        if reader.shortest > writer.shortest || !longest {
            return self.bounds(
                &Shape::Array(reader.clone()),
                &Shape::Array(writer.clone()),
                at,
                found,
            );
        }
        let single = reader.first.len().max(writer.first.len());
        let written = writer
            .longest
            .and_then(|longest| usize::try_from(longest).ok())
            .unwrap_or(usize::MAX);
        for index in 0..single.min(written) {
            self.all(
                reader.element(index),
                writer.element(index),
                &at.element(index),
                found,
            );
        }
        if written > single {
            self.all(&reader.others, &writer.others, &at.elements(), found);
        }
    }

    fn objects(&mut self, reader: &'a Object, writer: &'a Object, at: &Path, found: &mut Vec<Finding>) {
        if reader.unknown != writer.unknown {
            return self.cannot_tell(at, "its keywords", found);
        }
        let mut read = BTreeSet::new();
        for (name, field) in &reader.fields {
            let written: Vec<&String> = std::iter::once(name)
                .chain(&field.aliases)
                .filter(|name| writer.fields.contains_key(*name))
                .collect();
            read.extend(written.iter().copied());
            self.field(&at.field(name), field, &written, writer, found);
        }
        for (name, field) in &writer.fields {
            if read.contains(name) {
                continue;
            }
            let place = at.field(name);
            match &reader.rest {
                Rest::Ignored => {}
                Rest::Values(shape) => self.all(shape, &field.shape, &place, found),
                Rest::Refused => self.refused(&place, found),
                Rest::Keyed(_) => self.cannot_tell(&place, "whether its name is one of the keys", found),
            }
        }
        self.rest(reader, writer, at, found);
    }

    /// One field of the reader, which the writer has under none, one or several names.
    fn field(
        &mut self,
        place: &Path,
        field: &'a Field,
        written: &[&String],
        writer: &'a Object,
        found: &mut Vec<Finding>,
    ) {
        let (data, readers) = self.words();
        let [written] = written else {
            if written.len() > 1 {
                let reason = format!("{data} may hold it under two names, which {readers} refuse");
                return self.push(place, reason, None, found);
            }
            if field.required {
                let reason = format!("{data} lack it, and {readers} require it");
                return self.push(place, reason, Some(self.missing()), found);
            }
            // A map may hold any name, and so this one.
            match &writer.rest {
                Rest::Ignored | Rest::Refused => {}
                Rest::Values(shape) => self.all(&field.shape, shape, place, found),
                Rest::Keyed(_) => self.cannot_tell(place, "whether its name is one of the keys", found),
            }
            return;
        };
        let Some(there) = writer.fields.get(*written) else {
            return;
        };
        if field.required && !there.required {
            let reason = format!("{data} may lack it, and {readers} require it");
            self.push(place, reason, Some(self.missing()), found);
        }
        self.all(&field.shape, &there.shape, place, found);
    }

    fn rest(&mut self, reader: &'a Object, writer: &'a Object, at: &Path, found: &mut Vec<Finding>) {
        let place = at.values();
        match (&reader.rest, &writer.rest) {
            (Rest::Ignored, _) | (_, Rest::Ignored | Rest::Refused) => {}
            (Rest::Values(reader), Rest::Values(writer)) => self.all(reader, writer, &place, found),
            (Rest::Values(reader), Rest::Keyed(writers)) => {
                writers
                    .values()
                    .for_each(|writer| self.all(reader, writer, &place, found));
            }
            (Rest::Refused, _) => self.refused(&place, found),
            (Rest::Keyed(readers), Rest::Keyed(writers)) => {
                for (pattern, writer) in writers {
                    match readers.get(pattern) {
                        Some(reader) => self.all(reader, writer, &place, found),
                        None => self.cannot_tell(&place, "whether all its keys are read", found),
                    }
                }
            }
            (Rest::Keyed(_), Rest::Values(_)) => {
                let (data, readers) = self.words();
                let reason = format!("{data} may hold any key, and {readers} take certain ones");
                self.push(&place, reason, None, found);
            }
        }
    }

    fn refused(&self, place: &Path, found: &mut Vec<Finding>) {
        let (data, readers) = self.words();
        let reason = format!("{data} may hold it, and {readers} refuse unknown fields");
        self.push(
            place,
            reason,
            Some("leave `deny_unknown_fields` out of what others read"),
            found,
        );
    }

    fn bounds(&self, reader: &Shape, writer: &Shape, at: &Path, found: &mut Vec<Finding>) {
        let (data, readers) = self.words();
        self.push(
            at,
            format!("{data} may be {writer}, and {readers} take {reader}"),
            None,
            found,
        );
    }

    fn cannot_tell(&self, at: &Path, what: &str, found: &mut Vec<Finding>) {
        let (data, readers) = self.words();
        let reason =
            format!("cannot tell whether {readers} read {data}: {what} cannot be compared, and has changed");
        self.unknown(at, reason, None, found);
    }

    /// A function of the user's stands between the type and the data.
    fn functions(&self, reader: &Shape, writer: &Shape, at: &Path, found: &mut Vec<Finding>) {
        let (data, readers) = self.words();
        let mut functions = Vec::new();
        if let Shape::Custom(custom) = reader {
            let reads = custom.read_with.iter();
            functions.extend(reads.map(|with| format!("{readers} read it with `{with}`")));
        }
        if let Shape::Custom(custom) = writer {
            let writes = custom.written_with.iter();
            functions.extend(writes.map(|with| format!("{data} are written with `{with}`")));
        }
        let reason = format!(
            "cannot tell whether {readers} read {data}: {}, and a schema does not see what that does",
            functions.join(", ")
        );
        self.unknown(at, reason, Some(DECLARE), found);
    }

    fn unknown(&self, at: &Path, reason: String, advice: Option<&'static str>, found: &mut Vec<Finding>) {
        found.push(Finding {
            path: at.to_string(),
            reason,
            advice,
            unknown: true,
        });
    }

    fn push(&self, at: &Path, reason: String, advice: Option<&'static str>, found: &mut Vec<Finding>) {
        found.push(Finding {
            path: at.to_string(),
            reason,
            advice,
            unknown: false,
        });
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self.direction {
            Direction::Backward => ("old data", "new readers"),
            Direction::Forward => ("new data", "old readers"),
        }
    }

    fn missing(&self) -> &'static str {
        match self.direction {
            Direction::Backward => "make it an `Option`, or give it `#[serde(default)]`",
            Direction::Forward => "go on writing it",
        }
    }
}

impl Integer {
    fn takes(&self, number: &serde_json::Number) -> bool {
        let value = number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from));
        let below = |value: i128| value < 0 || value.unsigned_abs() <= self.upper;
        self.unknown.is_empty() && value.is_some_and(|value| value >= self.lower && below(value))
    }
}

impl Text {
    fn takes(&self, text: &str) -> bool {
        let length = text.chars().count() as u64;
        self.format.is_none()
            && self.pattern.is_none()
            && self.unknown.is_empty()
            && length >= self.shortest
            && self.longest.is_none_or(|longest| length <= longest)
    }
}

impl Number {
    /// An integer is a number; a float keeps the digits of small ones only.
    fn takes(&self, integer: &Integer) -> bool {
        const EXACT: u128 = 1 << 24;
        let small = integer.upper <= EXACT && integer.lower >= -(1 << 24);
        self.unknown.is_empty() && integer.unknown.is_empty() && (small || !self.single)
    }
}

/// More than one kind of value, not counting null.
pub(super) fn is_enum(alternatives: &[&Shape]) -> bool {
    alternatives
        .iter()
        .filter(|shape| ***shape != Shape::Null)
        .count()
        > 1
}
