//! `POST /ws-api/send`.

use super::common::client::Client;
use super::common::json;
use super::{SEND, accepted, post, server};
use simd_json::json;
use simd_json::prelude::*;

#[test]
fn a_message_for_a_session() {
    let server = server();
    let mut members: Vec<_> = (1..=3).map(|n| Client::connect(server.address, &format!("user-{n}"), "s1")).collect();
    let mut outsider = Client::connect(server.address, "user-1", "s2");
    for seq in 1..=3 {
        let body = format!(r#"{{"id":"m{seq}","type":"custom","sessionId":"s1","payload":{{"any":"JSON"}}}}"#);
        let answer = accepted(&post(&server, "user-1", SEND, &body));
        assert_eq!(answer, json!({"id": format!("m{seq}"), "seq": seq, "matched": 3, "queued": 3}));
        for member in &mut members {
            let came = member.receive();
            assert!(json::is(&came, "id", &format!("m{seq}")), "{}", came.encode());
            assert!(json::is(&came, "from", "user-1"), "{}", came.encode());
            assert_eq!(json::number(&came, "seq"), seq);
        }
    }
    outsider.expect_nothing();
}

#[test]
fn nobody_is_there() {
    let server = server();
    for (id, seq) in [("m1", 1), ("m2", 2)] {
        let body = format!(r#"{{"id":"{id}","type":"custom","sessionId":"empty","payload":{{}}}}"#);
        let answer = accepted(&post(&server, "user-1", SEND, &body));
        assert_eq!(answer, json!({"id": id, "seq": seq, "matched": 0, "queued": 0}));
    }
}

#[test]
fn a_message_for_a_user() {
    let server = server();
    let mut own = Client::connect(server.address, "user-1", "s1");
    let mut here = Client::connect(server.address, "user-2", "s1");
    let mut elsewhere = Client::connect(server.address, "user-2", "s2");
    let body = r#"{"id":"m1","type":"custom","to":{"userId":"user-2"},"payload":{}}"#;
    let answer = accepted(&post(&server, "user-1", SEND, body));
    assert_eq!(answer, json!({"id": "m1", "seq": 1, "matched": 2, "queued": 2}));
    for client in [&mut here, &mut elsewhere] {
        let came = client.receive();
        assert!(json::is(&came, "id", "m1") && json::is(&came, "from", "user-1"), "{}", came.encode());
    }
    own.expect_nothing();
}

#[test]
fn a_message_for_a_connection() {
    let server = server();
    let _own = Client::connect(server.address, "user-1", "s1");
    let mut chosen = Client::connect(server.address, "user-2", "s1");
    let mut twin = Client::connect(server.address, "user-2", "s1");
    let id = chosen.connection_id();
    let body = format!(r#"{{"id":"m1","type":"custom","to":{{"connectionId":"{id}"}},"payload":{{}}}}"#);
    let answer = accepted(&post(&server, "user-1", SEND, &body));
    assert_eq!(answer, json!({"id": "m1", "seq": null, "matched": 1, "queued": 1}));
    assert!(json::is(&chosen.receive(), "id", "m1"));
    twin.expect_nothing();
}

/// Over REST any connection of the user counts, and without one there is nobody to share a session with.
#[test]
fn whom_a_user_may_address() {
    let server = server();
    let mut stranger = Client::connect(server.address, "user-2", "s2");
    let to_user = r#"{"id":"m1","type":"custom","to":{"userId":"user-2"},"payload":{}}"#;
    let id = stranger.connection_id();
    let to_connection = format!(r#"{{"id":"m2","type":"custom","to":{{"connectionId":"{id}"}},"payload":{{}}}}"#);
    let _here = Client::connect(server.address, "user-1", "s1");
    for body in [to_user, &to_connection] {
        let problem = post(&server, "user-1", SEND, body).expect_problem(403);
        assert!(json::is(&problem, "code", "forbidden"), "{}", problem.encode());
    }
    stranger.expect_nothing();
    let _there = Client::connect(server.address, "user-1", "s2");
    for body in [to_user, &to_connection] {
        accepted(&post(&server, "user-1", SEND, body));
        assert!(json::is(&stranger.receive(), "from", "user-1"));
    }
}

#[test]
fn a_service_may_address_anyone() {
    let server = server();
    let mut user = Client::connect(server.address, "user-1", "s1");
    let body = r#"{"id":"m1","type":"custom","to":{"userId":"user-1"},"payload":{}}"#;
    let answer = accepted(&post(&server, "service:worker", SEND, body));
    assert_eq!((json::number(&answer, "seq"), json::number(&answer, "matched")), (1, 1));
    assert!(json::is(&user.receive(), "from", "service:worker"));
    let absent = body.replace("user-1", "nobody").replace("m1", "m2");
    assert_eq!(json::number(&accepted(&post(&server, "service:worker", SEND, &absent)), "matched"), 0);
    let unknown =
        r#"{"id":"m3","type":"custom","to":{"connectionId":"00000000000000000000000000000000"},"payload":{}}"#;
    let problem = post(&server, "service:worker", SEND, unknown).expect_problem(404);
    assert!(json::is(&problem, "code", "not_found"), "{}", problem.encode());
}

#[test]
fn what_is_not_offered_yet_is_refused() {
    let server = server();
    let mut member = Client::connect(server.address, "user-2", "s1");
    for (member, value) in [("version", "1"), ("base", "1"), ("encoding", r#""base64""#)] {
        let body = format!(r#"{{"id":"m1","type":"custom","sessionId":"s1","{member}":{value},"payload":{{}}}}"#);
        for target in [SEND, super::BROADCAST] {
            let problem = post(&server, "user-1", target, &body).expect_problem(400);
            assert!(json::is(&problem, "field", member), "{target} {body}: {}", problem.encode());
        }
    }
    member.expect_nothing();
}

#[test]
fn a_message_may_expire() {
    let server = server();
    for (target, id) in [(SEND, "m1"), (super::BROADCAST, "m2")] {
        let rest = r#""type":"custom","sessionId":"s1","payload":{}"#;
        let body = |time: &str| format!(r#"{{"id":"{id}","expiresIn":{time},{rest}}}"#);
        accepted(&post(&server, "user-1", target, &body("1")));
        for time in ["0", "60001", "\"1\""] {
            let problem = post(&server, "user-1", target, &body(time)).expect_problem(400);
            assert!(json::is(&problem, "field", "expiresIn"), "{target} {time}: {}", problem.encode());
        }
    }
    super::common::status::expect(server.address, "counters.expired", 2);
}

#[test]
fn the_id_is_not_made_up() {
    let server = server();
    let problem =
        post(&server, "user-1", SEND, r#"{"type":"custom","sessionId":"s1","payload":{}}"#).expect_problem(400);
    assert!(json::is(&problem, "field", "id"), "{}", problem.encode());
}
