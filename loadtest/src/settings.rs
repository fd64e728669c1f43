//! What a run is: the target, a scenario with its parameters, the load by phases, and thresholds. A scenario file is these
//! types as TOML, the command line is these types as flags; both have the same names and defaults.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use clap::{Args, FromArgMatches, Subcommand};
use serde::Deserialize;

use crate::envelope::{MIN_BYTES, MIN_WORDED_BYTES};
use crate::error::{LoadError, Result};
use crate::frame::MAX_PAYLOAD;
use crate::http::Route;
use crate::measure::SECOND_NS;
use crate::reactor::{Dialect, Target};
use crate::scenarios::{Flood, Layout, OpenLoop, OperationsSize, Pace, Phase, Plan, Ramp};
use crate::threshold::Threshold;
use crate::wording::Keying;

/// Bytes of messages that an open loop may have under way, as bound for `max_under_way`.
const MOST_BYTES_UNDER_WAY: usize = 256 << 20;
/// Pairs of receiver and publisher that are followed: about 24 bytes each.
const MOST_LANES: usize = 20_000_000;
/// The highest rate of a schedule.
const MOST_PER_SECOND: f64 = 1e8;
/// Longest phase, and longest time-out.
const MOST_SECONDS: f64 = 86_400.0;

/// One run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    pub target: TargetArgs,
    pub scenario: ScenarioArgs,
    #[serde(default)]
    pub load: LoadArgs,
    /// Without any, the load is one measured phase.
    #[serde(default)]
    pub phases: Vec<PhaseSettings>,
    /// Of the whole run.
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
}

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

/// Where and how to connect.
#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetArgs {
    /// The server; only ws://
    #[arg(long, default_value = "ws://127.0.0.1:3001/ws")]
    pub url: String,
    /// Path to connect to, instead of the URL's
    #[arg(long)]
    path: Option<String>,
    /// A connection must be open within this time
    #[arg(long, default_value_t = 10.0)]
    connect_timeout_seconds: f64,
    /// Connections that may be opening at the same time
    #[arg(long, default_value_t = 128)]
    opening_at_once: usize,
}

/// What is published, and how long; phases may say otherwise.
#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadArgs {
    /// Length of each published envelope
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Closed loop: messages under way (per connection for echo, in all otherwise); 1 if there is no rate either
    #[arg(long)]
    in_flight: Option<usize>,
    /// Open loop: messages per second in all, by schedule; latencies count from the intended time
    #[arg(long)]
    rate: Option<f64>,
    /// Open loop: the schedule waits while so many messages are under way
    #[arg(long, default_value_t = 100_000)]
    max_under_way: usize,
    /// Measured time
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Time under load before it
    #[arg(long, default_value_t = 1.0)]
    warmup_seconds: f64,
}

/// One measured phase.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSettings {
    name: String,
    seconds: f64,
    in_flight: Option<usize>,
    rate: Option<f64>,
    /// The rate at its begin, from which it goes in a straight line to `rate`.
    rate_from: Option<f64>,
    #[serde(default)]
    thresholds: Vec<Threshold>,
}

/// A default is what the command line takes when a flag is not given.
macro_rules! defaults_of_the_command_line {
    ($($args:ty),*) => {$(
        impl Default for $args {
            fn default() -> Self {
                let matches = <$args>::augment_args(clap::Command::new("defaults")).get_matches_from(["defaults"]);
                Self::from_arg_matches(&matches).expect("ok because no argument is required")
            }
        }
    )*};
}

defaults_of_the_command_line!(TargetArgs, LoadArgs, EchoArgs, FanoutArgs, RoomsArgs, IdleArgs, ConnectArgs);
defaults_of_the_command_line!(MixedArgs, OperationsArgs, SlowArgs, RestArgs, StormArgs);

