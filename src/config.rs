//! What the server can be told before it starts.
//!
//! In: environment variables and flags, as pairs of texts. Out: a [`Config`] of plain numbers and texts, or one error
//! that lists everything that is wrong. [`table`] is the one place that knows the variables; reading, flags, help and
//! the documentation's table are made from it. Limits that nobody can change are in [`limits`].
//!
//! Not done here: resolving the host, counting the machine's cores, printing, logging.

pub mod ceiling;
pub mod error;
pub mod flags;
pub mod limits;
pub mod memory;
pub mod pages;
mod relations;
pub mod rules;
pub mod settings;
pub mod table;
pub mod variable;

pub use error::{ConfigError, Problem, Warning};
pub use memory::worst_case_memory;
pub use pages::{check_page, markdown_table};
pub use rules::is_loopback_host;
pub use settings::{Settings, Source};

use table::VARIABLES;

/// The effective configuration: every value is present and, when it came from [`Settings::load`], valid.
///
/// An embedder may fill it by hand and start from [`Config::default`]; [`Config::validate`] then says whether it holds.
/// The comment of each field names its variable; [`VARIABLES`] has the ranges and the meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `WEBSOCKET_PORT`; 0 lets the system choose.
    pub port: u16,
    /// `WEBSOCKET_PATH`.
    pub path: String,
    /// `WEBSOCKET_HEARTBEAT_INTERVAL`.
    pub heartbeat_interval_ms: u64,
    /// `WEBSOCKET_HEARTBEAT_TIMEOUT`.
    pub heartbeat_timeout_ms: u64,
    /// `WEBSOCKET_MAX_CONNECTIONS`.
    pub max_connections: u32,
    /// `WEBSOCKET_MESSAGE_QUEUE_SIZE`, per connection.
    pub queue_messages: u32,
    /// `HASHI_HISTORY_MESSAGES`, per session.
    pub history_messages: u32,
    /// `HASHI_HISTORY_BYTES`, per session.
    pub history_bytes: u32,
    /// `WEBSOCKET_MESSAGE_EXPIRY_TIME`.
    pub message_expiry_ms: u64,
    /// `HASHI_DEBOUNCE_MS`; 0 is off.
    pub debounce_ms: u64,
    /// `WEBSOCKET_MESSAGE_RETRY_ATTEMPTS`, per receiver of a reliable message.
    pub retry_attempts: u32,
    /// `HASHI_ACK_TIMEOUT_MS`, before the first retry.
    pub ack_timeout_ms: u64,
    /// `HASHI_DEDUP_IDS`, per user.
    pub dedup_ids: u32,
    /// `HASHI_WORKERS`, threads.
    pub workers: u32,
    /// `HASHI_SLOW_MS`.
    pub slow_ms: u64,
    /// `HASHI_MAX_FRAGMENTS`, per message.
    pub max_fragments: u32,
    /// `HASHI_ECHO_PATH`.
    pub echo_path: Option<String>,
    /// `HASHI_HOST`: `localhost`, an address, or a name still to be resolved.
    pub host: String,
    /// `HASHI_AUTH_DEADLINE_MS`.
    pub auth_deadline_ms: u64,
    /// `HASHI_MAX_MESSAGE_BYTES`, from a user.
    pub max_message_bytes: u32,
    /// `HASHI_MAX_SERVICE_MESSAGE_BYTES`, from a service.
    pub max_service_message_bytes: u32,
    /// `HASHI_QUEUE_BYTES`, per connection.
    pub queue_bytes: u32,
    /// `HASHI_SESSIONS`.
    pub sessions: u32,
    /// `HASHI_SESSIONS_PER_CONNECTION`.
    pub sessions_per_connection: u32,
    /// `HASHI_BUSY_POLL_US`.
    pub busy_poll_us: u64,
    /// `HASHI_DRAIN_MS`.
    pub drain_ms: u64,
    /// `HASHI_ALLOWED_ORIGINS`: lower case, without a scheme's default port. Empty: the same origin only.
    pub allowed_origins: Vec<String>,
    /// `HASHI_INSECURE_DEVELOPMENT`.
    pub insecure_development: bool,
    /// `HASHI_HANDLER_TIMEOUT_MS`.
    pub handler_timeout_ms: u64,
    /// `HASHI_MEMORY_BYTES`, whole process.
    pub memory_bytes: u64,
}

impl Default for Config {
    /// The table's defaults, with the fewest workers. [`Config::for_cores`] asks for more on a larger machine.
    fn default() -> Config {
        Config::for_cores(1)
    }
}

impl Config {
    /// The table's defaults on a machine of that many cores.
    pub fn for_cores(cores: u32) -> Config {
        let mut config = Config::blank();
        for variable in &VARIABLES {
            variable.reset(&mut config, cores);
        }
        config
    }

