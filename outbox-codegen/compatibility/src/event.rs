//! One event against its earlier self: the payload, and what leads a record to its readers.

use std::collections::{BTreeMap, BTreeSet};

use outbox_runtime::catalog::{Declaration, FieldSource, SchemaFile};

use crate::changes::changes;
use crate::judgement::judge;
use crate::parse::Document;
use crate::reading::Finding;
use crate::report::{Break, Difference, Direction};

/// All that differs, breaking or not.
pub(super) fn differences(old: &SchemaFile, new: &SchemaFile) -> Vec<Difference> {
    let mut found = declared(old.declaration(), new.declaration());
    found.extend(payload(old, new));
    found
}

/// The name of the version after this one.
pub(super) fn next_type(declaration: &Declaration) -> String {
    let name = &declaration.event_type;
    let bare = name
        .rsplit_once('V')
        .filter(|(_, digits)| !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()))
        .map_or(name.as_str(), |(bare, _)| bare);
    format!("{bare}V{}", declaration.version.saturating_add(1))
}

fn new_version(declaration: &Declaration) -> String {
    let next = next_type(declaration);
    format!(
        "declare `{next}` with the change, and send `{}` as it was until nobody reads it",
        declaration.event_type
    )
}

fn payload(old: &SchemaFile, new: &SchemaFile) -> Vec<Difference> {
    let [backward, forward] = judge(old.schema(), new.schema());
    let mut changed = changes(
        &Document::documented(old.schema()),
        &Document::documented(new.schema()),
    );
    for (path, change) in changes(&Document::read(old.schema()), &Document::read(new.schema())) {
        changed
            .entry(path)
            .or_insert_with(|| format!("for readers: {change}"));
    }

    let found = backward
        .into_iter()
        .map(|finding| (Direction::Backward, finding))
        .chain(forward.into_iter().map(|finding| (Direction::Forward, finding)));
    let mut broken: BTreeMap<String, Vec<(Direction, Finding)>> = BTreeMap::new();
    for (direction, finding) in found {
        broken
            .entry(finding.path.clone())
            .or_default()
            .push((direction, finding));
    }
    let paths: BTreeSet<&String> = changed.keys().chain(broken.keys()).collect();
    paths
        .into_iter()
        .map(|path| {
            let findings = broken.get(path).map(Vec::as_slice).unwrap_or_default();
            let advice = findings.iter().find_map(|(_, finding)| finding.advice);
            Difference {
                path: path.clone(),
                change: changed.get(path).cloned().unwrap_or_else(|| "changed".to_owned()),
                breaks: findings
                    .iter()
                    .map(|(direction, finding)| Break {
                        direction: *direction,
                        reason: finding.reason.clone(),
                    })
                    .collect(),
                advice: (!findings.is_empty()).then(|| {
                    let new_version = new_version(new.declaration());
                    advice.map_or_else(
                        || new_version.clone(),
                        |advice| format!("{advice}; or {new_version}"),
                    )
                }),
            }
        })
        .collect()
}

fn declared(old: &Declaration, new: &Declaration) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |path: &str, before: &str, now: &str, backward: &str, forward: &str| {
        if before != now {
            found.push(moved(
                path,
                format!("was `{before}`, is `{now}`"),
                [backward, forward],
                new,
            ));
        }
    };
    compare(
        "topic",
        &old.topic,
        &new.topic,
        "readers of the new topic do not see what lies in the old one, and a key's order does not reach across topics",
        "readers of the old topic see nothing new",
    );
    compare(
        "key",
        &old.key,
        &new.key,
        "old and new records of one thing may lie in different partitions, and so without an order; whether they do \
         does not follow from the names",
        "readers that take the key for the old one find another value",
    );
    compare(
        "aggregate",
        &old.aggregate,
        &new.aggregate,
        "old rows carry the old aggregate type",
        "whoever routes or filters by the aggregate type, such as a connector, sends the new rows elsewhere",
    );
    compare(
        "content_type",
        &old.content_type,
        &new.content_type,
        "old data is of the old media type",
        "old readers expect the old media type",
    );
    if old.source != new.source {
        let shown =
            |source: &Option<String>| source.as_ref().map_or("the relay's".into(), |s| format!("`{s}`"));
        found.push(Difference {
            path: "source".to_owned(),
            change: format!("was {}, is {}", shown(&old.source), shown(&new.source)),
            breaks: Vec::new(),
            advice: None,
        });
    }
    found.extend(headers(old, new));
    found
}

fn headers(old: &Declaration, new: &Declaration) -> Vec<Difference> {
    let of = |declaration: &Declaration| -> BTreeMap<String, FieldSource> {
        let headers = declaration.headers.iter();
        headers
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect()
    };
    let (before, now) = (of(old), of(new));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name));
    changed
        .map(|name| {
            let path = format!("headers.{name}");
            let lacking = "records of the one version have the header, those of the other do not";
            match (before.get(name), now.get(name)) {
                (Some(_), None) => Difference {
                    breaks: vec![Break {
                        direction: Direction::Forward,
                        reason: lacking.to_owned(),
                    }],
                    advice: Some("go on sending it until nobody reads it".to_owned()),
                    ..plain(path, "was removed")
                },
                (None, _) => plain(path, "was added"),
                _ => plain(path, "takes its value from elsewhere"),
            }
        })
        .collect()
}

fn plain(path: String, change: &str) -> Difference {
    Difference {
        path,
        change: change.to_owned(),
        breaks: Vec::new(),
        advice: None,
    }
}

fn moved(path: &str, change: String, [backward, forward]: [&str; 2], new: &Declaration) -> Difference {
    let broken = |direction, reason: &str| Break {
        direction,
        reason: reason.to_owned(),
    };
    Difference {
        path: path.to_owned(),
        change,
        breaks: vec![
            broken(Direction::Backward, backward),
            broken(Direction::Forward, forward),
        ],
        advice: Some(new_version(new)),
    }
}
