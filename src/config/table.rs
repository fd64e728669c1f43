//! The table of variables. Everything that is said about one of them anywhere is made from its row here.
//!
//! To add a variable: a field in [`Config`](super::Config), a row here. A variable is added when it acts, not before.

use std::ops::RangeInclusive;

use super::variable::{Group, Initial, Kind, NumberField, Unit, Variable};

/// The fewest workers by default, so that a few slow handlers do not stop the others on a small machine.
const LEAST_WORKERS: u64 = 4;

/// Times have this range: long enough for a timer to mean something, at most a day.
const TIME_MS: RangeInclusive<u64> = 100..=86_400_000;

/// No message is larger than this. The reader's and the parser's buffers grow with it.
const MESSAGE_BYTES: RangeInclusive<u64> = 256..=64 << 20;

/// The place of a variable in the table.
pub(super) fn position_of(name: &str) -> Option<usize> {
    VARIABLES.iter().position(|variable| variable.name == name)
}

/// The variable of that name.
pub fn find(name: &str) -> Option<&'static Variable> {
    position_of(name).map(|position| &VARIABLES[position])
}

/// Every variable, by group.
pub static VARIABLES: [Variable; 30] = [
    Variable {
        name: "WEBSOCKET_PORT",
        group: Group::Listening,
        kind: Kind::Number(Unit::Name, 0..=65_535, NumberField::U16(|config| &mut config.port)),
        initial: Initial::Number(3001),
        help: "Port for WebSocket and REST. 0 takes a free one, which the log names.",
    },
    Variable {
        name: "WEBSOCKET_PATH",
        group: Group::Listening,
        kind: Kind::Path(|config| &mut config.path),
        initial: Initial::Text("/ws"),
        help: "Path of the WebSocket upgrade.",
    },
    Variable {
        name: "HASHI_HOST",
        group: Group::Listening,
        kind: Kind::Host(|config| &mut config.host),
        initial: Initial::Text("localhost"),
        help: "Host or address to listen on; localhost is both 127.0.0.1 and ::1. In development mode only a loopback \
               one is allowed.",
    },
    Variable {
        name: "HASHI_ECHO_PATH",
        group: Group::Listening,
        kind: Kind::OptionalPath(|config| &mut config.echo_path),
        initial: Initial::Nothing("unset"),
        help: "Path of a WebSocket that sends every message back, for conformance tests. Unset: there is none.",
    },
    Variable {
        name: "HASHI_ALLOWED_ORIGINS",
        group: Group::Access,
        kind: Kind::Origins(|config| &mut config.allowed_origins),
        initial: Initial::Nothing("same origin"),
        help: "Origins, separated by commas, whose pages may connect besides those of the same origin.",
    },
    Variable {
        name: "HASHI_INSECURE_DEVELOPMENT",
        group: Group::Access,
        kind: Kind::Switch(|config| &mut config.insecure_development),
        initial: Initial::Nothing("unset"),
        help: "Lets development mode, where a token is just a user id, listen beyond loopback. For a container on a \
               laptop, never for a network that others reach.",
    },
    Variable {
        name: "HASHI_AUTH_DEADLINE_MS",
        group: Group::Access,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.auth_deadline_ms)),
        initial: Initial::Number(10_000),
        help: "How long a new connection may take to authenticate.",
    },
    Variable {
        name: "WEBSOCKET_MAX_CONNECTIONS",
        group: Group::Connections,
        kind: Kind::Number(Unit::Count, 1..=1_000_000, NumberField::U32(|config| &mut config.max_connections)),
        initial: Initial::Number(100),
        help: "Most WebSocket connections at a time. Further sockets stay free for short HTTP requests.",
    },
    Variable {
        name: "WEBSOCKET_HEARTBEAT_INTERVAL",
        group: Group::Connections,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.heartbeat_interval_ms)),
        initial: Initial::Number(30_000),
        help: "Every connection is sent a ping this often.",
    },
    Variable {
        name: "WEBSOCKET_HEARTBEAT_TIMEOUT",
        group: Group::Connections,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.heartbeat_timeout_ms)),
        initial: Initial::Number(10_000),
        help: "A connection that sends nothing for so long after a ping is closed.",
    },
    Variable {
        name: "HASHI_SLOW_MS",
        group: Group::Connections,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.slow_ms)),
        initial: Initial::Number(15_000),
        help: "A connection that takes no byte of its queue for so long is closed.",
    },
    Variable {
        name: "HASHI_MAX_MESSAGE_BYTES",
        group: Group::Messages,
        kind: Kind::Number(Unit::Bytes, MESSAGE_BYTES, NumberField::U32(|config| &mut config.max_message_bytes)),
        initial: Initial::Number(64 << 10),
        help: "Largest message of a user. Unset: 64 KiB, or less where a limit below that is set for services, queues \
               or memory.",
    },
    Variable {
        name: "HASHI_MAX_SERVICE_MESSAGE_BYTES",
        group: Group::Messages,
        kind: Kind::Number(
            Unit::Bytes,
            MESSAGE_BYTES,
            NumberField::U32(|config| &mut config.max_service_message_bytes),
        ),
        initial: Initial::Number(1 << 20),
        help: "Largest message of a service; not below HASHI_MAX_MESSAGE_BYTES. Unset: max(1 MiB, \
               HASHI_MAX_MESSAGE_BYTES), or less where queues or memory are set lower.",
    },
    Variable {
        name: "HASHI_MAX_FRAGMENTS",
        group: Group::Messages,
        kind: Kind::Number(Unit::Count, 1..=1_000_000, NumberField::U32(|config| &mut config.max_fragments)),
        initial: Initial::Number(1024),
        help: "Most frames that one message may come in.",
    },
    Variable {
        name: "WEBSOCKET_MESSAGE_QUEUE_SIZE",
        group: Group::Messages,
        kind: Kind::Number(Unit::Count, 1..=1_000_000, NumberField::U32(|config| &mut config.queue_messages)),
        initial: Initial::Number(50),
        help: "Most messages that wait for one connection.",
    },
    Variable {
        name: "HASHI_QUEUE_BYTES",
        group: Group::Messages,
        kind: Kind::Number(Unit::Bytes, 256..=1 << 30, NumberField::U32(|config| &mut config.queue_bytes)),
        initial: Initial::Number(1 << 20),
        help: "Most bytes that wait for one connection; not below HASHI_MAX_SERVICE_MESSAGE_BYTES. Unset: max(1 MiB, \
               HASHI_MAX_SERVICE_MESSAGE_BYTES), or less where memory is set lower.",
    },
    Variable {
        name: "HASHI_HISTORY_MESSAGES",
        group: Group::Messages,
        kind: Kind::Number(Unit::Count, 1..=1_000_000, NumberField::U32(|config| &mut config.history_messages)),
        initial: Initial::Number(256),
        help: "Most messages that one session keeps for clients that missed some.",
    },
    Variable {
        name: "HASHI_HISTORY_BYTES",
        group: Group::Messages,
        kind: Kind::Number(Unit::Bytes, 256..=1 << 30, NumberField::U32(|config| &mut config.history_bytes)),
        initial: Initial::Number(1 << 20),
        help: "Most bytes of these messages; not below HASHI_QUEUE_BYTES. All sessions together stay within \
               HASHI_MEMORY_BYTES: what is oldest gives way. Unset: max(1 MiB, HASHI_QUEUE_BYTES), or less where memory \
               is set lower.",
    },
    Variable {
        name: "WEBSOCKET_MESSAGE_EXPIRY_TIME",
        group: Group::Messages,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.message_expiry_ms)),
        initial: Initial::Number(60_000),
        help: "How long a session keeps a message for clients that missed it, and how long a session without members \
               lives.",
    },
    Variable {
        name: "HASHI_DEBOUNCE_MS",
        group: Group::Messages,
        kind: Kind::Number(Unit::Ms, 0..=60_000, NumberField::U64(|config| &mut config.debounce_ms)),
        initial: Initial::Number(50),
        help: "operation_progress and selection_update are published at most this often for each session, type and key, always \
               ending with the latest. 0 is off.",
    },
    Variable {
        name: "WEBSOCKET_MESSAGE_RETRY_ATTEMPTS",
        group: Group::Messages,
        kind: Kind::Number(Unit::Count, 0..=20, NumberField::U32(|config| &mut config.retry_attempts)),
        initial: Initial::Number(3),
        help: "How often a reliable message is sent again to a client that confirms messages and has not confirmed it.",
    },
    Variable {
        name: "HASHI_ACK_TIMEOUT_MS",
        group: Group::Messages,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.ack_timeout_ms)),
        initial: Initial::Number(2_000),
        help: "How long such a client has to confirm a message before it is sent again; twice as long before each further \
               time.",
    },
    Variable {
        name: "HASHI_DEDUP_IDS",
        group: Group::Messages,
        kind: Kind::Number(Unit::Count, 1..=100_000, NumberField::U32(|config| &mut config.dedup_ids)),
        initial: Initial::Number(1024),
        help: "Newest ids of each user that are remembered for WEBSOCKET_MESSAGE_EXPIRY_TIME, so that a message that is sent \
               again is handled once.",
    },
    Variable {
        name: "HASHI_SESSIONS",
        group: Group::Sessions,
        kind: Kind::Number(Unit::Count, 1..=10_000_000, NumberField::U32(|config| &mut config.sessions)),
        initial: Initial::Number(100_000),
        help: "Most sessions at a time, the users' personal ones included.",
    },
    Variable {
        name: "HASHI_SESSIONS_PER_CONNECTION",
        group: Group::Sessions,
        kind: Kind::Number(Unit::Count, 1..=10_000, NumberField::U32(|config| &mut config.sessions_per_connection)),
        initial: Initial::Number(16),
        help: "Most sessions that one connection may be in.",
    },
    Variable {
        name: "HASHI_WORKERS",
        group: Group::Handlers,
        kind: Kind::Number(Unit::Count, 1..=1024, NumberField::U32(|config| &mut config.workers)),
        initial: Initial::Cores(LEAST_WORKERS),
        help: "Threads that run handlers.",
    },
    Variable {
        name: "HASHI_HANDLER_TIMEOUT_MS",
        group: Group::Handlers,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.handler_timeout_ms)),
        initial: Initial::Number(30_000),
        help: "A handler that runs longer is given up and its worker replaced.",
    },
    Variable {
        name: "HASHI_MEMORY_BYTES",
        group: Group::Process,
        kind: Kind::Number(Unit::Bytes, 64 << 10..=1 << 40, NumberField::U64(|config| &mut config.memory_bytes)),
        initial: Initial::Number(256 << 20),
        help: "Most bytes of stored messages and unfinished input; beyond it the answer is \"overloaded\". Not below \
               HASHI_HISTORY_BYTES. Unset: max(256 MiB, 4 x HASHI_HISTORY_BYTES).",
    },
    Variable {
        name: "HASHI_BUSY_POLL_US",
        group: Group::Process,
        kind: Kind::Number(Unit::Us, 0..=1_000_000, NumberField::U64(|config| &mut config.busy_poll_us)),
        initial: Initial::Number(0),
        help: "The loop looks for events without sleeping for so long before it sleeps. It saves the time of waking up, \
               for a processor that is then busy; only for a server that has one to itself.",
    },
    Variable {
        name: "HASHI_DRAIN_MS",
        group: Group::Process,
        kind: Kind::Number(Unit::Ms, TIME_MS, NumberField::U64(|config| &mut config.drain_ms)),
        initial: Initial::Number(5_000),
        help: "On the first SIGTERM or SIGINT, connections are told to leave over this time. A second signal exits at \
               once.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn every_default_is_allowed_and_every_row_can_be_reset() {
        let config = Config::default();
        for variable in &VARIABLES {
            assert_eq!(variable.check(&config), Ok(()), "{}", variable.name);
            let mut copy = config.clone();
            variable.reset(&mut copy, 1);
            assert_eq!(copy, config, "{}", variable.name);
        }
    }

    #[test]
    fn both_ends_of_every_range_fit_their_field_and_one_beyond_is_refused() {
        let mut config = Config::default();
        for variable in &VARIABLES {
            let Kind::Number(_, range, _) = &variable.kind else {
                continue;
            };
            for number in [*range.start(), *range.end()] {
                assert_eq!(variable.read(&mut config, &number.to_string()), Ok(()), "{}", variable.name);
                assert_eq!(variable.show(&config), number.to_string());
            }
            let before = config.clone();
            for number in [range.start().checked_sub(1), range.end().checked_add(1)].into_iter().flatten() {
                assert!(variable.read(&mut config, &number.to_string()).is_err(), "{}", variable.name);
            }
            assert_eq!(config, before);
        }
    }

    #[test]
    fn each_variable_has_its_own_field() {
        for variable in &VARIABLES {
            let mut config = Config::default();
            let text = match &variable.kind {
                Kind::Number(_, range, _) => range.end().to_string(),
                Kind::Path(_) | Kind::OptionalPath(_) => "/other".to_owned(),
                Kind::Host(_) => "other".to_owned(),
                Kind::Origins(_) => "https://other".to_owned(),
                Kind::Switch(_) => "1".to_owned(),
            };
            variable.read(&mut config, &text).expect(variable.name);
            let differs = |other: &&Variable| other.show(&config) != other.show(&Config::default());
            let changed: Vec<_> = VARIABLES.iter().filter(differs).map(|other| other.name).collect();
            assert_eq!(changed, [variable.name]);
        }
    }

    #[test]
    fn names_are_ours_and_unique_and_groups_stay_together() {
        for (position, variable) in VARIABLES.iter().enumerate() {
            assert!(variable.name.starts_with("WEBSOCKET_") || variable.name.starts_with("HASHI_"));
            assert_eq!(position_of(variable.name), Some(position));
            assert!(variable.help.ends_with('.') && !variable.help.contains("  "), "{}", variable.name);
        }
        let mut groups: Vec<_> = VARIABLES.iter().map(|variable| variable.group).collect();
        groups.dedup();
        assert_eq!(groups.len(), 7);
    }

    #[test]
    fn values_are_described_with_their_unit() {
        let config = Config::default();
        let describe = |name| find(name).expect(name).describe(&config);
        assert_eq!(describe("WEBSOCKET_PORT"), "3001");
        assert_eq!(describe("HASHI_SLOW_MS"), "15000 ms");
        assert_eq!(describe("HASHI_MEMORY_BYTES"), "268435456 (256 MiB)");
        assert_eq!(describe("HASHI_ALLOWED_ORIGINS"), "(same origin)");
        assert_eq!(find("HASHI_WORKERS").expect("known").default_text(), "max(4, cores)");
        assert_eq!(find("HASHI_ECHO_PATH").expect("known").flag(), "hashi-echo-path");
    }
}
