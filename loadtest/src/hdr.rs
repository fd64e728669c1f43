//! The file formats of HdrHistogram: a percentile distribution (`.hgrm`) and an interval log (`.hlog`), for its plotters
//! and log tools.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::measure::Latency;
use crate::meter::Interval;

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
/// Of a histogram with three significant digits.
const SUB_BUCKETS: u32 = 2048;
const NS_PER_MS: f64 = 1e6;
const LEGEND: &[u8] = b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// One point of a percentile distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub ns: u64,
    /// 0 to 1.
    pub quantile: f64,
    /// Times recorded up to `ns`.
    pub count: u64,
}

/// The distribution in steps that get finer towards 100 %.
pub fn distribution(latency: &Latency) -> Vec<Step> {
    let mut count = 0;
    let steps = latency.histogram().iter_quantiles(TICKS_PER_HALF_DISTANCE);
    let step = |step: hdrhistogram::iterators::IterationValue<u64>| {
        count += step.count_since_last_iteration();
        Step { ns: step.value_iterated_to(), quantile: step.quantile_iterated_to(), count }
    };
    steps.map(step).collect()
}

/// The distribution as text, in milliseconds.
pub fn percentile_text(latency: &Latency) -> String {
    let histogram = latency.histogram();
    let mut out = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for Step { ns, quantile, count } in distribution(latency) {
        let value = ns as f64 / NS_PER_MS;
        let distance = 1.0 / (1.0 - quantile);
        let last = if quantile < 1.0 { format!(" {distance:>14.2}") } else { String::new() };
        writeln!(out, "{value:>12.3} {quantile:>2.12} {count:>10}{last}")
            .expect("ok because writing to a string cannot fail");
    }
    out + &footer(histogram)
}

fn footer(histogram: &Histogram<u64>) -> String {
    let ms = |ns: f64| ns / NS_PER_MS;
    format!(
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n#[Max     = {:>12.3}, Total count    = {:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]\n",
        ms(histogram.mean()),
        ms(histogram.stdev()),
        ms(histogram.max() as f64),
        histogram.len(),
        histogram.buckets(),
        SUB_BUCKETS,
    )
}

/// An interval log in the making; values are ns.
pub struct IntervalLog {
    out: Vec<u8>,
    serializer: V2DeflateSerializer,
}

impl IntervalLog {
    pub fn new(started: SystemTime) -> Self {
        let (mut out, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(started)
            .with_base_time(started)
            .begin_log_with(&mut out, &mut serializer)
            .expect("ok because writing to memory cannot fail");
        out.extend_from_slice(LEGEND);
        Self { out, serializer }
    }

    /// Appends a line.
    pub fn push(&mut self, interval: &Interval) {
        let (start, length) =
            (Duration::from_nanos(interval.start), Duration::from_nanos(interval.end - interval.start));
        // A writer without a header, since a writer that lives on would have to own what it writes to.
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.out, &mut self.serializer)
            .expect("ok because writing to memory cannot fail")
            .write_histogram(interval.latency.histogram(), start, length, None)
            .expect("ok because writing to memory cannot fail");
    }

    /// The whole log.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Tally;
    use base64::prelude::{BASE64_STANDARD, Engine};
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn thousand() -> Latency {
        let mut latency = Latency::new();
        (1..=1000).for_each(|ms| latency.record(ms * 1_000_000));
        latency
    }

    #[test]
    fn the_text_rises_to_the_maximum_and_counts_everything() {
        let text = percentile_text(&thousand());
        let lines: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        assert!(lines.is_sorted_by(|a, b| a[1] <= b[1] && a[2] <= b[2]));
        let last = lines.last().unwrap();
        assert!((last[0] - 1000.0).abs() < 1.0 && last[1] == 1.0 && last[2] == 1000.0 && last.len() == 3, "{text}");
        assert!(text.contains("Total count    =         1000]"), "{text}");
    }

    #[test]
    fn an_interval_log_is_read_back() {
        let mut log = IntervalLog::new(SystemTime::UNIX_EPOCH);
        let interval =
            |start, end| Interval { phase: Some(0), start, end, tally: Tally::default(), latency: thousand() };
        log.push(&interval(500_000_000, 1_500_000_000));
        log.push(&interval(1_500_000_000, 2_000_000_000));
        let bytes = log.finish();
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            if let Ok(LogEntry::Interval(line)) = entry {
                let encoded = BASE64_STANDARD.decode(line.encoded_histogram()).unwrap();
                let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &encoded[..]).unwrap();
                found.push((line.start_timestamp(), line.duration(), histogram.len()));
            }
        }
        let ms = Duration::from_millis;
        assert_eq!(found, [(ms(500), ms(1000), 1000), (ms(1500), ms(500), 1000)]);
    }
}
