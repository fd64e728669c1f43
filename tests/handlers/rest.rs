//! Messages that come over REST to a type with a handler.

use super::common::client::Client;
use super::common::http::{self, Response};
use super::common::server::TestServer;
use super::common::{json, status};
use super::gate::gate;
use super::{builder, serve};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;

#[track_caller]
fn post(server: &TestServer, route: &str, body: &OwnedValue) -> Response {
    let headers = [("Authorization", "Bearer rest-user"), ("Content-Type", "application/json")];
    http::request(server.address, "POST", route, &headers, body.encode().as_bytes())
}

#[test]
fn a_send_runs_the_handler() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, context| {
        gate.note(&format!("{} {} {:?}", message.id, message.from, message.session_id));
        context.reply("nobody-hears-it", &()).expect("a reply");
    }));
    let mut member = Client::connect(server.address, "user-1", "s1");
    let answer = post(&server, "/ws-api/send", &json!({"id": "r1", "type": "task", "sessionId": "s1", "payload": {}}));
    assert_eq!(answer.status, 202);
    let body = answer.json();
    assert!(json::is(&body, "id", "r1") && body["seq"].is_null(), "nothing was published: {}", body.encode());
    assert_eq!((json::number(&body, "matched"), json::number(&body, "queued")), (0, 0));
    assert_eq!(keeper.next(), "r1 rest-user Some(\"s1\")");
    status::expect(server.address, "handlers.pending", 0);
    member.expect_nothing();
}

/// Every door that publishes leads to the handler.
#[test]
fn broadcasts_and_notifications_run_the_handler_and_may_be_relayed() {
    let (gate, keeper) = gate();
    let second = gate.clone();
    let server = serve(
        builder()
            .on("task", move |message, context| {
                gate.note(&message.kind);
                drop(context.relay());
            })
            .on("operation_started", move |message, _| second.note(&message.kind)),
    );
    let mut member = Client::connect(server.address, "user-1", "s1");
    let task = json!({"id": "b1", "sessionId": "s1", "type": "task", "payload": {"n": 1}});
    assert_eq!(post(&server, "/ws-api/broadcast", &task).status, 202);
    assert_eq!(keeper.next(), "task");
    let relayed = member.receive();
    assert!(json::is(&relayed, "id", "b1") && json::is(&relayed, "from", "rest-user"), "{}", relayed.encode());
    let operation = json!({
        "sessionId": "s1", "operationId": "op-1", "operationType": "import", "status": "started",
        "startedAt": "2026-05-01T12:00:00Z", "updatedAt": "2026-05-01T12:00:00Z"
    });
    let answer = post(&server, "/ws-api/notify/operation", &operation);
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(keeper.next(), "operation_started");
    member.expect_nothing();
}

/// An answer does not wait for the handler, however long that runs.
#[test]
fn the_answer_does_not_wait_for_the_handler() {
    let (gate, keeper) = gate();
    let server = serve(builder().on("task", move |message, _| gate.pass(&message.id)));
    for id in ["r1", "r2", "r3"] {
        let task = json!({"id": id, "type": "task", "sessionId": "s1", "payload": {}});
        assert_eq!(post(&server, "/ws-api/send", &task).status, 202);
    }
    let mut entered = [keeper.next(), keeper.next(), keeper.next()];
    entered.sort();
    assert_eq!(entered, ["r1", "r2", "r3"], "each came over a connection of its own");
    keeper.release(3);
    status::expect(server.address, "handlers.pending", 0);
}

/// A reply has nowhere to go but to the connection that the request names, and nothing may reach a stranger.
#[test]
fn errors_of_rest_messages_reach_no_client() {
    let server = serve(builder().on("fail", |_, _| panic!("on purpose")));
    let mut same_user = Client::connect(server.address, "rest-user", "s1");
    let task = json!({"id": "r1", "type": "fail", "sessionId": "s1", "payload": {}});
    assert_eq!(post(&server, "/ws-api/send", &task).status, 202);
    status::expect(server.address, "counters.handlersPanicked", 1);
    same_user.expect_nothing();
}
