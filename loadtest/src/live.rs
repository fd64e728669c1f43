//! The live view of a run on a terminal: two lines on stderr, drawn anew once a second by the observer's thread.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::format::{duration, mib, percent};
use crate::measure::SECOND_NS;
use crate::observer::Point;
use crate::scenarios::Plan;

/// The first line shows where the run stands in its plan, the second what happened in the last second.
const TEMPLATE: &str = "{prefix:>12.bold} {bar:32.green/dim} {pos} of {len} s\n             {msg}";

/// The view.
#[derive(Debug)]
pub struct Live {
    bar: ProgressBar,
}

impl Live {
    /// A view of a run with this plan.
    pub fn new(plan: &Plan) -> Self {
        let length: u64 = plan.0.iter().map(|phase| phase.length_ns).sum();
        let bar = ProgressBar::with_draw_target(Some(length.div_ceil(SECOND_NS)), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(TEMPLATE).expect("ok because the template is a constant");
        bar.set_style(style.progress_chars("━━─"));
        bar.set_prefix("connecting");
        bar.tick();
        Self { bar }
    }

    /// Shows a second.
    pub fn show(&self, point: &Point) {
        self.bar.set_prefix(point.phase.clone());
        self.bar.set_message(line(point));
        self.bar.set_position(point.at.round() as u64);
        self.bar.tick();
    }
}

/// Takes the view away at the end, whatever the end is.
impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What happened in a second, in words.
fn line(point: &Point) -> String {
    let mut parts = vec![format!("{} msg/s", thousands(point.messages_per_second))];
    // Fan-out is worth a figure of its own.
    if point.deliveries_per_second > point.messages_per_second * 1.5 {
        parts.push(format!("{} deliveries/s", thousands(point.deliveries_per_second)));
    }
    parts.extend(point.latency_p50_us.map(|us| format!("p50 {}", duration(us))));
    parts.extend(point.latency_p99_us.map(|us| format!("p99 {}", duration(us))));
    parts.push(format!("errors {}", point.errors));
    if point.late_sends > 0 {
        parts.push(format!("late {}", point.late_sends));
    }
    parts.extend(point.server_cpu_percent.map(|cpu| format!("server {}", percent(cpu))));
    parts.extend(point.server_rss_mib.map(mib));
    parts.extend(point.harness_cpu_percent.map(|cpu| format!("harness {}", percent(cpu))));
    parts.join("  ")
}

fn thousands(value: f64) -> String {
    indicatif::HumanCount(value.round() as u64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::tests::point;

    #[test]
    fn a_second_is_one_line_of_what_is_known() {
        let mut point = point(1.0, "measured");
        (point.latency_p50_us, point.server_rss_mib) = (None, None);
        assert_eq!(line(&point), "12,345 msg/s  p99 99 µs  errors 0  server 50 %");
    }
}
