//! A dashboard for Grafana, made from the table of series.

mod librdkafka;
mod panel;
mod queries;
mod rows;

use serde_json::{Value, json};

use crate::alerts::Thresholds;
use crate::artifact::generated_by;

use self::panel::Panel;

/// The command that writes the file.
const COMMAND: &str = "outbox generate dashboard";

/// The version of Grafana's classic dashboard model. Newer versions of Grafana migrate it.
const SCHEMA_VERSION: u32 = 41;

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// The file. `uid` is the dashboard's name in links, the same wherever it is imported.
pub(crate) fn file(thresholds: &Thresholds, title: &str, uid: &str) -> String {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let dashboard = json!({
        "title": title,
        "uid": uid,
        "description": generated_by(COMMAND),
        "tags": ["outbox", "kafka"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "",
        "templating": { "list": variables(&source) },
        "annotations": { "list": [alerts(&source)] },
        "panels": panels(thresholds, &source),
    });
    format!("{dashboard:#}\n")
}

/// The source of the data, and what is shown of it.
fn variables(source: &Value) -> Value {
    let choice = |name: &str, query: &str| {
        json!({
            "name": name,
            "label": name,
            "type": "query",
            "datasource": source,
            "query": { "query": query, "refId": "variable" },
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            // Also what has no value yet.
            "allValue": ".*",
            "current": { "text": ["All"], "value": ["$__all"] },
        })
    };
    json!([
        { "name": "datasource", "label": "data source", "type": "datasource", "query": "prometheus", "current": {} },
        choice("log", "label_values(outbox_sampler_active, log)"),
        choice("topic", "label_values(outbox_delivered_records_total{log=~\"$log\"}, topic)"),
    ])
}

/// The times in which an alert fired, in every panel.
fn alerts(source: &Value) -> Value {
    json!({
        "name": "alerts",
        "datasource": source,
        "enable": true,
        "iconColor": "red",
        "expr": "ALERTS{alertname=~\"Outbox.*\", alertstate=\"firing\", log=~\"$log|\"}",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{log}} {{topic}} {{reason}}",
        "step": "60s",
    })
}

fn panels(thresholds: &Thresholds, source: &Value) -> Vec<Value> {
    let mut place = Place::default();
    let mut panels = Vec::new();
    for row in rows::rows(thresholds) {
        let (id, y) = (next(&panels), place.row());
        panels.push(json!({
            "id": id,
            "type": "row",
            "title": row.title,
            "collapsed": false,
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
            "panels": [],
        }));
        for panel in &row.panels {
            let id = next(&panels);
            panels.push(panel.json(id, place.panel(panel), source));
        }
    }
    panels
}

/// The id of the panel that follows these.
fn next(panels: &[Value]) -> u32 {
    u32::try_from(panels.len()).map_or(u32::MAX, |id| id + 1)
}

/// The next free place, from left to right and from top to bottom.
#[derive(Debug, Default)]
struct Place {
    x: u32,
    y: u32,
    /// The height of the line that is being filled.
    height: u32,
}

impl Place {
    /// Begins a row, which has a line of its own.
    fn row(&mut self) -> u32 {
        self.end_line();
        self.y += 1;
        self.y - 1
    }

    fn panel(&mut self, panel: &Panel) -> Value {
        let (width, height) = panel.size();
        if self.x + width > COLUMNS || (self.height > 0 && self.height != height) {
            self.end_line();
        }
        let place = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.x += width;
        self.height = height;
        place
    }

    fn end_line(&mut self) {
        self.y += self.height;
        self.x = 0;
        self.height = 0;
    }
}

/// Grafana's own rule.
pub(crate) fn uid(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 40 letters, digits, `-` and `_`, such as `outbox-shop`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use outbox_runtime::metrics::ALL;

    use super::*;

    #[test]
    fn every_series_is_on_the_dashboard() {
        let text = file(&Thresholds::default(), "Outbox", "outbox");
        for series in ALL {
            assert!(text.contains(series.name), "{} is in no panel", series.name);
        }
    }

    #[test]
    fn the_objective_is_the_one_in_the_titles() {
        assert_eq!(crate::alerts::OBJECTIVE_SECONDS, 0.1);
    }
}
