//! The sequence diagram: a line for each service, an arrow for each event, and beside it what was stored.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::text::{escape, short};
use crate::arguments::Name;
use crate::chaos::Fault;
use crate::story::{Event, receivers};

/// Sizes in pixels.
const LANE: usize = 128;
const ROW: usize = 34;

/// Names of conversations, in the order in which they begin.
struct Conversations<'a>(Vec<&'a str>);

impl<'a> Conversations<'a> {
    fn of(events: &[&'a Event]) -> Self {
        let mut ids = Vec::new();
        for event in events {
            let id = event.header("ce_correlationid").unwrap_or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Self(ids)
    }

    fn number(&self, event: &Event) -> usize {
        let id = event.header("ce_correlationid").unwrap_or_default();
        self.0.iter().position(|known| *known == id).unwrap_or_default()
    }

    /// Colors that differ, and what dims the others while one is pointed at.
    fn style(&self) -> String {
        let mut style = String::new();
        for number in 0..self.0.len() {
            let hue = number * 47 % 360;
            let _ = writeln!(style, ".c{number}{{--c:hsl({hue} 65% 42%)}}");
            let _ = writeln!(
                style,
                ".story:has(.c{number}:hover) :is(.event,.entry):not(.c{number}){{opacity:.2}}"
            );
        }
        style
    }
}

/// What stands in one line.
enum Line<'a> {
    Event(&'a Event),
    Fault(&'a Fault),
}

impl Line<'_> {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Event(event) => event.at(),
            Self::Fault(fault) => fault.at,
        }
    }
}

/// Events and faults by time.
pub(super) fn diagram(events: &[&Event], faults: &[&Fault]) -> String {
    let conversations = Conversations::of(events);
    let mut lines: Vec<Line<'_>> = events.iter().map(|event| Line::Event(event)).collect();
    lines.extend(faults.iter().map(|fault| Line::Fault(fault)));
    lines.sort_by_key(Line::at);
    let begin = lines.first().map_or_else(Utc::now, Line::at);
    let (width, height) = (LANE * Name::ALL.len(), ROW * lines.len());
    let mut svg = String::new();
    let mut entries = String::new();
    for (number, line) in lines.iter().enumerate() {
        let y = number * ROW + ROW / 2;
        let after = (line.at() - begin).num_milliseconds();
        match line {
            Line::Event(event) => {
                let class = conversations.number(event);
                svg.push_str(&arrows(event, class, y));
                entries.push_str(&entry(event, class, after));
            }
            Line::Fault(fault) => {
                svg.push_str(&cross(fault, y, width));
                let _ = writeln!(
                    entries,
                    "<li class=\"fault\"><time>{after} ms</time><b>✕ {}</b></li>",
                    escape(&said(fault))
                );
            }
        }
    }
    let names: String = Name::ALL
        .map(|name| format!("<span>{}</span>", name.as_str()))
        .concat();
    let lanes: String = (0..Name::ALL.len())
        .map(|lane| {
            let x = center(lane);
            format!("<line class=\"lane\" x1=\"{x}\" y1=\"0\" x2=\"{x}\" y2=\"{height}\"/>\n")
        })
        .collect();
    format!(
        "<style>{style}</style>\n<div class=\"story\">\n<div class=\"names\" style=\"width:{width}px\">{names}</div>\n\
         <div class=\"titles\"><span>after</span><span>event and key</span><span>row, as it is now</span>\
         <span>record</span></div>\n\
         <svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"which service sent which event to which others\">\n{lanes}{svg}</svg>\n\
         <ol class=\"entries\">\n{entries}</ol>\n</div>\n",
        style = conversations.style(),
    )
}

fn center(lane: usize) -> usize {
    lane * LANE + LANE / 2
}

fn said(fault: &Fault) -> String {
    match fault.service {
        Some(name) => format!("{}: {}", name.as_str(), fault.what),
        None => fault.what.clone(),
    }
}

/// From the service that emitted it to those that processed it.
fn arrows(event: &Event, class: usize, y: usize) -> String {
    let from = center(event.service as usize);
    let mut svg = format!(
        "<g class=\"event c{class}\"><title>{}</title><circle cx=\"{from}\" cy=\"{y}\" r=\"4\"/>",
        escape(&tooltip(event))
    );
    let mut right = from;
    for receiver in receivers(event.kind()) {
        let to = center(*receiver as usize);
        // A point at the end of the line, which leaves room for the lane.
        let (end, wing) = if to > from {
            (to - 3, to - 11)
        } else {
            (to + 3, to + 11)
        };
        let _ = write!(
            svg,
            "<line x1=\"{from}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>\
             <path d=\"M{end} {y} L{wing} {} L{wing} {} Z\"/>",
            y - 4,
            y + 4,
        );
        right = right.max(to);
    }
    if receivers(event.kind()).is_empty() {
        let end = from + 26;
        let _ = write!(
            svg,
            "<line class=\"open\" x1=\"{from}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>"
        );
        right = end;
    }
    let left = receivers(event.kind())
        .iter()
        .map(|name| center(*name as usize))
        .fold(from, usize::min);
    let name = event.kind();
    // Letters of this size are some six pixels wide.
    let half = name.len() * 3;
    let width = LANE * Name::ALL.len();
    let middle = ((left + right) / 2).clamp(half + 4, width.saturating_sub(half + 4));
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{}\">{}</text></g>",
        y - 7,
        escape(name)
    );
    svg
}

fn cross(fault: &Fault, y: usize, width: usize) -> String {
    let top = y - ROW / 2;
    let mut svg = format!(
        "<g class=\"fault\"><rect x=\"0\" y=\"{top}\" width=\"{width}\" height=\"{ROW}\"/>\
         <line x1=\"0\" y1=\"{y}\" x2=\"{width}\" y2=\"{y}\"/>"
    );
    if let Some(name) = fault.service {
        let x = center(name as usize);
        let (left, right, up, down) = (x - 8, x + 8, y - 8, y + 8);
        let _ = write!(
            svg,
            "<path d=\"M{left} {up} L{right} {down} M{right} {up} L{left} {down}\"/>"
        );
    }
    svg.push_str("</g>\n");
    svg
}

fn tooltip(event: &Event) -> String {
    let mut text = format!("{}\n{}\n", event.kind(), event.message.topic());
    for (name, value) in event.message.headers() {
        let _ = writeln!(text, "{name}: {value}");
    }
    for (name, at) in &event.received {
        let after = (*at - event.at()).num_milliseconds();
        let _ = writeln!(text, "processed by {} after {after} ms", name.as_str());
    }
    text.push_str(&short(&event.payload.to_string(), 600));
    text
}

/// The line beside the arrow.
fn entry(event: &Event, class: usize, after: i64) -> String {
    let row = event.row.as_deref().unwrap_or("none but that of the inbox");
    let records: Vec<String> = event
        .records
        .iter()
        .map(|(partition, offset)| format!("{partition}/{offset}"))
        .collect();
    let again = if records.len() > 1 { " again" } else { "" };
    format!(
        "<li class=\"entry c{class}\" title=\"{title}\"><time>{after} ms</time>\
         <span><i></i>{kind} <code>{key}</code></span><span>{row}</span>\
         <span class=\"record{again}\">{records}</span></li>\n",
        title = escape(&tooltip(event)),
        kind = escape(event.kind()),
        key = escape(&short(event.message.key(), 13)),
        row = escape(&short(row, 70)),
        records = escape(&records.join(", ")),
    )
}
