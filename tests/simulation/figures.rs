//! What a run, or many, consisted of.

use std::fmt;
use std::ops::AddAssign;

use hashi::delivery::Delivery;
use hashi::observe::Metrics;

#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub seeds: u64,
    pub clients: u64,
    pub connections: u64,
    /// Messages sent, published and handled.
    pub sent: u64,
    pub published: u64,
    pub handled: u64,
    pub resets: u64,
    pub restarts: u64,
    pub resumes: u64,
    pub takeovers: u64,
    pub replayed: u64,
    pub conflated: u64,
    pub gaps: u64,
    pub catch_ups: u64,
    pub ticks: u64,
}

impl Figures {
    /// Adds what one life of a server counted.
    pub fn add_server(&mut self, delivery: &Delivery, metrics: &Metrics) {
        let totals = &delivery.totals;
        self.published += totals.published;
        self.resumes += totals.resumed;
        self.takeovers += metrics.takeovers;
        self.replayed += totals.replayed;
        self.conflated += totals.conflated;
        self.gaps += totals.gaps.iter().sum::<u64>();
        self.catch_ups += totals.catch_ups;
        self.ticks += metrics.ticks;
    }

    const fn named(&self) -> [(&'static str, u64); 15] {
        [
            ("seeds", self.seeds),
            ("clients", self.clients),
            ("connections", self.connections),
            ("messages sent", self.sent),
            ("published", self.published),
            ("handled", self.handled),
            ("resets", self.resets),
            ("restarts", self.restarts),
            ("resumes", self.resumes),
            ("take-overs", self.takeovers),
            ("replayed", self.replayed),
            ("conflated", self.conflated),
            ("gaps", self.gaps),
            ("catch-ups", self.catch_ups),
            ("ticks", self.ticks),
        ]
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.clients += other.clients;
        self.connections += other.connections;
        self.sent += other.sent;
        self.published += other.published;
        self.handled += other.handled;
        self.resets += other.resets;
        self.restarts += other.restarts;
        self.resumes += other.resumes;
        self.takeovers += other.takeovers;
        self.replayed += other.replayed;
        self.conflated += other.conflated;
        self.gaps += other.gaps;
        self.catch_ups += other.catch_ups;
        self.ticks += other.ticks;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.named().iter().map(|(name, count)| format!("{name} {count}")).collect();
        formatter.write_str(&parts.join(", "))
    }
}
