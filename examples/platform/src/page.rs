//! The page: what happened to each batch, as a diagram with the rows beside it. One file that needs no other.

mod diagram;
mod text;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::diagram::diagram;
use self::text::escape;
use crate::chaos::Fault;
use crate::report::Ranked;
use crate::story::Story;

/// More batches than anybody reads.
const BATCHES: usize = 3;

const STYLE: &str = include_str!("page/style.css");

/// Contents of the page.
pub(crate) struct Page<'a> {
    pub(crate) story: &'a Story,
    pub(crate) rankings: &'a [(Uuid, Vec<Ranked>)],
    pub(crate) faults: &'a [Fault],
    pub(crate) verdict: &'a str,
    pub(crate) holds: bool,
    pub(crate) written: DateTime<Utc>,
}

impl Page<'_> {
    /// The whole of it.
    pub(crate) fn html(&self) -> String {
        let verdict = if self.holds { "holds" } else { "fails" };
        let shown = self.rankings.len().min(BATCHES);
        let sections: String = self.rankings[..shown]
            .iter()
            .map(|(batch, ranking)| self.section(*batch, ranking))
            .collect();
        let batches = match self.rankings.len() {
            1 => "a batch of essays".to_owned(),
            all if all == shown => format!("{all} batches of essays"),
            all => format!("{all} batches of essays, of which {shown} are shown"),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>What happened to {batches}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>What happened to {batches}</h1>\n\
             <p class=\"written\">{written} · {events} events, {faults} faults</p>\n\
             <p class=\"verdict {verdict}\">{text}</p>\n</header>\n{sections}</body>\n</html>\n",
            written = self.written.format("%Y-%m-%d %H:%M:%S UTC"),
            events = self.story.events.len(),
            faults = self.faults.len(),
            text = escape(self.verdict).replace('\n', "<br>\n"),
        )
    }

    fn section(&self, batch: Uuid, ranking: &[Ranked]) -> String {
        let events = self.story.of_batch(batch);
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return String::new();
        };
        let faults: Vec<&Fault> = self
            .faults
            .iter()
            .filter(|fault| (first.at()..=last.at()).contains(&fault.at))
            .collect();
        format!(
            "<section>\n<h2>Batch <code>{batch}</code></h2>\n<p>{count} events in {seconds:.1} s. \
             The color of an event is its correlation id: point at one to see which belong together. {trace}</p>\n\
             {ranking}\n{diagram}</section>\n",
            count = events.len(),
            seconds = (last.at() - first.at()).as_seconds_f64(),
            trace = trace(&events),
            ranking = table(ranking),
            diagram = diagram(&events, &faults),
        )
    }
}

/// Of which trace the events are.
fn trace(events: &[&crate::story::Event]) -> String {
    let mut traces: Vec<&str> = events
        .iter()
        .filter_map(|event| event.header("traceparent")?.split('-').nth(1))
        .collect();
    traces.sort_unstable();
    traces.dedup();
    match traces[..] {
        [] => String::new(),
        [one] => format!("All are of the trace <code>{}</code>.", escape(one)),
        _ => format!("They are of {} traces.", traces.len()),
    }
}

fn table(ranking: &[Ranked]) -> String {
    let row = |essay: &Ranked| {
        let rank = essay.rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string());
        let score = essay
            .score
            .map_or_else(|| "–".to_owned(), |score| format!("{score:.2}"));
        format!(
            "<tr><td>{rank}</td><td>{}</td><td>{score}</td></tr>\n",
            escape(&essay.file)
        )
    };
    format!(
        "<details open><summary>Ranking</summary>\n<table class=\"ranking\">\n\
         <tr><th>Rank</th><th>Essay</th><th>Score</th></tr>\n{}</table></details>",
        ranking.iter().map(row).collect::<String>()
    )
}
