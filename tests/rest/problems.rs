//! Problem documents (RFC 9457): every refusal has the same form.

use super::common::http::{self, Response};
use super::common::json;
use super::{NOTIFY, SEND, members_of, post, server};
use simd_json::prelude::*;

const MESSAGE: &str = r#"{"id":"m1","type":"custom","sessionId":"s1","payload":{}}"#;

/// Checks the members of a problem beside those of every one.
#[track_caller]
fn assert_problem(response: &Response, status: u16, code: &str, more: &[&str]) {
    let problem = response.expect_problem(status);
    let shown = problem.encode();
    let mut expected = ["code", "detail", "message", "status", "temporary", "title", "type"].to_vec();
    expected.extend(more);
    expected.sort_unstable();
    assert_eq!(members_of(&problem), expected, "{shown}");
    assert!(json::is(&problem, "code", code), "{code}, not {shown}");
    assert!(json::is(&problem, "type", "about:blank"), "{shown}");
    assert!(!json::string(&problem, "title").is_empty(), "{shown}");
}

#[test]
fn each_status_has_its_code_and_members() {
    let server = server();
    let no_field = r#"{"id":"m1","type":"custom","sessionId":"s1"}"#;
    let deep =
        format!(r#"{{"id":"m1","type":"custom","sessionId":"s1","payload":{}}}"#, "[".repeat(40) + &"]".repeat(40));
    let json = ("Content-Type", "application/json");
    assert_problem(&post(&server, "user-1", SEND, "{"), 400, "bad_message", &["offset"]);
    assert_problem(&post(&server, "user-1", SEND, no_field), 400, "bad_message", &["field"]);
    assert_problem(&post(&server, "user-1", SEND, &MESSAGE.replace("custom", "error")), 400, "reserved_type", &[]);
    assert_problem(&post(&server, "user-1", SEND, &deep), 400, "too_deep", &["field", "offset"]);
    let anonymous = http::request(server.address, "POST", SEND, &[json], MESSAGE.as_bytes());
    assert_problem(&anonymous, 401, "authentication_required", &[]);
    let to = r#"{"id":"m1","type":"custom","to":{"userId":"nobody"},"payload":{}}"#;
    assert_problem(&post(&server, "user-1", SEND, to), 403, "forbidden", &[]);
    assert_problem(&http::request(server.address, "GET", "/unknown", &[], b""), 404, "not_found", &[]);
    assert_problem(&http::request(server.address, "GET", NOTIFY, &[], b""), 405, "bad_message", &[]);
    let large = format!(r#"{{"id":"{}"}}"#, "x".repeat(70_000));
    assert_problem(&post(&server, "user-1", SEND, &large), 413, "too_large", &[]);
    let text = [("Authorization", "Bearer user-1"), ("Content-Type", "text/plain")];
    let refused = http::request(server.address, "POST", SEND, &text, MESSAGE.as_bytes());
    assert_problem(&refused, 415, "bad_message", &[]);
}

#[test]
fn a_missing_session_is_a_code_of_its_own() {
    let server = server();
    let problem = post(&server, "user-1", SEND, r#"{"id":"m1","type":"custom","payload":{}}"#).expect_problem(400);
    assert!(json::is(&problem, "code", "no_session"), "{}", problem.encode());
    // A connection's default session is not REST's.
    let client = super::common::client::Client::connect(server.address, "user-1", "s1");
    let body = r#"{"id":"m1","type":"custom","payload":{}}"#;
    let named = [("Hashi-Connection", client.connection_id())];
    let problem = super::post_with(&server, "user-1", SEND, body, &named).expect_problem(400);
    assert!(json::is(&problem, "code", "no_session"), "{}", problem.encode());
}

#[test]
fn a_challenge_says_how_to_authenticate() {
    let server = server();
    let json = ("Content-Type", "application/json");
    let long = format!("Bearer {}", "u".repeat(255));
    for (value, code) in
        [("Bearer ", "invalid_token"), (long.as_str(), "invalid_token"), ("Basic x", "authentication_required")]
    {
        let refused =
            http::request(server.address, "POST", SEND, &[("Authorization", value), json], MESSAGE.as_bytes());
        let problem = refused.expect_problem(401);
        let shown = problem.encode();
        let allowed = json::is(&problem, "code", code) || json::is(&problem, "code", "authentication_required");
        assert!(allowed, "{value:.20}: {shown}");
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer"), "{value:.20}: {challenge:?}");
    }
}

#[test]
fn the_scheme_is_written_in_any_case() {
    let server = server();
    for value in ["Bearer user-1", "bearer user-1", "BEARER user-1"] {
        let headers = [("Authorization", value), ("Content-Type", "application/json")];
        let response = http::request(server.address, "POST", SEND, &headers, MESSAGE.as_bytes());
        assert_eq!(response.status, 202, "{value}: {}", String::from_utf8_lossy(&response.body));
    }
}
