//! What a message looks like when it arrives does not depend on the door it came in by.

use super::common::client::Client;
use super::common::json;
use super::common::websocket::Event;
use super::{BROADCAST, SEND, accepted, post, server};

/// Messages for the session `s1`, in all their forms.
const MESSAGES: [&str; 9] = [
    r#"{"id":"m1","type":"custom","sessionId":"s1","payload":{}}"#,
    r#"{"id":"m2","type":"custom","sessionId":"s1","payload":null}"#,
    r#"{"id":"m3","type":"notification","priority":"high","sessionId":"s1","payload":{ "a" : [ 1.10 , -0 ] }}"#,
    r#"{"payload":"\u00e9\ud83d\ude00é\/","type":"x/y","id":"m\u0031\n","priority":"low","sessionId":"s1"}"#,
    r#"{"id":"m5","type":"custom","sessionId":"s1","key":"k","replyTo":"r","meta":{"a" : 1},"payload":[]}"#,
    r#"{"id":"m6","type":"operation_progress","sessionId":"s1","payload":{"operationId":"op-1","progress":0.5}}"#,
    r#"{"id":"m7","type":"operation_failed","sessionId":"s1","key":"own","payload":{"operationId":"op-1"}}"#,
    r#"{"id":"m8","type":"custom","sessionId":"s1","timestamp":"2001-01-01T00:00:00Z","seq":7,"from":"x","payload":1}"#,
    r#"{"id":"m9","type":"custom","sessionId":"s1","unknown":{"a":1},"payload":123456789012345678901234567890}"#,
];

/// The text of the next message, without its time and position.
#[track_caller]
fn receive_masked(client: &mut Client) -> String {
    let Event::Text(text) = client.ws.next() else { panic!("a message") };
    let message = json::parse(&text);
    let time = format!(r#""timestamp":"{}""#, json::string(&message, "timestamp"));
    let position = format!(r#""seq":{}"#, json::number(&message, "seq"));
    assert!(text.contains(&time) && text.contains(&position), "{text}");
    text.replace(&time, "TIME").replace(&position, "POSITION")
}

#[test]
fn every_door_leads_to_the_same_message() {
    let [over_websocket, sent, broadcast] = [None, Some(SEND), Some(BROADCAST)].map(arrived_by);
    for (place, expected) in over_websocket.iter().enumerate() {
        assert_eq!((&sent[place], &broadcast[place]), (expected, expected), "{}", MESSAGES[place]);
    }
}

/// What arrives of all messages by one door: WebSocket, or a route.
#[track_caller]
fn arrived_by(route: Option<&str>) -> Vec<String> {
    let server = server();
    let mut receiver = Client::connect(server.address, "user-2", "s1");
    let mut sender = Client::connect(server.address, "user-1", "s2");
    let mut arrived = Vec::new();
    for body in MESSAGES {
        match route {
            None => sender.ws.text(body),
            Some(target) => drop(accepted(&post(&server, "user-1", target, body))),
        }
        arrived.push(receive_masked(&mut receiver));
    }
    receiver.expect_nothing();
    sender.expect_nothing();
    arrived
}

/// One order for the messages of all doors.
#[test]
fn positions_are_shared_by_all_doors() {
    let server = server();
    let mut receiver = Client::connect(server.address, "user-2", "s1");
    let mut sender = Client::connect(server.address, "user-1", "s2");
    for round in 0..5 {
        sender.ws.text(MESSAGES[0]);
        assert_eq!(json::number(&receiver.receive(), "seq"), 3 * round + 1);
        for (index, target) in (2..).zip([SEND, BROADCAST]) {
            let body = MESSAGES[0].replace("m1", &format!("m{round}{index}"));
            let answer = accepted(&post(&server, "user-1", target, &body));
            assert_eq!(json::number(&answer, "seq"), 3 * round + index);
            assert_eq!(json::number(&receiver.receive(), "seq"), 3 * round + index);
        }
    }
}

/// A large message of a service reaches a user, whose own limit is for what it sends.
#[test]
fn large_messages_of_services_are_delivered() {
    let server = server();
    let mut receiver = Client::connect(server.address, "user-2", "s1");
    let text = "x".repeat(500_000);
    for (id, target) in [("m1", SEND), ("m2", BROADCAST)] {
        let body = format!(r#"{{"id":"{id}","type":"custom","sessionId":"s1","payload":"{text}"}}"#);
        let answer = accepted(&post(&server, "service:worker", target, &body));
        assert_eq!(json::number(&answer, "queued"), 1);
        let came = receiver.receive();
        assert!(json::is(&came, "payload", &text), "the whole payload");
    }
}