impl Settings {
    /// Reads a scenario file.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| LoadError::Settings(format!("{}: {error}", path.display()));
        Self::parse(&fs::read_to_string(path).map_err(failed)?, &path.display().to_string())
    }

    fn parse(text: &str, name: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| LoadError::Settings(format!("{name}: {error}")))
    }

    /// The phases of a scenario that publishes, where `closed` makes the pace of a closed loop.
    pub fn plan(&self, closed: fn(usize) -> Pace) -> Result<Plan> {
        let whole = [PhaseSettings::whole(&self.load)];
        let measured = if self.phases.is_empty() { &whole[..] } else { &self.phases };
        let mut phases = Vec::new();
        for phase in measured {
            let pace = phase.pace(&self.load, closed)?;
            phases.push(phase.phase(pace)?);
        }
        if self.load.warmup_seconds > 0.0 {
            phases.insert(0, warm_up(nanoseconds("warmup_seconds", self.load.warmup_seconds)?, &phases[0]));
        }
        Ok(Plan(phases))
    }

    /// The phases of a scenario that publishes nothing.
    pub fn plan_without_load(&self) -> Result<Plan> {
        let given = |in_flight: Option<usize>, rate: Option<f64>| in_flight.is_some() || rate.is_some();
        if given(self.load.in_flight, self.load.rate)
            || self.phases.iter().any(|phase| given(phase.in_flight, phase.rate))
        {
            return settings("this scenario publishes nothing: it has no rate and nothing in flight");
        }
        self.plan(Pace::InAll)
    }

    /// The phases of a scenario whose load is the same in all of them.
    pub fn plan_of_one_load(&self) -> Result<Plan> {
        if self.phases.iter().any(|phase| phase.in_flight.is_some() || phase.rate.is_some()) {
            return settings("this scenario has one load: its phases have no rate and nothing in flight");
        }
        self.plan(Pace::InAll)
    }

    /// The load of a scenario that goes by a schedule alone.
    pub fn open_loop(&self, default_rate: f64) -> Result<OpenLoop> {
        if self.load.in_flight.is_some() {
            return settings("this scenario goes by a schedule: it has a rate");
        }
        let rate = check_rate(self.load.rate.unwrap_or(default_rate))?;
        Ok(OpenLoop { rate, most_under_way: self.load.most_under_way() })
    }

    /// The load of a scenario that is a closed loop alone.
    pub fn window(&self) -> Result<usize> {
        match (self.load.rate, self.load.in_flight) {
            (Some(_), _) => settings("this scenario is a closed loop: it has no rate"),
            (None, Some(0)) => settings("in_flight must be at least 1"),
            (None, in_flight) => Ok(in_flight.unwrap_or(1)),
        }
    }

    pub fn message_bytes(&self) -> Result<usize> {
        self.bytes_from(MIN_BYTES)
    }

    /// The length of messages that are not all worded plainly.
    pub fn worded_bytes(&self) -> Result<usize> {
        self.bytes_from(MIN_WORDED_BYTES)
    }

    fn bytes_from(&self, least: usize) -> Result<usize> {
        if !(least..=MAX_PAYLOAD).contains(&self.load.bytes) {
            return settings(format!("bytes must be {least} to {MAX_PAYLOAD}"));
        }
        Ok(self.load.bytes)
    }

    /// The thresholds of the phases, by their names.
    pub fn phase_thresholds(&self) -> Vec<(String, Vec<Threshold>)> {
        self.phases.iter().map(|phase| (phase.name.clone(), phase.thresholds.clone())).collect()
    }
}

impl LoadArgs {
    fn most_under_way(&self) -> usize {
        self.max_under_way.min(MOST_BYTES_UNDER_WAY / self.bytes.max(1)).max(1)
    }
}

impl MixedArgs {
    /// What is offered where the load says so, or else a multiple of what is carried.
    pub fn flood(&self, load: &LoadArgs) -> Result<Flood> {
        match load.rate {
            Some(rate) => Ok(Flood::Rate(check_rate(rate)?)),
            None if !(self.overload > 0.0 && self.overload <= 100.0) => settings("overload must be above 0, to 100"),
            None => Ok(Flood::Overload(self.overload)),
        }
    }

    /// The load of the probes.
    pub fn probes(&self, load: &LoadArgs) -> Result<OpenLoop> {
        Ok(OpenLoop { rate: check_rate(self.probe_rate)?, most_under_way: load.most_under_way() })
    }
}

impl OperationsArgs {
    pub fn size(&self) -> Result<OperationsSize> {
        if !(0.0..=1e6).contains(&self.reloads) {
            return settings("reloads must be 0 to 1000000");
        }
        let clients = check_connections(self.sessions.saturating_mul(self.members), self.sessions.max(1))?;
        if !(1..=MOST_LANES / clients).contains(&self.at_once) {
            return settings(format!("at_once must be 1 to {}", MOST_LANES / clients));
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
        if !(1..=1000).contains(&self.rounds) {
            return settings("rounds must be 1 to 1000");
        }
        Ok(self.rounds)
    }

    pub fn spread_ns(&self) -> Result<u64> {
        nanoseconds("spread_ms / 1000", self.spread_ms as f64 / 1000.0)
    }
}

impl PhaseSettings {
    /// The load as one phase.
    fn whole(load: &LoadArgs) -> Self {
        let (name, thresholds) = ("measured".into(), Vec::new());
        Self { name, seconds: load.seconds, in_flight: None, rate: None, rate_from: None, thresholds }
    }

    fn phase(&self, pace: Pace) -> Result<Phase> {
        let length_ns = nanoseconds("seconds", self.seconds)?;
        if length_ns == 0 {
            return settings("a phase must have a length: seconds above 0");
        }
        Ok(Phase { name: self.name.clone(), length_ns, pace, is_measured: true })
    }

    /// What the phase says about its load goes before what the run says.
    fn pace(&self, load: &LoadArgs, closed: fn(usize) -> Pace) -> Result<Pace> {
        let own = (self.in_flight, self.rate);
        match if own == (None, None) { (load.in_flight, load.rate) } else { own } {
            (Some(_), Some(_)) => settings("a load is either in_flight or a rate, not both"),
            (_, None) if self.rate_from.is_some() => settings("rate_from needs a rate"),
            (_, Some(rate)) => self.scheduled(rate, load),
            (Some(0), None) => settings("in_flight must be at least 1"),
            (in_flight, None) => Ok(closed(in_flight.unwrap_or(1))),
        }
    }

