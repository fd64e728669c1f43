//! The command line, and the checks of what it says.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};

use crate::compare::CompareArgs;
use crate::envelope::MIN_BYTES;
use crate::error::{LoadError, Result};
use crate::frame::MAX_PAYLOAD;
use crate::measure::SECOND_NS;
use crate::reactor::{Dialect, Target};
use crate::scenarios::{Layout, Pace, Timing};
use crate::socket_io;

/// Bytes of messages that an open loop may have under way, as bound for `--max-under-way`.
const MOST_BYTES_UNDER_WAY: usize = 256 << 20;
/// Pairs of receiver and publisher that are followed: about 24 bytes each.
const MOST_LANES: usize = 20_000_000;

/// The load generator of Hashi: many client connections in one thread. Every run checks that each publisher's messages
/// arrive in order, none twice, and none is lost without a `hashi:gap`; it exits with 1 if a check fails.
#[derive(Debug, Parser)]
#[command(name = "hashi-loadtest")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Each connection alone in its session: the server relays its messages back to it
    Echo(EchoArgs),
    /// Plain WebSocket echo without envelopes, to compare with a bare loop or other servers
    RawEcho(EchoArgs),
    /// One publisher, many receivers in one session
    Fanout(FanoutArgs),
    /// Many sessions in which every member publishes
    Rooms(RoomsArgs),
    /// Open connections and hold them: the server's memory per connection and idle CPU
    Idle(IdleArgs),
    /// Connect, authenticate and close, as fast as possible
    Connect(ConnectArgs),
    /// Serve: a bare loop that echoes frames without parsing them; the limit to compare with
    BareEcho(BareEchoArgs),
    /// The server beside its peers, each on one processor, in alternating rounds; prints ratios
    Compare(CompareArgs),
}

#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The server; only ws://
    #[arg(long, default_value = "ws://127.0.0.1:3001/ws")]
    url: String,
    /// Path to connect to, instead of the URL's
    #[arg(long)]
    path: Option<String>,
    /// Speak Socket.IO, at its usual path
    #[arg(long)]
    socket_io: bool,
    /// Process id of the server: its CPU and memory are reported
    #[arg(long)]
    server_pid: Option<u32>,
    /// Processor to bind the harness to
    #[arg(long)]
    pub pin: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// A connection must be open within this time
    #[arg(long, default_value_t = 10.0)]
    connect_timeout_seconds: f64,
    /// Connections that may be opening at the same time
    #[arg(long, default_value_t = 128)]
    opening_at_once: usize,
}

#[derive(Debug, Args)]
struct TimingArgs {
    /// Measured time
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Time under load before it
    #[arg(long, default_value_t = 1.0)]
    warmup_seconds: f64,
}

#[derive(Debug, Args)]
pub struct TrafficArgs {
    #[command(flatten)]
    timing: TimingArgs,
    /// Length of each published envelope
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Closed loop: messages under way (per connection for echo, in all for fanout and rooms)
    #[arg(long, default_value_t = 1, conflicts_with = "rate")]
    in_flight: usize,
    /// Open loop: messages per second in all, by schedule; latencies count from the intended time
    #[arg(long)]
    rate: Option<f64>,
    /// Open loop: the schedule waits while so many messages are under way
    #[arg(long, default_value_t = 100_000)]
    max_under_way: usize,
}

#[derive(Debug, Args)]
pub struct EchoArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub traffic: TrafficArgs,
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
}

#[derive(Debug, Args)]
pub struct FanoutArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// Receivers; the publisher is one more
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
}

#[derive(Debug, Args)]
pub struct RoomsArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub traffic: TrafficArgs,
    #[arg(long, default_value_t = 100)]
    pub rooms: usize,
    /// Members of each room
    #[arg(long, default_value_t = 10)]
    pub members: usize,
}

#[derive(Debug, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// In sessions of 10; at least 5
    #[arg(long, default_value_t = 5000)]
    pub connections: usize,
    /// How long they are held
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

#[derive(Debug, Args)]
pub struct ConnectArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    timing: TimingArgs,
    /// Connections at a time
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
}

#[derive(Debug, Args)]
pub struct BareEchoArgs {
    /// 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Processor to bind it to
    #[arg(long)]
    pub pin: Option<usize>,
}

impl TargetArgs {
    /// The target for messages of this length, with room for `opening` connections to open at the same time.
    pub fn target(&self, dialect: Dialect, message_bytes: usize) -> Result<Target> {
        let (host, path) = split_url(&self.url)?;
        let (dialect, path) = if self.socket_io { (Dialect::SocketIo, socket_io::PATH) } else { (dialect, path) };
        if self.opening_at_once == 0 {
            return settings("--opening-at-once must be at least 1");
        }
        Ok(Target {
            address: resolve(host)?,
            host: host.into(),
            path: self.path.clone().unwrap_or_else(|| path.into()),
            dialect,
            message_bytes,
            opening_at_once: self.opening_at_once,
            timeout_ns: nanoseconds("--connect-timeout-seconds", self.connect_timeout_seconds)?,
            server_pid: self.server_pid,
            run: run_name(),
        })
    }
}

