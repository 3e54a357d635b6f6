//! A panel, and how Grafana writes it.

use outbox_runtime::metrics::Descriptor;
use serde_json::{Value, json};

/// Which of Grafana's panels shows the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Lines over time.
    TimeSeries,
    /// The current value.
    Stat,
    /// The current values, one row for each.
    Table,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Number,
    PerSecond,
    Seconds,
    Bytes,
    BytesPerSecond,
    Share,
    /// 1 and 0.
    YesNo,
}

/// From which value on something is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Threshold {
    Above(f64),
    Below(f64),
}

/// A query with the name of its lines.
#[derive(Debug)]
struct Target {
    expr: String,
    legend: String,
}

/// A panel without a place.
#[derive(Debug)]
pub(super) struct Panel {
    title: &'static str,
    description: String,
    view: View,
    unit: Unit,
    threshold: Option<Threshold>,
    targets: Vec<Target>,
}

impl Panel {
    /// Lines over time.
    pub(super) fn lines(title: &'static str, unit: Unit) -> Self {
        Self::new(title, unit, View::TimeSeries)
    }

    /// The current value.
    pub(super) fn stat(title: &'static str, unit: Unit) -> Self {
        Self::new(title, unit, View::Stat)
    }

    /// The current values with their labels.
    pub(super) fn table(title: &'static str, unit: Unit) -> Self {
        Self::new(title, unit, View::Table)
    }

    fn new(title: &'static str, unit: Unit, view: View) -> Self {
        Self {
            title,
            description: String::new(),
            view,
            unit,
            threshold: None,
            targets: Vec::new(),
        }
    }

    /// Values above this one are red.
    pub(super) fn red_above(mut self, limit: f64) -> Self {
        self.threshold = Some(Threshold::Above(limit));
        self
    }

    /// Values below this one are red.
    pub(super) fn red_below(mut self, limit: f64) -> Self {
        self.threshold = Some(Threshold::Below(limit));
        self
    }

    /// Adds a query. The panel explains the series that it asks for.
    pub(super) fn query(mut self, series: &Descriptor, expr: String, legend: impl Into<String>) -> Self {
        if !self.description.contains(series.help) {
            let space = if self.description.is_empty() { "" } else { "\n\n" };
            self.description += &format!("{space}`{}`: {}", series.name, series.help);
        }
        self.targets.push(Target {
            expr,
            legend: legend.into(),
        });
        self
    }

    /// Width and height in Grafana's grid, which has 24 columns.
    pub(super) const fn size(&self) -> (u32, u32) {
        match self.view {
            View::Stat => (3, 4),
            View::TimeSeries => (8, 8),
            View::Table => (16, 8),
        }
    }

    /// As Grafana writes it, with its number and its place.
    pub(super) fn json(&self, id: u32, grid: Value, source: &Value) -> Value {
        let targets: Vec<Value> = self
            .targets
            .iter()
            .zip('A'..='Z')
            .map(|(target, letter)| self.target(target, letter, source))
            .collect();
        let mut panel = json!({
            "id": id,
            "type": self.view.kind(),
            "title": self.title,
            "description": self.description,
            "datasource": source,
            "gridPos": grid,
            "fieldConfig": { "defaults": self.field(), "overrides": [] },
            "options": self.view.options(),
            "targets": targets,
        });
        if self.view == View::Table {
            let hidden = json!({ "excludeByName": { "Time": true } });
            panel["transformations"] = json!([{ "id": "organize", "options": hidden }]);
        }
        panel
    }

    fn target(&self, target: &Target, letter: char, source: &Value) -> Value {
        let mut json = json!({
            "refId": letter.to_string(),
            "datasource": source,
            "editorMode": "code",
            "expr": target.expr,
            "legendFormat": target.legend,
        });
        let (range, instant) = (self.view == View::TimeSeries, self.view != View::TimeSeries);
        json["range"] = range.into();
        json["instant"] = instant.into();
        if self.view == View::Table {
            json["format"] = "table".into();
        }
        json
    }

    fn field(&self) -> Value {
        let steps = match self.threshold {
            None => json!([{ "color": "text", "value": null }]),
            Some(Threshold::Above(limit)) => {
                json!([{ "color": "green", "value": null }, { "color": "red", "value": just_above(limit) }])
            }
            Some(Threshold::Below(limit)) => {
                json!([{ "color": "red", "value": null }, { "color": "green", "value": limit }])
            }
        };
        let mut field = json!({
            "unit": self.unit.grafana(),
            "min": 0,
            "thresholds": { "mode": "absolute", "steps": steps },
        });
        if self.unit == Unit::YesNo {
            let options = json!({ "0": { "text": "no" }, "1": { "text": "yes" } });
            field["mappings"] = json!([{ "type": "value", "options": options }]);
        }
        if self.view == View::TimeSeries {
            // Gaps stay gaps: where nothing was scraped, nothing is known.
            field["custom"] = json!({ "fillOpacity": 10, "showPoints": "auto", "spanNulls": false });
        }
        field
    }
}

/// A step holds from its value on, and none at all is still good.
fn just_above(limit: f64) -> f64 {
    limit.max(0.001)
}

impl View {
    const fn kind(self) -> &'static str {
        match self {
            Self::TimeSeries => "timeseries",
            Self::Stat => "stat",
            Self::Table => "table",
        }
    }

    fn options(self) -> Value {
        match self {
            Self::TimeSeries => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Self::Stat => json!({
                "colorMode": "background",
                "graphMode": "none",
                "justifyMode": "auto",
                "textMode": "auto",
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            }),
            Self::Table => json!({ "showHeader": true }),
        }
    }
}

impl Unit {
    /// The name that Grafana has for it.
    const fn grafana(self) -> &'static str {
        match self {
            Self::Number | Self::YesNo => "short",
            Self::PerSecond => "cps",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "Bps",
            Self::Share => "percentunit",
        }
    }
}
