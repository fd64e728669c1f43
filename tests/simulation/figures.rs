//! What a run, or many, consisted of.

use std::fmt;
use std::ops::AddAssign;

use hashi::ErrorCode;
use hashi::delivery::Delivery;
use hashi::observe::Metrics;

#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub seeds: u64,
    pub clients: u64,
    pub connections: u64,
    /// Connections of these that are streams of events.
    pub streams: u64,
    /// Answers to polls.
    pub polls: u64,
    /// How often a client came by another door than before.
    pub switches: u64,
    /// Messages sent, published and handled.
    pub sent: u64,
    pub published: u64,
    pub handled: u64,
    pub resets: u64,
    /// Servers that took the place of another one, and those of them before which it ended gracefully.
    pub restarts: u64,
    pub shutdowns: u64,
    pub resumes: u64,
    pub takeovers: u64,
    pub replayed: u64,
    pub conflated: u64,
    pub gaps: u64,
    pub catch_ups: u64,
    /// Copies of reliable messages: confirmed, sent again, given up.
    pub confirmed: u64,
    pub retries: u64,
    pub expired: u64,
    /// Messages sent again, and ids used for another message.
    pub repeated: u64,
    pub reused: u64,
    pub ticks: u64,
}

impl Figures {
    /// Adds what one life of a server counted.
    pub fn add_server(&mut self, delivery: &Delivery, metrics: &Metrics) {
        let totals = &delivery.totals;
        self.streams += metrics.event_streams;
        self.polls += totals.polls;
        self.published += totals.published;
        self.resumes += totals.resumed;
        self.takeovers += metrics.takeovers;
        self.replayed += totals.replayed;
        self.conflated += totals.conflated;
        self.gaps += totals.gaps.iter().sum::<u64>();
        self.catch_ups += totals.catch_ups;
        let in_flight = delivery.tables.in_flight.totals;
        self.confirmed += in_flight.confirmed;
        self.retries += in_flight.retries;
        self.expired += in_flight.given_up;
        self.repeated += delivery.tables.dedup.repeated();
        self.reused += totals.errors[ErrorCode::IdReused as usize];
        self.ticks += metrics.ticks;
    }

    const fn named(&self) -> [(&'static str, u64); 24] {
        [
            ("seeds", self.seeds),
            ("clients", self.clients),
            ("connections", self.connections),
            ("streams", self.streams),
            ("polls", self.polls),
            ("switches", self.switches),
            ("messages sent", self.sent),
            ("published", self.published),
            ("handled", self.handled),
            ("resets", self.resets),
            ("restarts", self.restarts),
            ("shutdowns", self.shutdowns),
            ("resumes", self.resumes),
            ("take-overs", self.takeovers),
            ("replayed", self.replayed),
            ("conflated", self.conflated),
            ("gaps", self.gaps),
            ("catch-ups", self.catch_ups),
            ("confirmed", self.confirmed),
            ("retries", self.retries),
            ("expired in flight", self.expired),
            ("repeats answered", self.repeated),
            ("ids reused", self.reused),
            ("ticks", self.ticks),
        ]
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.clients += other.clients;
        self.connections += other.connections;
        self.streams += other.streams;
        self.polls += other.polls;
        self.switches += other.switches;
        self.sent += other.sent;
        self.published += other.published;
        self.handled += other.handled;
        self.resets += other.resets;
        self.restarts += other.restarts;
        self.shutdowns += other.shutdowns;
        self.resumes += other.resumes;
        self.takeovers += other.takeovers;
        self.replayed += other.replayed;
        self.conflated += other.conflated;
        self.gaps += other.gaps;
        self.catch_ups += other.catch_ups;
        self.confirmed += other.confirmed;
        self.retries += other.retries;
        self.expired += other.expired;
        self.repeated += other.repeated;
        self.reused += other.reused;
        self.ticks += other.ticks;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.named().iter().map(|(name, count)| format!("{name} {count}")).collect();
        formatter.write_str(&parts.join(", "))
    }
}
