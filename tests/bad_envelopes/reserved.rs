//! Row 27b: types that only the server gives a meaning, through every door.

use super::common::client::{Client, envelope};
use super::common::http::{self, Response};
use super::common::json;
use super::common::row;
use super::common::server::TestServer;
use super::{SESSION, Scene, assert_reply_to};
use hashi::{Config, ErrorCode, Server};
use simd_json::json;
use simd_json::prelude::*;
use std::time::Duration;

/// Types that mean nothing when a client sends them.
const NEVER_SENT: [&str; 9] = [
    "error",
    "hashi:gap",
    "hashi:position",
    "hashi:drain",
    "hashi:joined",
    "hashi:presence",
    "hashi:",
    "hashi:join/more",
    "hashi:anything.else",
];

#[test]
fn row_27b_reserved_types_over_websocket() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for kind in NEVER_SENT {
            for (target, ack) in
                [("", false), (r#""sessionId":"scene","#, true), (r#""to":{"userId":"watcher"},"#, true)]
            {
                let text =
                    format!(r#"{{"id":"m1","type":"{kind}",{target}"ack":{ack},"payload":{{"token":"user-1"}}}}"#);
                let error = scene.refuse(&text, "reserved_type");
                assert_reply_to(&error, Some("m1"), &text);
            }
        }
        scene.end();
    });
}

/// System messages of a client are answered or taken, but never passed on.
#[test]
fn row_27b_system_messages_are_not_passed_on() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        let mut member = scene.member();
        for text in [
            r#"{"id":"m1","type":"heartbeat","sessionId":"scene","payload":{}}"#,
            r#"{"id":"m2","type":"ack","sessionId":"scene","payload":{"ids":["m1"]}}"#,
            r#"{"id":"m3","type":"authentication","to":{"userId":"watcher"},"payload":{"token":"user-1"}}"#,
            r#"{"id":"m4","type":"hashi:join","to":{"userId":"watcher"},"payload":{"sessionId":"scene"}}"#,
        ] {
            member.ws.text(text);
        }
        let answers = member.settle();
        let kinds: Vec<_> = answers.iter().map(|answer| json::string(answer, "type")).collect();
        assert_eq!(kinds, ["heartbeat", "authentication", "hashi:join"]);
        member.ws.close();
        scene.end();
    });
}

const POSTS: [&str; 2] = ["/ws-api/send", "/ws-api/broadcast"];

#[track_caller]
fn post(server: &TestServer, target: &str, kind: &str, more: &[(&str, &str)]) -> Response {
    let body = format!(r#"{{"id":"m1","type":"{kind}","sessionId":"{SESSION}","payload":{{"ids":["m1"]}}}}"#);
    let headers = [&[("Authorization", "Bearer user-1"), ("Content-Type", "application/json")], more].concat();
    http::request(server.address, "POST", target, &headers, body.as_bytes())
}

#[test]
fn row_27b_reserved_types_over_rest() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for kind in NEVER_SENT.into_iter().chain(["authentication", "heartbeat", "hashi:join", "hashi:leave"]) {
            for target in POSTS {
                let problem = post(server, target, kind, &[]).expect_problem(400);
                assert!(json::is(&problem, "code", "reserved_type"), "{target} {kind}: {}", problem.encode());
            }
        }
        let problem = post(server, "/ws-api/broadcast", "ack", &[]).expect_problem(400);
        assert!(json::is(&problem, "code", "reserved_type"), "ack by broadcast: {}", problem.encode());
        scene.end();
    });
}

#[test]
fn row_27b_ack_over_rest_is_no_publishing() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        let problem = post(server, "/ws-api/send", "ack", &[]).expect_problem(400);
        assert!(json::is(&problem, "code", "bad_message"), "{}", problem.encode());
        let mut member = scene.member();
        let id = member.connection_id().to_owned();
        let taken = post(server, "/ws-api/send", "ack", &[("Hashi-Connection", &id)]);
        assert_eq!(taken.status, 202, "{}", String::from_utf8_lossy(&taken.body));
        member.expect_nothing();
        member.ws.close();
        scene.end();
    });
}

/// What a handler was told when it tried to answer with each of these types.
type Attempts = Vec<(String, Option<ErrorCode>)>;

/// A server whose handler of `provoke` answers with reserved types, and then with `done`.
fn provoking(results: crossbeam_channel::Sender<Attempts>) -> TestServer {
    let kinds = NEVER_SENT.into_iter().chain(["authentication", "heartbeat", "ack", "hashi:join", "hashi:leave"]);
    let kinds: Vec<String> = kinds.map(str::to_owned).collect();
    let server = Server::builder(Config { port: 0, ..Config::default() })
        .on("provoke", move |_, context| {
            let attempt = |kind: &String| (kind.clone(), context.reply(kind, &7).err().map(|error| error.code));
            let attempts = kinds.iter().map(attempt).collect();
            // Ok because a test that has failed no longer listens.
            let _ = results.send(attempts);
            let _ = context.reply("done", &7);
        })
        .bind()
        .expect("the server binds");
    TestServer::serve(server)
}

#[test]
fn row_27b_reserved_types_in_a_handler_s_reply() {
    let (sender, results) = crossbeam_channel::unbounded();
    row::run_alone_on(
        || provoking(sender.clone()),
        |server| {
            let scene = Scene::open(server);
            let mut member = Client::connect(server.address, "user-1", SESSION);
            member.send(&envelope("m1", "provoke", json!({})));
            assert!(json::is(&member.receive(), "type", "done"), "nothing comes before the answer that may be given");
            let attempts: Attempts = results.recv_timeout(Duration::from_secs(5)).expect("the handler ran");
            assert_eq!(attempts.len(), NEVER_SENT.len() + 5);
            for (kind, code) in attempts {
                assert_eq!(code, Some(ErrorCode::ReservedType), "{kind}");
            }
            member.expect_nothing();
            member.ws.close();
            scene.end();
        },
    );
}
