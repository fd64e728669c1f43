//! What stops the start, what is only warned about, and what beats what.

use super::common::http;
use super::common::json;
use super::common::process::{Finished, Process, run};
use super::common::status;
use super::common::tcp::Tcp;
use super::common::websocket::WebSocket;
use std::net::TcpListener;

/// The exit code of a wrong configuration.
const WRONG: i32 = 2;

/// Each wrong in its own way: no number, out of range, unknown unit, no path, no origin, not a switch.
const WRONG_VALUES: [(&str, &str); 8] = [
    ("WEBSOCKET_PORT", "65536"),
    ("WEBSOCKET_PATH", "ws"),
    ("WEBSOCKET_HEARTBEAT_INTERVAL", "99"),
    ("WEBSOCKET_MAX_CONNECTIONS", "0"),
    ("WEBSOCKET_MESSAGE_QUEUE_SIZE", "many"),
    ("HASHI_WORKERS", "-1"),
    ("HASHI_ALLOWED_ORIGINS", "*"),
    ("HASHI_QUEUE_BYTES", "1 parsec"),
];

#[track_caller]
fn expect_refused(finished: &Finished) {
    assert_eq!(finished.status.code(), Some(WRONG), "{finished:?}");
    assert_eq!(finished.out, "", "nothing but the error is said");
}

#[test]
fn one_message_lists_every_wrong_value() {
    for arguments in [&[][..], &["check"]] {
        let finished = run(arguments, &WRONG_VALUES);
        expect_refused(&finished);
        let mut lines = finished.err.lines();
        let head = lines.next().expect("a first line");
        assert!(head.starts_with("hashi: ") && head.contains("8 wrong values"), "{head}");
        let listed: Vec<&str> = lines.collect();
        assert_eq!(listed.len(), WRONG_VALUES.len(), "{listed:#?}");
        for (name, value) in WRONG_VALUES {
            let about: Vec<_> = listed.iter().filter(|line| line.trim().starts_with(&format!("{name}="))).collect();
            let [line] = about[..] else { panic!("{} lines about {name} in {listed:#?}", about.len()) };
            assert!(line.contains(value) && line.contains("must be"), "{line}");
        }
    }
}

#[test]
fn one_wrong_value_is_one_line_and_nothing_starts() {
    let finished = run(&[], &[("WEBSOCKET_PORT", "0"), ("HASHI_DRAIN_MS", "soon")]);
    expect_refused(&finished);
    assert!(finished.err.contains("HASHI_DRAIN_MS=\"soon\""), "{}", finished.err);
    assert!(!finished.err.contains("listening"), "{}", finished.err);
}

/// What is let in must fit into what holds it.
#[test]
fn relations_between_limits_are_checked() {
    let env = [("HASHI_MAX_MESSAGE_BYTES", "2MiB"), ("HASHI_QUEUE_BYTES", "1MiB")];
    let finished = run(&[], &env);
    expect_refused(&finished);
    assert!(finished.err.contains("HASHI_QUEUE_BYTES"), "{}", finished.err);
    assert!(finished.err.contains("HASHI_MAX_MESSAGE_BYTES"), "{}", finished.err);
}

#[test]
fn a_wrong_flag_is_named_as_a_flag() {
    let finished = run(&["--hashi-workers", "none"], &[("HASHI_DRAIN_MS", "soon")]);
    expect_refused(&finished);
    assert!(finished.err.contains("--hashi-workers"), "{}", finished.err);
    assert!(finished.err.contains("HASHI_DRAIN_MS"), "both are listed: {}", finished.err);
    let unknown = run(&["--websocket-prot", "1"], &[]);
    assert_eq!(unknown.status.code(), Some(WRONG), "{unknown:?}");
}

#[test]
fn unknown_names_are_warned_about_with_the_nearest() {
    let unknown = [("WEBSOCKET_PROT", "1"), ("HASHI_SLOWMS", "1"), ("HASHI_NOTHING_LIKE_IT_AT_ALL", "1")];
    let mut server = Process::start(&unknown);
    for (name, nearest) in [("WEBSOCKET_PROT ", "WEBSOCKET_PORT"), ("HASHI_SLOWMS ", "HASHI_SLOW_MS")] {
        let line = server.wait_for_log(name);
        assert!(line.contains("WARN") && line.contains(nearest), "{line}");
    }
    server.wait_for_log("HASHI_NOTHING_LIKE_IT_AT_ALL");
    server.expect_running();
}

#[test]
fn names_of_others_are_no_concern() {
    let server = Process::start(&[("PORT", "x"), ("NODE_ENV", "x"), ("MY_WEBSOCKET_PORT", "x")]);
    assert!(server.log().iter().all(|line| !line.contains("WARN")), "{:?}", server.log());
}

#[test]
fn a_flag_beats_the_environment() {
    let server = Process::start_with(
        &["--websocket-port", "0", "--websocket-path", "/from-flag"],
        &[("WEBSOCKET_PORT", "not even valid"), ("WEBSOCKET_PATH", "/from-environment")],
    );
    WebSocket::open(server.address, "/from-flag").close();
    let other = WebSocket::try_upgrade(Tcp::connect(server.address), server.address, "/from-environment", &[]);
    assert_eq!(other.err().map(|refused| refused.status), Some(404));
}

#[test]
fn a_port_in_use_gives_one_clear_message() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let finished = run(&[], &[("WEBSOCKET_PORT", &port), ("HASHI_HOST", "127.0.0.1")]);
    assert!(matches!(finished.status.code(), Some(code) if code != 0), "{finished:?}");
    let lines: Vec<&str> = finished.err.lines().collect();
    let [line] = lines[..] else { panic!("one line, not {lines:#?}") };
    assert!(line.contains(&port) && line.contains("in use") && line.contains("WEBSOCKET_PORT"), "{line}");
}

/// `localhost` is both loopback addresses, on one port.
#[test]
fn localhost_is_both_loopback_addresses() {
    let server = Process::start(&[]);
    let port = server.address.port();
    server.wait_for_log(&format!("listening on [::1]:{port}"));
    let v6 = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    assert_eq!(http::request(v6, "GET", "/healthz", &[], b"").status, 200);
    assert_eq!(http::request(server.address, "GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn development_mode_says_so_first() {
    let server = Process::start(&[]);
    let first = server.log().into_iter().next().expect("a line");
    assert!(first.contains("development mode") && first.contains("loopback"), "{first}");
    assert!(!json::boolean(&status::read(server.address), "insecureDevelopment"));
}

#[test]
fn other_addresses_are_refused_in_development_mode() {
    for host in ["0.0.0.0", "::", "192.0.2.1", "example.com"] {
        let finished = run(&[], &[("WEBSOCKET_PORT", "0"), ("HASHI_HOST", host)]);
        expect_refused(&finished);
        assert!(finished.err.contains("HASHI_HOST"), "{}", finished.err);
        assert!(finished.err.contains("HASHI_INSECURE_DEVELOPMENT"), "it says what would allow it: {}", finished.err);
        // Only checked: this test opens nothing beyond loopback.
        let allowed = run(&["check"], &[("HASHI_HOST", host), ("HASHI_INSECURE_DEVELOPMENT", "1")]);
        assert!(allowed.status.success(), "{allowed:?}");
    }
}

#[test]
fn insecure_development_is_warned_about() {
    let server = Process::start(&[("HASHI_INSECURE_DEVELOPMENT", "1")]);
    let line = server.wait_for_log("development mode");
    assert!(line.contains("WARN"), "{line}");
    assert!(json::boolean(&status::read(server.address), "insecureDevelopment"));
}
