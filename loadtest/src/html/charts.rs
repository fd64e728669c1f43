//! Which charts a report has.

use super::plot::{Axis, Band, Chart, Line};
use crate::format::{Format, duration, mib, percent, short, whole};
use crate::hdr;
use crate::measure::Latency;
use crate::observer::Point;
use crate::outcome::Outcome;

/// The widths of the drawings: a chart of the whole page, and one of two beside each other.
const WIDE: f64 = 1130.0;
const HALF: f64 = 558.0;
/// Curves that can be told apart in one chart.
const MOST_CURVES: usize = 5;

/// The distribution of latencies of each phase, or of the whole run when it has one phase or very many.
pub fn percentiles(outcome: &Outcome) -> Chart {
    let phases: Vec<_> = outcome.measured_phases().map(|phase| (phase.name.as_str(), &phase.latency)).collect();
    let whole = outcome.report.latency.iter().map(|latency| ("from the time a message was meant to go", latency));
    let shown = if (2..=MOST_CURVES).contains(&phases.len()) { phases } else { whole.collect() };
    let lines: Vec<Line> = shown.iter().map(|(name, latency)| percentile_line(name, latency)).collect();
    let count = shown.iter().map(|(_, latency)| latency.histogram().len()).max().unwrap_or_default();
    Chart {
        title: "Latency by percentile",
        width: WIDE,
        x: Axis::tail("percentile", count),
        y: latency_axis(&lines),
        lines,
        bands: Vec::new(),
        write: duration,
    }
}

fn percentile_line(name: &str, latency: &Latency) -> Line {
    let point = |step: hdr::Step| (step.quantile, Some(step.ns as f64 / 1000.0));
    Line { name: name.into(), points: hdr::distribution(latency).into_iter().map(point).collect() }
}

/// The charts over the time of the run; those that have nothing to show are left out.
pub fn over_time(series: &[Point]) -> Vec<Chart> {
    let charts = [rate(series), latency(series), cpu(series), memory(series)];
    charts.into_iter().filter(|chart| highest(&chart.lines) > 0.0).collect()
}

fn rate(series: &[Point]) -> Chart {
    let fans_out = series.iter().any(|point| point.deliveries_per_second > point.messages_per_second * 1.5);
    let rate = match fans_out {
        true => line(series, "deliveries", |point| Some(point.deliveries_per_second)),
        false => line(series, "messages", |point| Some(point.messages_per_second)),
    };
    chart(series, "Rate", Axis::linear("a second", 0.0, rate.highest(), short), vec![rate], short)
}

fn latency(series: &[Point]) -> Chart {
    let lines = vec![
        line(series, "p50", |point| point.latency_p50_us),
        line(series, "p99", |point| point.latency_p99_us),
        line(series, "max", |point| point.latency_max_us),
    ];
    chart(series, "Latency in each second", latency_axis(&lines), lines, duration)
}

fn cpu(series: &[Point]) -> Chart {
    let lines = vec![
        line(series, "server", |point| point.server_cpu_percent),
        line(series, "harness", |point| point.harness_cpu_percent),
    ];
    // The whole processor is shown, so that what is left of it is seen.
    let axis = Axis::linear("percent of a processor", 0.0, highest(&lines).max(100.0), whole);
    chart(series, "CPU", axis, lines, percent)
}

fn memory(series: &[Point]) -> Chart {
    let lines = vec![
        line(series, "server, resident", |point| point.server_rss_mib),
        line(series, "sockets, in the kernel", |point| point.socket_memory_mib),
    ];
    chart(series, "Memory", Axis::linear("MiB", 0.0, highest(&lines), short), lines, mib)
}

fn line(series: &[Point], name: &str, value: fn(&Point) -> Option<f64>) -> Line {
    Line { name: name.into(), points: series.iter().map(|point| (point.at, value(point))).collect() }
}

fn chart(series: &[Point], title: &'static str, y: Axis, lines: Vec<Line>, write: Format) -> Chart {
    let end = series.last().map_or(0.0, |point| point.at);
    let x = Axis::exact("seconds", 0.0, end, whole);
    Chart { title, width: HALF, x, y, lines, bands: bands(series), write }
}

fn latency_axis(lines: &[Line]) -> Axis {
    let lowest = lines.iter().flat_map(|line| &line.points).filter_map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let highest = highest(lines);
    Axis::log("latency", lowest.min(highest), highest, duration)
}

fn highest(lines: &[Line]) -> f64 {
    lines.iter().map(Line::highest).fold(0.0, f64::max)
}

/// The phases of a series; a warm-up is shaded.
fn bands(series: &[Point]) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for Point { at, seconds, phase, is_measured, .. } in series {
        match bands.last_mut().filter(|band| band.name == *phase) {
            Some(band) => band.to = *at,
            None => bands.push(Band { name: phase.clone(), from: at - seconds, to: *at, is_shaded: !is_measured }),
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn there_is_a_chart_for_what_is_known_and_the_warm_up_is_shaded() {
        let charts = over_time(&outcome().recording.series);
        let titles: Vec<&str> = charts.iter().map(|chart| chart.title).collect();
        assert_eq!(titles, ["Rate", "Latency in each second", "CPU", "Memory"]);
        let bands: Vec<_> = charts[0].bands.iter().map(|band| (band.from, band.to, band.is_shaded)).collect();
        assert_eq!(bands, [(0.0, 1.0, true), (1.0, 2.0, false), (2.0, 3.0, false)]);
        assert!(over_time(&[]).is_empty());
    }
}
