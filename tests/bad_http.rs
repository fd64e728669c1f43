//! BAD_INPUT.md, rows 1 to 13 and 42: HTTP and the upgrade. One test per row, its variations in tables; what holds
//! besides the answers is checked by `common::row` for each of them.

mod common;

#[path = "bad_http/access.rs"]
mod access;
#[path = "bad_http/bodies.rs"]
mod bodies;
#[path = "bad_http/descriptors.rs"]
mod descriptors;
#[path = "bad_http/heads.rs"]
mod heads;
#[path = "bad_http/pipelining.rs"]
mod pipelining;
#[path = "bad_http/routes.rs"]
mod routes;
#[path = "bad_http/upgrades.rs"]
mod upgrades;

use common::http::{self, Response};
use common::server::TestServer;

/// Headers of a REST request of an ordinary user.
const USER: [(&str, &str); 2] = [("Authorization", "Bearer user-1"), ("Content-Type", "application/json")];

/// A message that `POST /ws-api/send` accepts.
const MESSAGE: &str = r#"{"id":"m1","type":"custom","sessionId":"rest-session","payload":{"any":"JSON"}}"#;

/// Sends `body` to a REST route as an ordinary user.
#[track_caller]
fn post(server: &TestServer, target: &str, body: &str) -> Response {
    http::request(server.address, "POST", target, &USER, body.as_bytes())
}

/// The head of a `POST /ws-api/send` without its last empty line, with more header lines, each with its end.
fn send_head(server: &TestServer, lines: &str) -> String {
    let address = server.address;
    format!(
        "POST /ws-api/send HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer user-1\r\n\
         Content-Type: application/json\r\n{lines}"
    )
}