    fn scheduled(&self, to: f64, load: &LoadArgs) -> Result<Pace> {
        let from = self.rate_from.unwrap_or(to);
        let is_right = |rate: f64| rate > 0.0 && rate <= MOST_PER_SECOND;
        if !(is_right(from) && is_right(to)) {
            return settings("a rate must be above 0, and at most 1e8");
        }
        Ok(Pace::Scheduled(Ramp { from, to, most_under_way: load.most_under_way() }))
    }
}

/// A warm-up with the load with which the first phase begins.
fn warm_up(length_ns: u64, first: &Phase) -> Phase {
    let pace = match first.pace {
        Pace::Scheduled(ramp) => Pace::Scheduled(Ramp::level(ramp.from, ramp.most_under_way)),
        closed => closed,
    };
    Phase { name: "warm-up".into(), length_ns, pace, is_measured: false }
}

impl TargetArgs {
    /// The target for messages of this length.
    pub fn target(&self, dialect: Dialect, message_bytes: usize, server_pid: Option<u32>) -> Result<Target> {
        let (host, path) = split_url(&self.url)?;
        if self.opening_at_once == 0 {
            return settings("opening_at_once must be at least 1");
        }
        Ok(Target {
            address: resolve(host)?,
            host: host.into(),
            path: self.path.clone().unwrap_or_else(|| path.into()),
            dialect,
            message_bytes,
            opening_at_once: self.opening_at_once,
            timeout_ns: nanoseconds("connect_timeout_seconds", self.connect_timeout_seconds)?,
            server_pid,
            run: run_name(),
        })
    }
}

fn check_rate(rate: f64) -> Result<f64> {
    if !(rate > 0.0 && rate <= MOST_PER_SECOND) {
        return settings("a rate must be above 0, and at most 1e8");
    }
    Ok(rate)
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
    if !(0.0..=MOST_SECONDS).contains(&seconds) {
        return settings(format!("{name} must be 0 to {MOST_SECONDS}"));
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

    fn parsed(text: &str) -> Settings {
        Settings::parse(text, "test.toml").unwrap()
    }

    fn refusal(text: &str) -> String {
        match Settings::parse(text, "test.toml") {
            Ok(settings) => settings.plan(Pace::InAll).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_that_says_nothing_else_has_the_defaults_of_the_command_line() {
        let settings = parsed("[scenario.echo]");
        assert!(matches!(settings.scenario, ScenarioArgs::Echo(EchoArgs { connections: 100 })));
        assert_eq!(settings.message_bytes().unwrap(), 256);
        assert_eq!(settings.plan(Pace::InAll).unwrap(), Plan::simple(SECOND_NS, 5 * SECOND_NS, Pace::InAll(1)));
    }

    #[test]
    fn phases_have_the_load_of_the_run_unless_they_say_otherwise() {
        let text = r#"
            [scenario.fanout]
            [load]
            rate = 1000
            warmup_seconds = 2
            [[phases]]
            name = "ramp"
            seconds = 3
            rate_from = 500
            rate = 2000
            thresholds = ["p99_us < 500"]
            [[phases]]
            name = "level"
            seconds = 1
            [[phases]]
            name = "closed"
            seconds = 1
            in_flight = 4
        "#;
        let settings = parsed(text);
        let plan = settings.plan(Pace::InAll).unwrap();
        let rate = |from, to| Pace::Scheduled(Ramp { from, to, most_under_way: 100_000 });
        let paces: Vec<Pace> = plan.0.iter().map(|phase| phase.pace).collect();
        assert_eq!(paces, [rate(500.0, 500.0), rate(500.0, 2000.0), rate(1000.0, 1000.0), Pace::InAll(4)]);
        assert_eq!((plan.0[0].is_measured, plan.measured_ns()), (false, 5 * SECOND_NS));
        assert_eq!(settings.phase_thresholds()[0].1.len(), 1);
        assert!(settings.plan_without_load().is_err());
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_line() {
        assert!(refusal("[scenario.echo]\nconections = 5").contains("line 2"));
        assert!(refusal("[scenario.ekho]").contains("expected one of `echo`"));
        assert!(refusal("thresholds = ['p99_us']\n[scenario.echo]").contains("line 1"));
        assert!(refusal("").contains("missing field `scenario`"));
    }

    #[test]
    fn the_files_in_the_repository_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3);
        for file in files {
            let settings = Settings::read(&file).unwrap();
            assert!(settings.plan(Pace::InAll).is_ok() && !settings.thresholds.is_empty(), "{}", file.display());
        }
    }

    #[test]
    fn a_load_that_makes_no_sense_is_refused() {
        for load in [
            "rate = 5\nin_flight = 1",
            "rate = 0",
            "rate = -1",
            "rate = nan",
            "in_flight = 0",
            "seconds = -1",
            "seconds = 0",
        ] {
            refusal(&format!("[scenario.echo]\n[load]\n{load}"));
        }
        assert!(refusal("[scenario.echo]\n[[phases]]\nname='a'\nseconds=1\nrate_from=1").contains("needs a rate"));
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
