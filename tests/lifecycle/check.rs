//! `hashi check` and `hashi --help`.

use super::common::process::run;
use hashi::config::table::VARIABLES;

/// The variables of DESIGN.md, section 5, that act already.
const DESIGNED: [&str; 21] = [
    "WEBSOCKET_PORT",
    "WEBSOCKET_PATH",
    "WEBSOCKET_HEARTBEAT_INTERVAL",
    "WEBSOCKET_HEARTBEAT_TIMEOUT",
    "WEBSOCKET_MAX_CONNECTIONS",
    "WEBSOCKET_MESSAGE_QUEUE_SIZE",
    "WEBSOCKET_MESSAGE_EXPIRY_TIME",
    "HASHI_WORKERS",
    "HASHI_SLOW_MS",
    "HASHI_MAX_FRAGMENTS",
    "HASHI_ECHO_PATH",
    "HASHI_HOST",
    "HASHI_AUTH_DEADLINE_MS",
    "HASHI_MAX_MESSAGE_BYTES",
    "HASHI_MAX_SERVICE_MESSAGE_BYTES",
    "HASHI_QUEUE_BYTES",
    "HASHI_SESSIONS",
    "HASHI_SESSIONS_PER_CONNECTION",
    "HASHI_DRAIN_MS",
    "HASHI_ALLOWED_ORIGINS",
    "HASHI_INSECURE_DEVELOPMENT",
];

/// The numbers of DESIGN.md, section 5.
const DEFAULTS: [(&str, &str); 16] = [
    ("WEBSOCKET_PORT", "3001"),
    ("WEBSOCKET_PATH", "/ws"),
    ("WEBSOCKET_HEARTBEAT_INTERVAL", "30000"),
    ("WEBSOCKET_HEARTBEAT_TIMEOUT", "10000"),
    ("WEBSOCKET_MAX_CONNECTIONS", "100"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "50"),
    ("WEBSOCKET_MESSAGE_EXPIRY_TIME", "60000"),
    ("HASHI_SLOW_MS", "15000"),
    ("HASHI_MAX_FRAGMENTS", "1024"),
    ("HASHI_HOST", "localhost"),
    ("HASHI_AUTH_DEADLINE_MS", "10000"),
    ("HASHI_MAX_MESSAGE_BYTES", "65536"),
    ("HASHI_QUEUE_BYTES", "1048576"),
    ("HASHI_SESSIONS", "100000"),
    ("HASHI_SESSIONS_PER_CONNECTION", "16"),
    ("HASHI_DRAIN_MS", "5000"),
];

/// The words of the page's line about a variable, its name first.
#[track_caller]
fn words_about<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let about = |line: &&str| line.split_whitespace().next() == Some(name);
    let line = page.lines().find(about).unwrap_or_else(|| panic!("no line about {name} in\n{page}"));
    line.split_whitespace().collect()
}

#[test]
fn the_help_names_every_variable_and_its_flag() {
    let finished = run(&["--help"], &[]);
    assert!(finished.status.success() && finished.err.is_empty(), "{finished:?}");
    for name in DESIGNED.into_iter().chain(VARIABLES.iter().map(|variable| variable.name)) {
        assert!(finished.out.contains(&format!("[{name};")), "{name} in\n{}", finished.out);
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(finished.out.contains(&flag), "{flag} in\n{}", finished.out);
    }
    assert!(finished.out.contains("check"));
}

#[test]
fn check_prints_the_defaults() {
    let finished = run(&["check"], &[]);
    assert!(finished.status.success() && finished.err.is_empty(), "{finished:?}");
    for (name, value) in DEFAULTS {
        assert_eq!(words_about(&finished.out, name)[1], value, "{name}");
    }
    for name in DESIGNED {
        words_about(&finished.out, name);
    }
}

#[test]
fn check_prints_what_is_in_effect_and_where_it_comes_from() {
    let env = [("WEBSOCKET_PORT", "4000"), ("HASHI_SLOW_MS", "2500"), ("WEBSOCKET_PATH", "")];
    let finished = run(&["check", "--websocket-port", "4001"], &env);
    assert!(finished.status.success(), "{finished:?}");
    let port = words_about(&finished.out, "WEBSOCKET_PORT");
    assert_eq!(port[1], "4001", "the flag wins");
    assert!(port.contains(&"flag"), "{port:?}");
    let slow = words_about(&finished.out, "HASHI_SLOW_MS");
    assert_eq!(slow[1], "2500");
    assert!(slow.contains(&"set"), "{slow:?}");
    assert_eq!(words_about(&finished.out, "WEBSOCKET_PATH")[1], "/ws", "empty is not set");
}

#[test]
fn check_warns_about_unknown_names() {
    let finished = run(&["check"], &[("WEBSOCKET_MAX_CONNECTION", "7")]);
    assert!(finished.status.success(), "{finished:?}");
    assert!(finished.err.contains("WEBSOCKET_MAX_CONNECTIONS"), "{}", finished.err);
    assert_eq!(words_about(&finished.out, "WEBSOCKET_MAX_CONNECTIONS")[1], "100");
}

/// The lines of the memory at worst: bytes and what they are for. The last one is the sum.
#[track_caller]
fn memory_at_worst(env: &[(&str, &str)]) -> Vec<u64> {
    let finished = run(&["check"], env);
    assert!(finished.status.success(), "{finished:?}");
    let lines = finished.out.lines().skip_while(|line| !line.starts_with("Memory at worst")).skip(1);
    lines.map_while(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn check_adds_up_the_memory_at_worst() {
    let lines = memory_at_worst(&[]);
    let (total, parts) = lines.split_last().expect("lines of memory");
    assert!(parts.len() > 3, "{lines:?}");
    assert_eq!(parts.iter().sum::<u64>(), *total);
    // The default holds 256 MiB of messages alone, and stays under three quarters of a gigabyte in all.
    assert!((256 << 20..768 << 20).contains(total), "{total}");
}

#[test]
fn what_is_allowed_to_grow_grows_the_memory_at_worst() {
    let total = |env: &[(&str, &str)]| *memory_at_worst(env).last().expect("a sum");
    let default = total(&[]);
    for (name, value) in [
        ("WEBSOCKET_MAX_CONNECTIONS", "100000"),
        ("HASHI_SESSIONS", "1000000"),
        ("HASHI_MEMORY_BYTES", "1GiB"),
        ("HASHI_WORKERS", "500"),
        ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "100000"),
        ("HASHI_MAX_MESSAGE_BYTES", "4MiB"),
    ] {
        assert!(total(&[(name, value)]) > default, "{name}={value} costs nothing");
    }
}