impl TimingArgs {
    fn timing(&self) -> Result<Timing> {
        Ok(Timing {
            warmup_ns: nanoseconds("--warmup-seconds", self.warmup_seconds)?,
            measured_ns: nanoseconds("--seconds", self.seconds)?,
        })
    }
}

impl TrafficArgs {
    pub fn timing(&self) -> Result<Timing> {
        self.timing.timing()
    }

    pub fn message_bytes(&self) -> Result<usize> {
        if !(MIN_BYTES..=MAX_PAYLOAD).contains(&self.bytes) {
            return settings(format!("--bytes must be {MIN_BYTES} to {MAX_PAYLOAD}"));
        }
        Ok(self.bytes)
    }

    /// The pace, where `closed` makes that of a closed loop.
    pub fn pace(&self, closed: fn(usize) -> Pace) -> Result<Pace> {
        match self.rate {
            Some(rate) if !(rate > 0.0 && rate <= 1e8) => settings("--rate must be above 0"),
            Some(rate) => {
                let most_under_way = self.max_under_way.min(MOST_BYTES_UNDER_WAY / self.bytes).max(1);
                Ok(Pace::PerSecond { rate, most_under_way })
            }
            None if self.in_flight == 0 => settings("--in-flight must be at least 1"),
            None => Ok(closed(self.in_flight)),
        }
    }
}

impl IdleArgs {
    pub fn held_ns(&self) -> Result<u64> {
        nanoseconds("--seconds", self.seconds)
    }
}

impl ConnectArgs {
    pub fn timing(&self) -> Result<Timing> {
        self.timing.timing()
    }
}

/// Refuses counts of connections that cannot work.
pub fn check_connections(count: usize, least: usize) -> Result<usize> {
    if !(least..=1_000_000).contains(&count) {
        return settings(format!("{count} connections: must be {least} to 1000000"));
    }
    Ok(count)
}

/// Refuses layouts that are empty or would take too much memory.
pub fn check_layout(layout: Layout) -> Result<Layout> {
    check_connections(layout.sessions, 1)?;
    check_connections(layout.members, 1)?;
    check_connections(layout.connections(), layout.sessions)?;
    if layout.lane_count() > MOST_LANES {
        return settings(format!("more than {MOST_LANES} pairs of receiver and publisher"));
    }
    Ok(layout)
}

fn settings<T>(text: impl Into<String>) -> Result<T> {
    Err(LoadError::Settings(text.into()))
}

fn nanoseconds(name: &str, seconds: f64) -> Result<u64> {
    if !(0.0..=86_400.0).contains(&seconds) {
        return settings(format!("{name} must be 0 to 86400"));
    }
    Ok((seconds * SECOND_NS as f64) as u64)
}

/// Splits `ws://host:port/path` into `host:port` and the path.
fn split_url(url: &str) -> Result<(&str, &str)> {
    let Some(rest) = url.strip_prefix("ws://") else {
        return settings(format!("{url}: only ws:// is supported"));
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(slash);
    Ok((host, if path.is_empty() { "/" } else { path }))
}

/// The first IPv4 address, or else the first.
fn resolve(host: &str) -> Result<SocketAddr> {
    let with_port = if host.contains("]:") || (!host.contains('[') && host.contains(':')) {
        host.to_string()
    } else {
        format!("{host}:80")
    };
    let found: Vec<SocketAddr> = match with_port.to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => return settings(format!("{host}: {error}")),
    };
    match found.iter().find(|address| address.is_ipv4()).or(found.first()) {
        Some(address) => Ok(*address),
        None => settings(format!("{host}: no address")),
    }
}

/// A name that differs from other runs' against the same server.
fn run_name() -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}", (time.as_millis() as u32).rotate_left(8) ^ std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(split_url("ws://127.0.0.1:3001/ws").unwrap(), ("127.0.0.1:3001", "/ws"));
        assert_eq!(split_url("ws://localhost").unwrap(), ("localhost", "/"));
        assert!(split_url("wss://localhost/").is_err());
        assert_eq!(resolve("127.0.0.1").unwrap(), SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(resolve("[::1]:9").unwrap().port(), 9);
    }

    #[test]
    fn the_length_of_a_run_name_is_bounded() {
        assert_eq!(run_name().len(), 8);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(check_layout(Layout::alone(0)).is_err());
        assert!(check_layout(Layout::rooms(10, 100_000)).is_err());
        assert!(check_layout(Layout::rooms(100, 10)).is_ok());
        assert!(nanoseconds("x", f64::NAN).is_err() && nanoseconds("x", -1.0).is_err());
    }
}
