//! Lines over time as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 230.0;
const COLUMNS: usize = 2;
/// Left, top, right and bottom of what is drawn in.
const AREA: (f64, f64, f64, f64) = (56.0, 36.0, 440.0, 180.0);
const COLORS: [&str; 4] = ["#1f78b4", "#e6550d", "#33a02c", "#6a3d9a"];

/// A panel: named lines of points in seconds and values.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// As Grafana names it.
    pub(crate) unit: String,
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// All of them, from left to right and from top to bottom.
pub(crate) fn svg(charts: &[Chart]) -> String {
    let rows = charts.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"#333\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let times = charts.iter().flat_map(|chart| &chart.lines);
    let times = times.flat_map(|(_, points)| points.iter().map(|(time, _)| *time));
    let (start, end) = times.fold((f64::MAX, f64::MIN), |(start, end), time| {
        (start.min(time), end.max(time))
    });
    for (index, chart) in charts.iter().enumerate() {
        let (x, y) = (
            WIDTH * (index % COLUMNS) as f64,
            HEIGHT * (index / COLUMNS) as f64,
        );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "<g transform=\"translate({x} {y})\">");
        chart.draw(&mut text, start, end);
        text += "</g>\n";
    }
    text + "</svg>\n"
}

impl Chart {
    fn draw(&self, text: &mut String, start: f64, end: f64) {
        let (left, top, right, bottom) = AREA;
        let top_value = self.top();
        let _ = writeln!(
            text,
            "<text x=\"{left}\" y=\"20\" font-size=\"13\" font-weight=\"bold\">{}</text>\n\
             <path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#999\"/>",
            self.title
        );
        for share in [0.0, 0.5, 1.0] {
            let y = bottom - share * (bottom - top);
            let value = self.written(share * top_value);
            let _ = writeln!(
                text,
                "<path d=\"M{left} {y}H{right}\" stroke=\"#eee\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
                left - 6.0,
                y + 4.0
            );
        }
        let x = |time: f64| left + (time - start) / (end - start).max(1.0) * (right - left);
        let minutes = end - start > 600.0;
        let (step, unit) = if minutes { (600.0, "min") } else { (20.0, "s") };
        let mut second = 0.0;
        while start + second <= end {
            let number = if minutes { second / 60.0 } else { second };
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{number} {unit}</text>",
                x(start + second),
                bottom + 16.0
            );
            second += step;
        }
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let mut path = String::new();
            let mut is_down = false;
            for (time, value) in points {
                // Gaps stay gaps.
                if value.is_finite() {
                    let y = bottom - value / top_value * (bottom - top);
                    let letter = if is_down { 'L' } else { 'M' };
                    let _ = write!(path, "{letter}{:.1} {y:.1}", x(*time));
                }
                is_down = value.is_finite();
            }
            let at = left + 110.0 * index as f64;
            let _ = writeln!(
                text,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>\n\
                 <text x=\"{at}\" y=\"{}\" fill=\"{color}\">{name}</text>",
                bottom + 34.0
            );
        }
    }

    /// The largest value, or 1.
    fn top(&self) -> f64 {
        let values = self
            .lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(_, value)| *value));
        let top = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        if top > 0.0 { top } else { 1.0 }
    }

    fn written(&self, value: f64) -> String {
        match self.unit.as_str() {
            "s" => format!("{value:.2} s"),
            "percentunit" => format!("{:.0} %", 100.0 * value),
            "bytes" => format!("{:.0} MB", value / 1e6),
            _ if value > 10.0 => format!("{value:.0}"),
            _ => format!("{value:.1}"),
        }
    }
}
