//! The scenarios, and the parameters that each has beside its load.

use clap::{Args, FromArgMatches, Subcommand};
use serde::Deserialize;

use super::{LoadArgs, check_rate, nanoseconds, settings};
use crate::error::Result;
use crate::http::Route;
use crate::limits::{CONNECTIONS_MAX, LANES_MAX, OVERLOAD_MAX, RELOADS_MAX, ROUNDS_MAX};
use crate::scenarios::{Flood, Layout, OperationsSize};
use crate::wording::Keying;

/// The scenarios and their parameters.
#[derive(Debug, Subcommand, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioArgs {
    /// Each connection alone in its session: the server relays its messages back to it
    Echo(EchoArgs),
    /// Plain WebSocket echo without envelopes, to compare with a bare loop or other servers
    RawEcho(EchoArgs),
    /// One publisher, many receivers in one session
    Fanout(FanoutArgs),
    /// Many sessions in which every member publishes
    Rooms(RoomsArgs),
    /// A flood of low messages at more than the server can carry (or at --rate), and high probes that must overtake it
    MixedPriority(MixedArgs),
    /// Services report operations with progress to sessions whose clients reload; --rate counts messages
    Operations(OperationsArgs),
    /// One publisher, many receivers by schedule, of whom a share stops reading: what the others notice
    Slow(SlowArgs),
    /// HTTP connections publish, and WebSocket clients receive
    Rest(RestArgs),
    /// All clients lose their connections at once and come back
    Storm(StormArgs),
    /// Open connections and hold them: the server's memory per connection and idle CPU
    Idle(IdleArgs),
    /// Connect, authenticate and close, as fast as possible
    Connect(ConnectArgs),
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EchoArgs {
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanoutArgs {
    /// Receivers; the publisher is one more
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomsArgs {
    #[arg(long, default_value_t = 100)]
    pub rooms: usize,
    /// Members of each room
    #[arg(long, default_value_t = 10)]
    pub members: usize,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdleArgs {
    /// In sessions of 10; at least 5
    #[arg(long, default_value_t = 5000)]
    pub connections: usize,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectArgs {
    /// Connections at a time
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixedArgs {
    /// Flooded connections
    #[arg(long, default_value_t = 200)]
    pub connections: usize,
    /// Low messages offered, as a multiple of what a closed loop first measures; without a rate
    #[arg(long, default_value_t = 1.2)]
    pub overload: f64,
    /// High messages per second
    #[arg(long, default_value_t = 200.0)]
    pub probe_rate: f64,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationsArgs {
    #[arg(long, default_value_t = 100)]
    pub sessions: usize,
    /// Clients of each session
    #[arg(long, default_value_t = 10)]
    pub members: usize,
    /// Operations of each session that go on at a time
    #[arg(long, default_value_t = 2)]
    pub at_once: usize,
    /// Progress messages of each operation, between its start and its end
    #[arg(long, default_value_t = 10)]
    pub progress: u64,
    /// Clients that reload per second, in all
    #[arg(long, default_value_t = 20.0)]
    pub reloads: f64,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowArgs {
    /// Receivers; the publisher is one more
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    /// Percent of the receivers that stop reading for the measured time
    #[arg(long, default_value_t = 5.0)]
    pub share: f64,
    /// Publish with so many keys in turn, so that the server may conflate
    #[arg(long, default_value_t = 0)]
    pub keys: u64,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestArgs {
    /// HTTP connections, each with a session and a WebSocket client in it
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// The route that is asked
    #[arg(long, value_enum, default_value_t = Route::Send)]
    pub route: Route,
}

#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StormArgs {
    /// In sessions of 10; one more stays
    #[arg(long, default_value_t = 5000)]
    pub connections: usize,
    /// How often they come back
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Spread the cuts of each round over so many milliseconds
    #[arg(long, default_value_t = 0)]
    pub spread_ms: u64,
}

defaults_of_the_command_line!(EchoArgs, FanoutArgs, RoomsArgs, IdleArgs, ConnectArgs);
defaults_of_the_command_line!(MixedArgs, OperationsArgs, SlowArgs, RestArgs, StormArgs);

impl MixedArgs {
    /// What is offered where the load says so, or else a multiple of what is carried.
    pub fn flood(&self, load: &LoadArgs) -> Result<Flood> {
        match load.rate {
            Some(rate) => Ok(Flood::Rate(check_rate(rate)?)),
            None if !(self.overload > 0.0 && self.overload <= OVERLOAD_MAX) => {
                settings(format!("overload must be above 0, to {OVERLOAD_MAX}"))
            }
            None => Ok(Flood::Overload(self.overload)),
        }
    }

    pub fn probe_rate(&self) -> Result<f64> {
        check_rate(self.probe_rate)
    }
}

impl OperationsArgs {
    pub fn size(&self) -> Result<OperationsSize> {
        if !(0.0..=RELOADS_MAX).contains(&self.reloads) {
            return settings(format!("reloads must be 0 to {RELOADS_MAX}"));
        }
        let clients = check_connections(self.sessions.saturating_mul(self.members), self.sessions.max(1))?;
        if !(1..=LANES_MAX / clients).contains(&self.at_once) {
            return settings(format!("at_once must be 1 to {}", LANES_MAX / clients));
        }
        Ok(OperationsSize {
            sessions: self.sessions,
            members: self.members,
            places: self.at_once,
            steps: self.progress.saturating_add(2),
            reloads_per_second: self.reloads,
        })
    }
}

impl SlowArgs {
    /// How many receivers stop reading.
    pub fn slow(&self) -> Result<usize> {
        if !(0.0..100.0).contains(&self.share) {
            return settings("share must be 0 to less than 100");
        }
        Ok((self.connections as f64 * self.share / 100.0) as usize)
    }

    pub fn keying(&self) -> Keying {
        if self.keys == 0 { Keying::None } else { Keying::Cycle(self.keys) }
    }
}

impl StormArgs {
    pub fn rounds(&self) -> Result<usize> {
        if !(1..=ROUNDS_MAX).contains(&self.rounds) {
            return settings(format!("rounds must be 1 to {ROUNDS_MAX}"));
        }
        Ok(self.rounds)
    }

    pub fn spread_ns(&self) -> Result<u64> {
        nanoseconds("spread_ms / 1000", self.spread_ms as f64 / 1000.0)
    }
}

/// Refuses counts of connections that cannot work.
pub fn check_connections(count: usize, least: usize) -> Result<usize> {
    if !(least..=CONNECTIONS_MAX).contains(&count) {
        return settings(format!("{count} connections: must be {least} to {CONNECTIONS_MAX}"));
    }
    Ok(count)
}

/// Refuses layouts that are empty or would take too much memory.
pub fn check_layout(layout: Layout) -> Result<Layout> {
    check_connections(layout.sessions, 1)?;
    check_connections(layout.members, 1)?;
    check_connections(layout.connections(), layout.sessions)?;
    if layout.lane_count() > LANES_MAX {
        return settings(format!("more than {LANES_MAX} pairs of receiver and publisher"));
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_that_cannot_work_are_refused() {
        assert!(check_layout(Layout::alone(0)).is_err());
        assert!(check_layout(Layout::rooms(10, 100_000)).is_err());
        assert!(check_layout(Layout::rooms(100, 10)).is_ok());
    }
}
