//! Whether the harness, and not the server, was the limit of a run: then its figures say little about the server.

use crate::meter::LATE_NS;
use crate::report::Figures;

/// A harness that uses this much of its processor in a closed loop has no more to give.
const BUSY_HARNESS_PERCENT: f64 = 95.0;
/// A server above this is busy itself.
const BUSY_SERVER_PERCENT: f64 = 90.0;
/// More late sends than this, and the latencies of an open loop are not the server's alone.
const MOST_LATE_SHARE: f64 = 0.01;

/// What should be said about a run, if anything. In an open loop the harness spins by design while a send is near, so
/// its CPU says nothing there, and the lateness of its sends is asked. A closed loop has no schedule; there CPU is right.
pub fn warning(figures: &Figures) -> Option<String> {
    match figures.number("late_share") {
        Some(late_share) => late(late_share),
        None => busy(figures.number("harness_cpu_percent")?, figures.number("server_cpu_percent")),
    }
}

fn late(late_share: f64) -> Option<String> {
    (late_share > MOST_LATE_SHARE).then(|| {
        let (percent, ms) = (late_share * 100.0, LATE_NS / 1_000_000);
        format!(
            "the harness was the limit: it sent {percent:.1} % of the messages more than {ms} ms after their time, \
             which is in the latencies"
        )
    })
}

fn busy(harness: f64, server: Option<f64>) -> Option<String> {
    if harness < BUSY_HARNESS_PERCENT {
        return None;
    }
    match server {
        Some(server) if server < BUSY_SERVER_PERCENT => Some(format!(
            "the harness was the limit: it used {harness:.0} % of a processor, the server {server:.0} %; the server could do \
             more"
        )),
        Some(_) => None,
        None => Some(format!(
            "the harness may have been the limit: it used {harness:.0} % of a processor, and the server's use is unknown \
             (--server-pid)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warns(pairs: &[(&str, f64)]) -> bool {
        let mut figures = Figures::default();
        pairs.iter().for_each(|(name, value)| figures.float(name, *value));
        warning(&figures).is_some()
    }

    #[test]
    fn a_closed_loop_is_judged_by_processor_time() {
        assert!(warns(&[("harness_cpu_percent", 99.0), ("server_cpu_percent", 60.0)]));
        assert!(warns(&[("harness_cpu_percent", 99.0)]));
        assert!(!warns(&[("harness_cpu_percent", 99.0), ("server_cpu_percent", 97.0)]));
        assert!(!warns(&[("harness_cpu_percent", 80.0), ("server_cpu_percent", 60.0)]));
        assert!(!warns(&[]));
    }

    #[test]
    fn an_open_loop_is_judged_by_its_lateness() {
        let busy = [("harness_cpu_percent", 100.0), ("server_cpu_percent", 20.0)];
        let with = |late_share| warns(&[busy[0], busy[1], ("late_share", late_share)]);
        assert!(with(0.02) && !with(0.01) && !with(0.0));
    }
}
