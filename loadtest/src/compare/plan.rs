//! The scenarios of a comparison: which runs of the harness make one round of each, and which of their figures are shown.

/// One scenario.
#[derive(Debug)]
pub struct Plan {
    pub name: &'static str,
    pub title: &'static str,
    /// The runs of one round, in order: the scenario of the harness and its arguments.
    pub steps: &'static [&'static [&'static str]],
    pub figures: &'static [Figure],
    pub rounds: usize,
    /// The measured time of one run.
    pub seconds: f64,
    /// Whether each round has a new server: memory that an earlier round has freed would hide what connections take.
    pub is_fresh: bool,
    /// Whether messages go to others than their sender.
    pub needs_sessions: bool,
    /// The peers it is for; empty for all that can run it.
    pub peers: &'static [&'static str],
    /// Whether it asks how much a server can carry, which a busy harness would hide.
    pub seeks_limit: bool,
}

/// A figure of a round.
#[derive(Debug)]
pub struct Figure {
    /// Its name in tables and bars.
    pub name: &'static str,
    pub source: Source,
    pub decimals: usize,
}

/// Where a figure comes from: a step's figure, or the quotient of two.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    Of(StepFigure),
    Quotient(StepFigure, StepFigure),
}

/// The number of a step and the name of a figure of the harness.
pub type StepFigure = (usize, &'static str);

const P99_US: &str = "latency_p99_us";
const MESSAGE_CPU: &str = "server_cpu_us_per_message";

const MESSAGES: Figure = figure("messages/s", "messages_per_second", 0);
const DELIVERIES: Figure = figure("deliveries/s", "deliveries_per_second", 0);
const CPU_PER_MESSAGE: Figure = figure("CPU µs/message", MESSAGE_CPU, 3);
const CPU_PER_DELIVERY: Figure = figure("CPU µs/delivery", "server_cpu_us_per_delivery", 3);
const P50: Figure = figure("p50 µs", "latency_p50_us", 0);
const P99: Figure = figure("p99 µs", P99_US, 0);
pub const CPU_PERCENT: Figure = figure("CPU %", "server_cpu_percent", 2);
pub const HARNESS_CPU_PERCENT: Figure = figure("harness CPU %", "harness_cpu_percent", 2);

const fn figure(name: &'static str, of: &'static str, decimals: usize) -> Figure {
    Figure { name, source: Source::Of((0, of)), decimals }
}

/// The defaults of a scenario.
const USUAL: Plan = Plan {
    name: "",
    title: "",
    steps: &[],
    figures: &[],
    rounds: 5,
    seconds: 4.0,
    is_fresh: false,
    needs_sessions: false,
    peers: &[],
    seeks_limit: true,
};

/// All scenarios, in the order in which they run.
pub const PLANS: &[Plan] = &[
    Plan {
        name: "echo-1",
        title: "echo, 100 connections, 1 in flight each",
        steps: &[&["echo", "--connections", "100", "--in-flight", "1"]],
        figures: &[MESSAGES, CPU_PER_MESSAGE, P50, P99],
        ..USUAL
    },
    Plan {
        name: "echo-32",
        title: "echo, 100 connections, 32 in flight each",
        steps: &[&["echo", "--connections", "100", "--in-flight", "32"]],
        figures: &[MESSAGES, CPU_PER_MESSAGE],
        ..USUAL
    },
    Plan {
        name: "fanout-2",
        title: "fan-out, 1 to 1,000, 2 in flight",
        steps: &[&["fanout", "--connections", "1000", "--in-flight", "2"]],
        figures: &[DELIVERIES, CPU_PER_DELIVERY],
        needs_sessions: true,
        ..USUAL
    },
    Plan {
        name: "fanout-32",
        title: "fan-out, 1 to 1,000, 32 in flight",
        steps: &[&["fanout", "--connections", "1000", "--in-flight", "32"]],
        figures: &[DELIVERIES, CPU_PER_DELIVERY],
        needs_sessions: true,
        ..USUAL
    },
    Plan {
        name: "rooms",
        title: "100 rooms of 10, 200 in flight in all",
        steps: &[&["rooms", "--rooms", "100", "--members", "10", "--in-flight", "200"]],
        figures: &[DELIVERIES, CPU_PER_DELIVERY],
        needs_sessions: true,
        ..USUAL
    },
    Plan {
        name: "echo-open",
        title: "echo by schedule, 1,000 connections, 30,000/s in all",
        steps: &[&["echo", "--connections", "1000", "--rate", "30000"]],
        figures: &[P50, P99, CPU_PER_MESSAGE],
        rounds: 15,
        seeks_limit: false,
        ..USUAL
    },
    Plan {
        name: "connect",
        title: "connect, authenticate, close; 16 at a time",
        steps: &[&["connect", "--connections", "16"]],
        figures: &[figure("connections/s", "connections_per_second", 0), figure("CPU µs/connection", MESSAGE_CPU, 1)],
        ..USUAL
    },
    Plan {
        name: "idle",
        title: "15,000 authenticated connections in sessions of 10, held between two heartbeats",
        steps: &[&["idle", "--connections", "15000"]],
        figures: &[figure("bytes/connection", "server_bytes_per_connection", 0), CPU_PERCENT],
        seconds: 15.0,
        is_fresh: true,
        seeks_limit: false,
        ..USUAL
    },
    Plan {
        name: "cost-curve",
        title: "echo by schedule, 20,000/s in all over 100, 1,000 and 10,000 connections",
        steps: &[
            &["echo", "--connections", "100", "--rate", "20000"],
            &["echo", "--connections", "1000", "--rate", "20000"],
            &["echo", "--connections", "10000", "--rate", "20000"],
        ],
        figures: &[
            Figure { name: "CPU µs/message at 100", source: Source::Of((0, MESSAGE_CPU)), decimals: 2 },
            Figure { name: "at 1,000", source: Source::Of((1, MESSAGE_CPU)), decimals: 2 },
            Figure { name: "at 10,000", source: Source::Of((2, MESSAGE_CPU)), decimals: 2 },
            Figure { name: "growth", source: Source::Quotient((2, MESSAGE_CPU), (0, MESSAGE_CPU)), decimals: 2 },
        ],
        peers: &["hashi", "bare"],
        seeks_limit: false,
        ..USUAL
    },
    Plan {
        name: "mixed-priority",
        title: "`low` offered to 200 connections at 1.2 times what the server carries, `high` probes by schedule",
        steps: &[&["mixed-priority"]],
        figures: &[
            figure("high p50 µs", "high_p50_us", 0),
            figure("high p99 µs", "high_p99_us", 0),
            figure("low p50 µs", "latency_p50_us", 0),
            figure("high p99 : low p50", "high_p99_to_low_p50", 3),
            figure("low carried/s", "low_carried_per_second", 0),
        ],
        needs_sessions: true,
        peers: &["hashi", "node-ws", "bun"],
        seeks_limit: false,
        ..USUAL
    },
    Plan {
        name: "slow",
        title: "1 to 1,000 at 150/s, without and with 5 % of the receivers not reading",
        steps: &[&["slow", "--rate", "150", "--share", "0"], &["slow", "--rate", "150"]],
        figures: &[
            Figure { name: "p99 µs without", source: Source::Of((0, P99_US)), decimals: 0 },
            Figure { name: "p99 µs with", source: Source::Of((1, P99_US)), decimals: 0 },
            Figure { name: "with : without", source: Source::Quotient((1, P99_US), (0, P99_US)), decimals: 2 },
        ],
        needs_sessions: true,
        peers: &["hashi"],
        seeks_limit: false,
        ..USUAL
    },
];