    /// Reads the process environment, without flags.
    ///
    /// # Errors
    /// Every wrong variable, in one error.
    pub fn from_env(cores: u32) -> Result<(Config, Vec<Warning>), ConfigError> {
        Settings::from_env(cores, []).load()
    }

    /// Checks a configuration that was filled by hand: ranges, forms and relations.
    ///
    /// # Errors
    /// Every wrong value, in one error.
    pub fn validate(&self, development: bool) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        for variable in &VARIABLES {
            if let Err(allowed) = variable.check(self) {
                problems.push(Problem::new(variable.name, variable.show(self), allowed));
            }
        }
        relations::check(self, development, |_| true, &mut problems);
        ConfigError::unless_empty(problems)
    }

    /// Nothing yet: [`Config::for_cores`] fills it from the table.
    fn blank() -> Config {
        Config {
            port: 0,
            path: String::new(),
            heartbeat_interval_ms: 0,
            heartbeat_timeout_ms: 0,
            max_connections: 0,
            queue_messages: 0,
            history_messages: 0,
            history_bytes: 0,
            message_expiry_ms: 0,
            debounce_ms: 0,
            retry_attempts: 0,
            ack_timeout_ms: 0,
            dedup_ids: 0,
            workers: 0,
            slow_ms: 0,
            max_fragments: 0,
            echo_path: None,
            host: String::new(),
            auth_deadline_ms: 0,
            max_message_bytes: 0,
            max_service_message_bytes: 0,
            queue_bytes: 0,
            sessions: 0,
            sessions_per_connection: 0,
            busy_poll_us: 0,
            drain_ms: 0,
            allowed_origins: Vec::new(),
            insecure_development: false,
            handler_timeout_ms: 0,
            memory_bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_design() {
        let expected = Config {
            port: 3001,
            path: "/ws".to_owned(),
            heartbeat_interval_ms: 30_000,
            heartbeat_timeout_ms: 10_000,
            max_connections: 100,
            queue_messages: 50,
            history_messages: 256,
            history_bytes: 1 << 20,
            message_expiry_ms: 60_000,
            debounce_ms: 50,
            retry_attempts: 3,
            ack_timeout_ms: 2_000,
            dedup_ids: 1024,
            workers: 4,
            slow_ms: 15_000,
            max_fragments: 1024,
            echo_path: None,
            host: "localhost".to_owned(),
            auth_deadline_ms: 10_000,
            max_message_bytes: 65_536,
            max_service_message_bytes: 1 << 20,
            queue_bytes: 1 << 20,
            sessions: 100_000,
            sessions_per_connection: 16,
            busy_poll_us: 0,
            drain_ms: 5_000,
            allowed_origins: Vec::new(),
            insecure_development: false,
            handler_timeout_ms: 30_000,
            memory_bytes: 256 << 20,
        };
        assert_eq!(Config::default(), expected);
        assert_eq!(expected.validate(true), Ok(()));
    }

    #[test]
    fn workers_follow_the_cores() {
        assert_eq!(Config::for_cores(1).workers, 4);
        assert_eq!(Config::for_cores(16).workers, 16);
        assert_eq!(Config::for_cores(100_000).workers, 1024);
    }

    #[test]
    fn a_configuration_filled_by_hand_is_checked() {
        let config = Config {
            path: "ws".to_owned(),
            max_connections: 0,
            queue_bytes: 1000,
            host: String::new(),
            allowed_origins: vec!["*".to_owned()],
            ..Config::default()
        };
        let error = config.validate(true).expect_err("five wrong values").to_string();
        for name in
            ["WEBSOCKET_PATH", "WEBSOCKET_MAX_CONNECTIONS", "HASHI_QUEUE_BYTES", "HASHI_HOST", "HASHI_ALLOWED_ORIGINS"]
        {
            assert!(error.contains(&format!("\n  {name}=")), "{name} in {error}");
        }
    }

    #[test]
    fn a_value_filled_by_hand_must_have_the_form_that_reading_gives() {
        let refused = |config: Config| config.validate(true).expect_err("another form").to_string();
        let upper = Config { allowed_origins: vec!["https://A:443".to_owned()], ..Config::default() };
        assert!(refused(upper).contains("must be in the form \"https://a\""));
        let two = Config { allowed_origins: vec!["https://a,https://b".to_owned()], ..Config::default() };
        assert!(refused(two).contains("HASHI_ALLOWED_ORIGINS"));
        let empty = Config { echo_path: Some(String::new()), ..Config::default() };
        assert!(refused(empty).contains("HASHI_ECHO_PATH"));
    }
}
