//! Status, health and readiness.

use super::common::client::Client;
use super::common::http;
use super::common::json;
use super::common::policy::Strict;
use super::common::server::TestServer;
use super::common::status;
use super::{get, members_of, server};
use simd_json::prelude::*;

#[track_caller]
fn page(server: &TestServer, target: &str) -> http::Response {
    http::request(server.address, "GET", target, &[], b"")
}

#[test]
fn health_and_readiness_need_no_token() {
    let server = server();
    for target in ["/healthz", "/readyz"] {
        let response = page(&server, target);
        assert_eq!(response.status, 200, "{target}");
        assert!(response.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{target}");
        assert!(!response.body.is_empty(), "{target}");
    }
}

#[test]
fn the_root_names_the_routes() {
    let server = server();
    let response = page(&server, "/");
    assert_eq!(response.status, 200);
    let text = String::from_utf8(response.body).expect("text");
    for route in ["/ws", "/ws-api/status", "/ws-api/send", "/ws-api/broadcast", "/healthz", "/readyz", "/metrics"] {
        assert!(text.contains(route), "{route} in {text}");
    }
}

#[test]
fn the_status_shows_everything_in_development() {
    let server = TestServer::spawn_process(&[("WEBSOCKET_MAX_CONNECTIONS", "77")]);
    for response in [
        page(&server, "/ws-api/status"),
        get(&server, "user-1", "/ws-api/status"),
        get(&server, "service:x", "/ws-api/status"),
    ] {
        assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
        let status = response.json();
        assert!(json::is(&status, "status", "ok"), "{}", status.encode());
        assert!(json::boolean(&status, "accepting"), "{}", status.encode());
        assert!(!json::string(&status, "version").is_empty());
        assert!(json::number(&status, "uptimeMs") < 60_000);
        assert_eq!(json::number(&status, "connections.max"), 77);
        for member in ["connections", "queues", "counters", "latency", "tick"] {
            assert!(
                json::find(&status, member).is_some_and(|found| found.is_object()),
                "{member}: {}",
                status.encode()
            );
        }
    }
}

/// Outside development mode only a service sees more than whether the server works.
#[test]
fn the_status_is_short_for_others_than_services() {
    let server = Strict::default().serve();
    for response in [
        page(&server, "/ws-api/status"),
        get(&server, "user-1", "/ws-api/status"),
        get(&server, "bad", "/ws-api/status"),
    ] {
        assert_eq!(response.status, 200);
        let status = response.json();
        assert_eq!(members_of(&status), ["accepting", "status", "version"]);
        assert!(json::is(&status, "status", "ok") && json::boolean(&status, "accepting"), "{}", status.encode());
    }
    let whole = get(&server, "service:worker", "/ws-api/status").json();
    assert_eq!(json::number(&whole, "connections.websocket"), 0);
}

/// The figures follow what happens.
#[test]
fn the_status_counts() {
    let server = server();
    let before = status::read(server.address);
    let mut client = Client::connect(server.address, "user-1", "s1");
    client.join("s2");
    for index in 0..10 {
        client.round_trip(&format!("m{index}"));
    }
    client.expect_error("nonsense", "bad_message");
    let after = status::read(server.address);
    let grown = |path: &str| json::number(&after, path) - json::number(&before, path);
    for (path, by) in [
        ("connections.websocket", 1),
        ("connections.authenticated", 1),
        ("sessions", 3),
        ("memberships", 3),
        ("counters.upgrades", 1),
        ("counters.authenticated", 1),
        ("counters.published", 10),
        ("counters.messagesIn", 13),
        ("errors.bad_message", 1),
    ] {
        assert_eq!(grown(path), by, "{path} of {}", after.encode());
    }
    assert!(grown("counters.bytesIn") > 500 && grown("counters.bytesOut") > 500, "{}", after.encode());
    assert!(json::number(&after, "latency.count") >= 10, "{}", after.encode());
    assert!(json::number(&after, "tick.count") > 0, "{}", after.encode());
    for name in ["p50Us", "p90Us", "p99Us", "p999Us", "maxUs"] {
        let value = after["latency"][name].as_f64().unwrap_or_else(|| panic!("{name} in {}", after.encode()));
        assert!(value > 0.0 && value < 10_000_000.0, "{name} is {value}");
    }
    client.ws.close();
}

/// One tick in 16 is measured by stage.
#[test]
fn the_status_shows_the_stages_of_a_tick() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    for index in 0..64 {
        client.round_trip(&format!("m{index}"));
    }
    let status = status::read(server.address);
    let ticks = json::number(&status, "tick.count");
    for stage in ["accept", "read", "complete", "expire", "drain", "reap"] {
        let measured = json::number(&status, &format!("tick.stages.{stage}.count"));
        assert!((4..=ticks / 16 + 1).contains(&measured), "{stage}: {measured} of {ticks} ticks");
        let times = &status["tick"]["stages"][stage];
        let [median_us, longest_us] = ["p50Us", "maxUs"].map(|name| times[name].as_f64().expect("a figure"));
        assert!(0.0 < median_us && median_us <= longest_us, "{stage}: {}", times.encode());
    }
    client.ws.close();
}

#[test]
fn the_status_is_never_cached() {
    let server = server();
    for target in ["/ws-api/status", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(page(&server, target).header("cache-control"), Some("no-store"), "{target}");
    }
}

#[test]
fn answers_have_a_date() {
    let server = server();
    for target in ["/healthz", "/ws-api/status", "/unknown"] {
        let response = page(&server, target);
        let date = response.header("date").unwrap_or_default();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{target}: {date:?} is no date of RFC 9110, 5.6.7");
    }
}

#[test]
fn a_query_changes_nothing() {
    let server = server();
    for target in ["/healthz?", "/healthz?x=1", "/ws-api/status?verbose=1&token=x", "/readyz?a=/b"] {
        assert_eq!(page(&server, target).status, 200, "{target}");
    }
}
