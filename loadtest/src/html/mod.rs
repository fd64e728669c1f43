//! The report of a run as one HTML page that needs nothing else.

mod charts;
mod plot;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::environment::Environment;
use crate::format::{Format, bytes, duration, mib, percent, share, short, whole};
use crate::outcome::Outcome;
use crate::report::{Figures, Value};
use crate::threshold::Verdict;

const STYLE: &str = include_str!("style.css");
/// The tiles at the top: figure, caption, and how it is written.
const TILES: [(&str, &str, Format); 10] = [
    ("messages_per_second", "messages a second", short),
    ("deliveries_per_second", "deliveries a second", short),
    ("latency_p50_us", "latency p50", duration),
    ("latency_p99_us", "latency p99", duration),
    ("latency_p999_us", "latency p99.9", duration),
    ("latency_max_us", "latency max", duration),
    ("server_cpu_percent", "CPU of the server", percent),
    ("server_cpu_us_per_message", "server CPU a message", duration),
    ("server_rss_mib", "memory of the server", mib),
    ("server_bytes_per_connection", "memory a connection", bytes),
];

/// The columns of the table of times: the part of a figure's name, and the heading.
const PERCENTILES: [(&str, &str); 5] =
    [("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max")];

/// The columns of the table of phases.
const COLUMNS: [(&str, &str, Format); 7] = [
    ("messages_per_second", "messages a second", short),
    ("latency_p50_us", "p50", duration),
    ("latency_p99_us", "p99", duration),
    ("latency_p999_us", "p99.9", duration),
    ("latency_max_us", "max", duration),
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
                (charts::percentiles(outcome).figure())
                div.charts { @for chart in charts::over_time(&outcome.recording.series) { (chart.figure()) } }
                (times(&outcome.report.figures))
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

/// The percentiles of every kind of time that the scenario measures, when there is more than the latency.
fn times(figures: &Figures) -> Markup {
    let kinds: Vec<&str> = figures.numbers().filter_map(|(name, _)| name.strip_suffix("_p50_us")).collect();
    let cell = |kind: &str, suffix| figures.number(&format!("{kind}_{suffix}_us")).map_or("-".into(), duration);
    html! {
        @if kinds.len() > 1 {
            h2 { "Times" }
            div.table { table {
                tr { th {} @for (_, heading) in PERCENTILES { th { (heading) } } }
                @for kind in kinds {
                    tr { td { (kind.replace('_', " ")) } @for (suffix, _) in PERCENTILES { td { (cell(kind, suffix)) } } }
                }
            } }
        }
    }
}

fn judgement(outcome: &Outcome) -> Markup {
    html! {
        h2 { "Checks and thresholds" }
        div.table { table.text {
            @for check in &outcome.report.checks {
                (row(check.failure.is_none(), &check.name, check.failure.as_deref().unwrap_or_default()))
            }
            @for verdict in &outcome.verdicts {
                (row(verdict.passed, &subject(verdict), &found(verdict)))
            }
        } }
    }
}

fn subject(verdict: &Verdict) -> String {
    match &verdict.phase {
        Some(phase) => format!("{} in {phase}", verdict.threshold),
        None => verdict.threshold.clone(),
    }
}

fn found(verdict: &Verdict) -> String {
    match (verdict.actual, &verdict.error) {
        (Some(actual), _) => format!("is {actual}"),
        (None, error) => error.clone().unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn the_page_needs_nothing_else_and_escapes_what_it_is_given() {
        let page = page(&outcome());
        assert!(page.contains(r#"<span class="badge bad">failed</span>"#));
        assert!(page.contains("3 messages were lost &lt;somewhere&gt;") && page.contains("ramp &lt;1&gt;"));
        assert!(page.contains("Latency by percentile") && page.contains("99.9 %"));
        for outside in ["<script", "<link", "src=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn every_kind_of_time_is_a_row() {
        let mut figures = Figures::default();
        figures.float("latency_p50_us", 10.0);
        assert_eq!(times(&figures).into_string(), "");
        figures.float("back_after_p50_us", 5.0);
        figures.float("back_after_max_us", 2000.0);
        assert!(times(&figures).into_string().contains("<td>back after</td><td>5 µs</td><td>-</td>"));
    }
}
