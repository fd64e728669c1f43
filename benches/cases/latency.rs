//! Recording a message's latency.

use std::hint::black_box;

use hashi::observe::Metrics;

use super::{Case, Operation};

pub const CASES: [Case; 1] = [Case { name: "latency/record", operations: 1, prepare: record }];

fn record() -> Operation {
    let (mut metrics, mut ns) = (Metrics::default(), 0);
    Box::new(move || {
        ns = (ns + 7919) % 10_000_000;
        metrics.latency_ns.saturating_record(black_box(ns));
    })
}
