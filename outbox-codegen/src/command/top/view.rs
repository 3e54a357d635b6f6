//! What a frame looks like. Colors are only a help: each word stands there as well.

use std::time::Duration;

use outbox_runtime::HealthStatus;
use outbox_runtime::store::{LogState, ParkedTopic};
use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::looks::Look;

/// The size of a frame that is printed.
const WIDTH: u16 = 100;

/// So many suspended topics are named.
const TOPICS: usize = 3;

pub(super) fn draw(frame: &mut Frame, look: &Look) {
    let numbers = numbers(look);
    let height = u16::try_from(numbers.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [above, below, foot] = Layout::vertical([
        Constraint::Length(height),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let title = format!(
        " outbox top  {}  {}  {} ",
        look.log,
        look.time,
        look.health.status.as_str()
    );
    let title = Line::styled(title, Style::new().fg(color(look.health.status)).bold());
    let numbers: Vec<Line> = numbers
        .iter()
        .map(|(name, value)| Line::from(format!("{name:<16}{value}")))
        .collect();
    frame.render_widget(
        Paragraph::new(numbers).block(Block::bordered().title(title)),
        above,
    );
    frame.render_widget(
        Paragraph::new(reasons(look))
            .wrap(Wrap { trim: true })
            .block(Block::bordered().title(" reasons ")),
        below,
    );
    frame.render_widget(Line::from("q quits"), foot);
}

/// A frame as text, for who has no terminal.
pub(super) fn text(look: &Look) -> String {
    let lines = numbers(look).len() + 2 * look.health.reasons.len().max(1) + 5;
    let backend = TestBackend::new(WIDTH, u16::try_from(lines).unwrap_or(u16::MAX));
    let Ok(mut terminal) = ratatui::Terminal::new(backend);
    let Ok(_) = terminal.draw(|frame| draw(frame, look));
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(WIDTH));
    // The last line explains the keys.
    let rows = rows.take(lines - 1).map(|row| {
        let row: String = row.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn color(status: HealthStatus) -> Color {
    match status {
        HealthStatus::Healthy => Color::Green,
        HealthStatus::Degraded => Color::Yellow,
        HealthStatus::Unhealthy => Color::Red,
    }
}

fn reasons(look: &Look) -> Vec<Line<'static>> {
    if look.health.reasons.is_empty() {
        return vec![Line::from("none")];
    }
    let reasons = look.health.reasons.iter();
    reasons
        .map(|reason| Line::styled(reason.to_string(), Style::new().fg(color(reason.status()))))
        .collect()
}

fn numbers(look: &Look) -> Vec<(&'static str, String)> {
    let Some(log) = &look.health.log else {
        return vec![("log", "cannot be read".to_owned())];
    };
    let mut numbers = vec![
        ("backlog", backlog(log)),
        ("oldest message", age(log.backlog.oldest_age)),
        ("rate", rate(look)),
        ("leader", leader(log)),
        ("dead letters", count(log.dead.rows, log.dead.exact)),
        ("suspended", suspended(&log.parked)),
        ("longest writer", age(log.longest_writer)),
        ("table", bytes(log.table_bytes)),
    ];
    if let Some(room) = log.partitions {
        numbers.push(("partitions", format!("room for {} messages", room.messages_left)));
    }
    numbers
}

fn backlog(log: &LogState) -> String {
    let about = if log.backlog.exact { "" } else { "about " };
    format!("{about}{} messages", log.backlog.messages)
}

fn rate(look: &Look) -> String {
    match look.rates {
        Some(rates) => format!(
            "{:.0}/s delivered, {:.0}/s written",
            rates.delivered, rates.written
        ),
        None => "-".to_owned(),
    }
}

fn leader(log: &LogState) -> String {
    match &log.lease {
        Some(lease) => format!(
            "{}, epoch {}, renewed {} ago",
            lease.holder,
            lease.epoch,
            age(Some(lease.age))
        ),
        None => "none".to_owned(),
    }
}

fn suspended(parked: &[ParkedTopic]) -> String {
    let suspended: Vec<_> = parked.iter().filter(|topic| topic.suspended > 0).collect();
    let named = suspended.iter().take(TOPICS);
    let named: Vec<_> = named
        .map(|topic| format!("{} ({})", topic.topic, count(topic.suspended, topic.exact)))
        .collect();
    match suspended.len().saturating_sub(TOPICS) {
        _ if suspended.is_empty() => "none".to_owned(),
        0 => named.join(", "),
        more => format!("{} and {more} more topics", named.join(", ")),
    }
}

fn count(rows: u64, exact: bool) -> String {
    let at_least = if exact { "" } else { "at least " };
    format!("{at_least}{rows}")
}

fn age(age: Option<Duration>) -> String {
    match age {
        None => "-".to_owned(),
        Some(age) if age.as_secs() < 10 => format!("{:.1} s", age.as_secs_f64()),
        Some(age) => humantime::format_duration(Duration::from_secs(age.as_secs())).to_string(),
    }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_024), "1.0 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
        assert_eq!(age(Some(Duration::from_millis(1_250))), "1.2 s");
        assert_eq!(age(Some(Duration::from_secs(90))), "1m 30s");
        assert_eq!(count(7, false), "at least 7");
    }
}
