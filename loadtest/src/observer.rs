//! The observer: a thread beside the reactor's that takes what happened each second, adds what the server used, and keeps
//! both as a time series and as an HDR interval log.
//!
//! The reactor's thread only hands over a histogram each second; quantiles, `/proc` and the server's metrics are read
//! here. It is one short wake-up a second, and the thread is not bound to the harness's processor.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use serde::Serialize;

use crate::error::{LoadError, Result};
use crate::hdr::IntervalLog;
use crate::measure::{Clock, MIB, SECOND_NS, Sample, Used};
use crate::procfs;
use crate::reactor::Tick;
use crate::server::Inquirer;

/// Shorter stretches than this say nothing about CPU, which is counted in ticks of 10 ms.
const SHORTEST_CPU_SECONDS: f64 = 0.25;

/// One second of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Seconds from the begin of the first phase to the end of this one, and its length.
    pub at: f64,
    pub seconds: f64,
    pub phase: String,
    #[serde(rename = "measured")]
    pub is_measured: bool,
    pub messages_per_second: f64,
    pub deliveries_per_second: f64,
    pub latency_p50_us: Option<f64>,
    pub latency_p99_us: Option<f64>,
    pub latency_max_us: Option<f64>,
    /// `error` messages in it.
    pub errors: u64,
    pub late_sends: u64,
    pub server_cpu_percent: Option<f64>,
    pub server_rss_mib: Option<f64>,
    pub harness_cpu_percent: Option<f64>,
    /// Of the whole machine.
    pub socket_memory_mib: Option<f64>,
    /// What the server counted itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub server: BTreeMap<&'static str, f64>,
}

/// What was observed.
#[derive(Debug)]
pub struct Recording {
    pub series: Vec<Point>,
    pub interval_log: Vec<u8>,
}

/// What to observe besides the ticks.
#[derive(Debug)]
pub struct Subject {
    pub server_pid: Option<u32>,
    /// Asked for its metrics each second.
    pub inquirer: Option<Inquirer>,
}

/// The running thread.
#[derive(Debug)]
pub struct Observer {
    pub ticks: Sender<Tick>,
    thread: JoinHandle<Recording>,
}

impl Observer {
    /// Starts observing; `show` gets each point.
    pub fn start(subject: Subject, show: impl FnMut(&Point) + Send + 'static) -> Result<Self> {
        let (ticks, receiver) = mpsc::channel();
        let work = move || observe(subject, &receiver, show);
        let thread = thread::Builder::new().name("observer".into()).spawn(work);
        Ok(Self { ticks, thread: thread.map_err(|error| LoadError::System("the observer", error))? })
    }

    /// Ends when every sender is gone.
    pub fn finish(self) -> Recording {
        drop(self.ticks);
        self.thread.join().expect("ok because the observer's own bugs are ours")
    }
}

fn observe(subject: Subject, ticks: &Receiver<Tick>, mut show: impl FnMut(&Point)) -> Recording {
    let mut log = IntervalLog::new(SystemTime::now());
    let mut sampler = Sampler::new(subject);
    let mut series = Vec::new();
    for tick in ticks {
        log.push(&tick.interval);
        if tick.interval.phase.is_some() {
            let point = sampler.point(&tick);
            show(&point);
            series.push(point);
        }
    }
    Recording { series, interval_log: log.finish() }
}

/// Makes points of ticks.
struct Sampler {
    subject: Subject,
    /// When the first phase began, by the reactor's clock.
    started: Option<u64>,
    clock: Clock,
    before: Sample,
    errors: u64,
}

impl Sampler {
    fn new(mut subject: Subject) -> Self {
        // The first answer is what the first second's is compared with.
        subject.inquirer.as_mut().and_then(|inquirer| inquirer.metrics(1.0));
        let clock = Clock::start();
        let before = Sample::take(clock.now(), subject.server_pid);
        Self { subject, started: None, clock, before, errors: 0 }
    }

