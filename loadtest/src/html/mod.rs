//! The report of a run as one HTML page that needs nothing else.

mod plot;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::environment::Environment;
use crate::hdr;
use crate::live::duration;
use crate::measure::Latency;
use crate::observer::Point;
use crate::outcome::Outcome;
use crate::report::Value;
use plot::{Axis, Band, Chart, Format, Line};

const STYLE: &str = include_str!("style.css");
/// The widths of the drawings: a chart of the whole page, and one of two beside each other.
const WIDE: f64 = 1130.0;
const HALF: f64 = 558.0;

/// Curves that can be told apart in one chart.
const MOST_CURVES: usize = 5;

/// The tiles at the top: figure, caption, and how it is written.
const TILES: [(&str, &str, Format); 9] = [
    ("messages_per_second", "messages a second", short),
    ("deliveries_per_second", "deliveries a second", short),
    ("latency_p50_us", "latency, median", duration),
    ("latency_p99_us", "latency, 99 %", duration),
    ("latency_p999_us", "latency, 99.9 %", duration),
    ("latency_max_us", "latency, highest", duration),
    ("server_cpu_percent", "CPU of the server", percent),
    ("server_cpu_us_per_message", "server CPU a message", fine_us),
    ("server_rss_mib", "memory of the server", mib),
];

/// The columns of the table of phases.
const COLUMNS: [(&str, &str, Format); 7] = [
    ("messages_per_second", "messages a second", short),
    ("latency_p50_us", "median", duration),
    ("latency_p99_us", "99 %", duration),
    ("latency_p999_us", "99.9 %", duration),
    ("latency_max_us", "highest", duration),
    ("late_share", "sent late", share),
    ("server_cpu_percent", "server CPU", percent),
];

/// The page.
pub fn page(outcome: &Outcome) -> String {
    let scenario = &outcome.report.scenario;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Load report: " (scenario) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                (heading(outcome))
                @if let Some(warning) = &outcome.warning { p.note { (warning) "." } }
                (tiles(outcome))
                div.charts {
                    (percentiles(outcome))
                    @for chart in time_charts(&outcome.recording.series) { (chart.figure()) }
                }
                (judgement(outcome))
                @if outcome.measured_phases().count() > 1 { (phases(outcome)) }
                (all_figures(outcome))
                (surroundings(&outcome.environment))
            } }
        }
    };
    page.into_string()
}

fn heading(outcome: &Outcome) -> Markup {
    let Environment { started, url, kernel, cpu, cpus, .. } = &outcome.environment;
    let figure = |name| outcome.report.figures.number(name);
    html! {
        header {
            h1 { "Load report: " (outcome.report.scenario) }
            @if outcome.passed() { span.badge.good { "passed" } } @else { span.badge.bad { "failed" } }
            p {
                @if let Some(connections) = figure("connections") { (connections) " connections to " } (url)
                @if let Some(seconds) = figure("seconds") { ", " (whole(seconds)) " s measured" }
                ", " (started) ", Linux " (kernel) ", " (cpus) " × " (cpu)
            }
        }
    }
}

fn tiles(outcome: &Outcome) -> Markup {
    let figures = &outcome.report.figures;
    // A figure that only repeats another is left out.
    let repeats = figures.number("messages_per_second") == figures.number("deliveries_per_second");
    let is_shown = |name: &str| !(repeats && name == "deliveries_per_second");
    html! {
        div.tiles {
            @for (name, caption, write) in TILES.into_iter().filter(|(name, ..)| is_shown(name)) {
                @if let Some(value) = figures.number(name) { div.tile { b { (write(value)) } span { (caption) } } }
            }
        }
    }
}

/// The distribution of each phase, or of the whole run when it has one phase or very many.
fn percentiles(outcome: &Outcome) -> Markup {
    let phases: Vec<_> = outcome.measured_phases().map(|phase| (phase.name.as_str(), &phase.latency)).collect();
    let whole = outcome.report.latency.iter().map(|latency| ("latency from the intended send time", latency)).collect();
    let shown = if (2..=MOST_CURVES).contains(&phases.len()) { phases } else { whole };
    let lines: Vec<Line> = shown.iter().map(|(name, latency)| percentile_line(name, latency)).collect();
    let count = shown.iter().map(|(_, latency)| latency.histogram().len()).max().unwrap_or_default();
    let chart = Chart {
        title: "Latency by percentile",
        width: WIDE,
        x: Axis::tail("percentile", count),
        y: latency_axis(&lines),
        lines,
        bands: Vec::new(),
        write: duration,
    };
    chart.figure()
}

fn percentile_line(name: &str, latency: &Latency) -> Line {
    let point = |step: hdr::Step| (step.quantile, Some(step.ns as f64 / 1000.0));
    Line { name: name.into(), points: hdr::distribution(latency).into_iter().map(point).collect() }
}

fn latency_axis(lines: &[Line]) -> Axis {
    let lowest = lines.iter().flat_map(|line| &line.points).filter_map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let highest = highest(lines);
    Axis::log("latency", lowest.min(highest), highest, duration)
}

