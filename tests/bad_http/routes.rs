//! Row 8: requests that are valid HTTP and wrong for their route.

use super::common::http;
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::{MESSAGE, USER, post};
use simd_json::prelude::*;

#[test]
fn row_08_unknown_path() {
    row::run(&[], |server| {
        for target in ["/no-such-path", "/ws-api", "/ws-api/", "/ws-api/sendx", "/WS-API/status", "/ws/", "/.", "//"] {
            for method in ["GET", "POST"] {
                let problem = http::request(server.address, method, target, &USER, b"").expect_problem(404);
                assert_eq!(json::string(&problem, "code"), "not_found", "{method} {target}");
            }
        }
    });
}

#[test]
fn row_08_wrong_method() {
    row::run(&[], |server| {
        for (target, right, wrong) in [
            ("/ws-api/send", "POST", ["GET", "PUT", "DELETE", "PATCH"]),
            ("/ws-api/broadcast", "POST", ["GET", "PUT", "DELETE", "PATCH"]),
            ("/ws-api/notify/operation", "POST", ["GET", "PUT", "DELETE", "PATCH"]),
            ("/ws-api/status", "GET", ["POST", "PUT", "DELETE", "PATCH"]),
            ("/ws-api/connections/session/s1", "GET", ["POST", "PUT", "DELETE", "PATCH"]),
            ("/healthz", "GET", ["POST", "PUT", "DELETE", "PATCH"]),
            ("/readyz", "GET", ["POST", "PUT", "DELETE", "PATCH"]),
            ("/metrics", "GET", ["POST", "PUT", "DELETE", "PATCH"]),
        ] {
            for method in wrong {
                let response = http::request(server.address, method, target, &USER, b"");
                response.expect_problem(405);
                let allow = response.header("allow").unwrap_or_default();
                let mut methods = allow.split(',').map(str::trim);
                assert!(methods.any(|allowed| allowed == right), "{method} {target}: Allow is {allow:?}");
            }
        }
    });
}

#[test]
fn row_08_wrong_content_type() {
    row::run(&[], |server| {
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "*/*"]
        {
            for target in ["/ws-api/send", "/ws-api/broadcast", "/ws-api/notify/operation"] {
                let headers = [("Authorization", "Bearer user-1"), ("Content-Type", kind)];
                let response = http::request(server.address, "POST", target, &headers, MESSAGE.as_bytes());
                response.expect_problem(415);
            }
        }
        for kind in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            let headers = [("Authorization", "Bearer user-1"), ("Content-Type", kind)];
            let response = http::request(server.address, "POST", "/ws-api/send", &headers, MESSAGE.as_bytes());
            assert_eq!(response.status, 202, "{kind}: {}", String::from_utf8_lossy(&response.body));
        }
    });
}

#[test]
fn row_08_bad_json() {
    row::run(&[], |server| {
        for body in [
            "{",
            "nonsense",
            "{\"id\":\"m1\",}",
            "{\"id\" \"m1\"}",
            "{\"id\":\"m1\"} x",
            "{}{}",
            "{\"id\":'m1'}",
            "{\"payload\":NaN}",
            "{\"payload\":01}",
            "\u{feff}{}",
        ] {
            for target in ["/ws-api/send", "/ws-api/broadcast", "/ws-api/notify/operation"] {
                let problem = post(server, target, body).expect_problem(400);
                assert_eq!(json::string(&problem, "code"), "bad_message", "{body}");
                let offset = json::number(&problem, "offset");
                assert!(offset <= body.len() as u64, "offset {offset} of {body:?}");
            }
        }
    });
}

#[test]
fn row_08_wrong_shape() {
    let send = "/ws-api/send";
    let notify = "/ws-api/notify/operation";
    let cases = [
        (send, r#"{"type":"custom","sessionId":"s","payload":{}}"#, "id"),
        (send, r#"{"id":7,"type":"custom","sessionId":"s","payload":{}}"#, "id"),
        (send, r#"{"id":"","type":"custom","sessionId":"s","payload":{}}"#, "id"),
        (send, r#"{"id":"m","sessionId":"s","payload":{}}"#, "type"),
        (send, r#"{"id":"m","type":null,"sessionId":"s","payload":{}}"#, "type"),
        (send, r#"{"id":"m","type":"two words","sessionId":"s","payload":{}}"#, "type"),
        (send, r#"{"id":"m","type":"custom","sessionId":"s"}"#, "payload"),
        (send, r#"{"id":"m","type":"custom","sessionId":"s","payload":{},"priority":"urgent"}"#, "priority"),
        (send, r#"{"id":"m","type":"custom","sessionId":"s","payload":{},"timestamp":"yesterday"}"#, "timestamp"),
        (send, r#"{"id":"m","type":"custom","sessionId":"","payload":{}}"#, "sessionId"),
        (send, r#"{"id":"m","type":"custom","sessionId":"@user-2","payload":{}}"#, "sessionId"),
        (send, r#"{"id":"m","type":"custom","sessionId":"a\u0000b","payload":{}}"#, "sessionId"),
        (notify, r#"{"sessionId":"s","operationId":"o","operationType":"t","status":"paused"}"#, "status"),
        (notify, r#"{"sessionId":"s","operationId":"o","operationType":"t"}"#, "status"),
        (notify, r#"{"sessionId":"s","operationType":"t","status":"started"}"#, "operationId"),
        (notify, r#"{"operationId":"o","operationType":"t","status":"started"}"#, "sessionId"),
    ];
    row::run(&[], |server| {
        for (target, body, field) in cases {
            let problem = post(server, target, body).expect_problem(400);
            assert!(json::is(&problem, "field", field), "{target} {body}: {} should name {field}", problem.encode());
        }
        for body in ["[]", "7", "null", "\"text\"", "true"] {
            let problem = post(server, send, body).expect_problem(400);
            assert_eq!(json::string(&problem, "code"), "bad_message", "{body}");
        }
        nowhere_to_send(server);
    });
}

/// Over REST there is no default session.
fn nowhere_to_send(server: &TestServer) {
    let problem = post(server, "/ws-api/send", r#"{"id":"m","type":"custom","payload":{}}"#).expect_problem(400);
    assert_eq!(json::string(&problem, "code"), "no_session");
}