    fn point(&mut self, tick: &Tick) -> Point {
        let interval = &tick.interval;
        let started = *self.started.get_or_insert(interval.start);
        let length = |ns: u64| ns as f64 / SECOND_NS as f64;
        let seconds = length(interval.end - interval.start).max(1e-9);
        let used = self.used();
        let percent = |cpu: f64| rounded(100.0 * cpu / used.seconds);
        let is_long = used.seconds >= SHORTEST_CPU_SECONDS;
        Point {
            at: rounded(length(interval.end - started)),
            seconds: rounded(seconds),
            phase: tick.phase.clone(),
            is_measured: tick.is_measured,
            messages_per_second: rounded(interval.tally.messages as f64 / seconds),
            deliveries_per_second: rounded(interval.tally.deliveries as f64 / seconds),
            latency_p50_us: interval.latency.quantile_us(0.5),
            latency_p99_us: interval.latency.quantile_us(0.99),
            latency_max_us: interval.latency.quantile_us(1.0),
            errors: tick.errors - std::mem::replace(&mut self.errors, tick.errors),
            late_sends: interval.tally.late,
            server_cpu_percent: used.server_cpu.filter(|_| is_long).map(percent),
            server_rss_mib: used.server_rss_bytes.map(|bytes| rounded(bytes as f64 / MIB)),
            harness_cpu_percent: used.harness_cpu.filter(|_| is_long).map(percent),
            socket_memory_mib: procfs::socket_memory_bytes().ok().map(|bytes| rounded(bytes as f64 / MIB)),
            server: self.server_metrics(used.seconds),
        }
    }

    /// What was used since the last point. By this thread's own clock: a tick may have waited.
    fn used(&mut self) -> Used {
        let sample = Sample::take(self.clock.now(), self.subject.server_pid);
        let before = std::mem::replace(&mut self.before, sample);
        Used::between(&before, &sample)
    }

    fn server_metrics(&mut self, seconds: f64) -> BTreeMap<&'static str, f64> {
        let metrics = self.subject.inquirer.as_mut().and_then(|inquirer| inquirer.metrics(seconds));
        metrics.unwrap_or_default().into_iter().collect()
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::measure::Latency;
    use crate::meter::{Interval, Tally};

    /// A second that ends `at` this.
    pub fn point(at: f64, phase: &str) -> Point {
        Point {
            at,
            seconds: 1.0,
            phase: phase.into(),
            is_measured: phase != "warm-up",
            messages_per_second: 12345.0,
            deliveries_per_second: 12345.0,
            latency_p50_us: Some(20.0),
            latency_p99_us: Some(99.0),
            latency_max_us: None,
            errors: 0,
            late_sends: 0,
            server_cpu_percent: Some(50.4),
            server_rss_mib: Some(7.0),
            harness_cpu_percent: None,
            socket_memory_mib: None,
            server: BTreeMap::new(),
        }
    }

    fn tick(phase: Option<usize>, start: u64, end: u64, messages: u64, errors: u64) -> Tick {
        let mut latency = Latency::new();
        (0..messages).for_each(|_| latency.record(2000));
        let tally = Tally { messages, deliveries: 2 * messages, ..Default::default() };
        Tick { interval: Interval { phase, start, end, tally, latency }, phase: "a".into(), is_measured: true, errors }
    }

    #[test]
    fn every_second_of_a_phase_is_a_point_and_is_shown() {
        let (shown, seen) = mpsc::channel();
        let subject = Subject { server_pid: Some(std::process::id()), inquirer: None };
        let observer = Observer::start(subject, move |point| shown.send(point.at).unwrap()).unwrap();
        let second = SECOND_NS;
        observer.ticks.send(tick(Some(0), 5 * second, 6 * second, 50, 1)).unwrap();
        observer.ticks.send(tick(Some(0), 6 * second, 6 * second + second / 2, 40, 3)).unwrap();
        observer.ticks.send(tick(None, 7 * second, 8 * second, 1, 3)).unwrap();
        let recording = observer.finish();
        let [first, last] = &recording.series[..] else { panic!("{:?}", recording.series) };
        assert_eq!((first.messages_per_second, last.messages_per_second), (50.0, 80.0));
        assert_eq!((first.deliveries_per_second, last.at, last.errors), (100.0, 1.5, 2));
        assert!((first.latency_p99_us.unwrap() - 2.0).abs() < 0.01 && first.server_rss_mib.is_some());
        assert_eq!(seen.iter().collect::<Vec<_>>(), [1.0, 1.5]);
        assert_eq!(recording.interval_log.iter().filter(|byte| **byte == b'\n').count(), 4 + 3);
    }
}