/// The charts over the time of the run.
fn time_charts(series: &[Point]) -> Vec<Chart> {
    let line = |name: &str, value: fn(&Point) -> Option<f64>| Line {
        name: name.into(),
        points: series.iter().map(|point| (point.at, value(point))).collect(),
    };
    let fans_out = series.iter().any(|point| point.deliveries_per_second > point.messages_per_second * 1.5);
    let rates = if fans_out {
        line("deliveries", |point| Some(point.deliveries_per_second))
    } else {
        line("messages", |point| Some(point.messages_per_second))
    };
    let latencies = vec![
        line("p50", |point| point.latency_p50_us),
        line("p99", |point| point.latency_p99_us),
        line("highest", |point| point.latency_max_us),
    ];
    let cpu =
        vec![line("server", |point| point.server_cpu_percent), line("harness", |point| point.harness_cpu_percent)];
    let memory = vec![
        line("server, resident", |point| point.server_rss_mib),
        line("sockets, in the kernel", |point| point.socket_memory_mib),
    ];
    let mut charts = vec![
        time_chart(
            series,
            "Rate",
            zero_based("a second", highest(std::slice::from_ref(&rates)), short),
            vec![rates],
            short,
        ),
        time_chart(series, "Latency in each second", latency_axis(&latencies), latencies, duration),
        time_chart(series, "CPU", zero_based("percent of a processor", highest(&cpu).max(100.0), whole), cpu, percent),
        time_chart(series, "Memory", zero_based("MiB", highest(&memory), short), memory, mib),
    ];
    charts.retain(|chart| highest(&chart.lines) > 0.0);
    charts
}

fn zero_based(label: &'static str, highest: f64, write: Format) -> Axis {
    Axis::linear(label, 0.0, highest, write)
}

fn highest(lines: &[Line]) -> f64 {
    lines.iter().map(Line::highest).fold(0.0, f64::max)
}

fn time_chart(series: &[Point], title: &'static str, y: Axis, lines: Vec<Line>, write: Format) -> Chart {
    let end = series.last().map_or(0.0, |point| point.at);
    let x = Axis::exact("seconds", 0.0, end, whole);
    Chart { title, width: HALF, x, y, lines, bands: bands(series), write }
}

/// The phases of a series; a warm-up is shaded.
fn bands(series: &[Point]) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for point in series {
        match bands.last_mut().filter(|band| band.name == point.phase) {
            Some(band) => band.to = point.at,
            None => bands.push(Band {
                name: point.phase.clone(),
                from: point.at - point.seconds,
                to: point.at,
                is_shaded: !point.is_measured,
            }),
        }
    }
    bands
}

fn judgement(outcome: &Outcome) -> Markup {
    html! {
        h2 { "Checks and thresholds" }
        div.table { table.text {
            @for check in &outcome.report.checks {
                (row(check.failure.is_none(), &check.name, check.failure.as_deref().unwrap_or_default()))
            }
            @for verdict in &outcome.verdicts {
                @let found = verdict.actual.map_or_else(|| verdict.error.clone().unwrap_or_default(), |actual| format!("is {actual}"));
                @let phase = verdict.phase.as_ref().map(|phase| format!(" in {phase}")).unwrap_or_default();
                (row(verdict.passed, &format!("{}{phase}", verdict.threshold), &found))
            }
        } }
    }
}

fn row(passed: bool, name: &str, found: &str) -> Markup {
    html! {
        tr {
            td { @if passed { span.badge.good { "passed" } } @else { span.badge.bad { "failed" } } }
            td { (name) }
            td { (found) }
        }
    }
}

fn phases(outcome: &Outcome) -> Markup {
    html! {
        h2 { "Phases" }
        div.table { table {
            tr { th { "phase" } @for (_, heading, _) in COLUMNS { th { (heading) } } }
            @for phase in outcome.measured_phases() {
                tr {
                    td { (phase.name) }
                    @for (name, _, write) in COLUMNS { td { (phase.figures.number(name).map_or("-".into(), write)) } }
                }
            }
        } }
    }
}

fn all_figures(outcome: &Outcome) -> Markup {
    html! {
        details {
            summary { "All figures" }
            div.table { table.text {
                @for (name, value) in outcome.report.figures.iter() {
                    tr { td { (name) } td { (text(value)) } }
                }
            } }
        }
    }
}

fn surroundings(environment: &Environment) -> Markup {
    let Environment { harness_version, arguments, kernel, cpu, cpus, server, .. } = environment;
    html! {
        details {
            summary { "Environment" }
            div.table { table.text {
                tr { td { "harness" } td { "hashi-loadtest " (harness_version) } }
                tr { td { "arguments" } td { (arguments.join(" ")) } }
                @if let Some(server) = server { tr { td { "server" } td { "hashi " (server.version) } } }
                tr { td { "kernel" } td { (kernel) } }
                tr { td { "processors" } td { (cpus) " of " (cpu) } }
            } }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Texts(values) => values.join("; "),
    }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// A count in three digits or so.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..10.0 => format!("{}", (value * 100.0).round() / 100.0),
        ..10_000.0 => format!("{value:.0}"),
        ..1e6 => format!("{} k", (value / 100.0).round() / 10.0),
        _ => format!("{} M", (value / 1e4).round() / 100.0),
    }
}

fn percent(value: f64) -> String {
    format!("{value:.0} %")
}

fn share(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

fn fine_us(value: f64) -> String {
    format!("{value:.2} µs")
}

fn mib(value: f64) -> String {
    format!("{value:.1} MiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn the_page_needs_nothing_else_and_escapes_what_it_is_given() {
        let page = page(&outcome());
        assert!(page.contains("FAILED") || page.contains("failed"));
        assert!(page.contains("3 messages were lost &lt;somewhere&gt;") && page.contains("ramp &lt;1&gt;"));
        assert!(page.contains("Latency by percentile") && page.contains("99.9 %"));
        for outside in ["<script", "<link", "src=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn counts_are_short() {
        let written = [0.0, 0.5, 12.0, 4321.0, 30_049.0, 698_072.0, 1_234_567.0].map(short);
        assert_eq!(written, ["0", "0.5", "12", "4321", "30 k", "698.1 k", "1.23 M"]);
    }
}
