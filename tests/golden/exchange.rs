//! One case on a server of its own: the message goes out, all that comes back is collected.

use super::cases::Case;
use super::common::client::Client;
use super::common::server::TestServer;
use super::common::steps::BARRIERS;
use super::common::websocket::Event;
use super::mask::mask;
use serde_json::{Value, json};

const USER: &str = "user-123";
const SESSION: &str = "session-123";

/// The masked answers to a case, the urgent ones first.
#[track_caller]
pub fn run(case: &Case) -> Vec<Value> {
    let server = TestServer::spawn_process(&[]);
    let mut client = match case.is_first() {
        true => Client::anonymous(server.address),
        false => Client::connect(server.address, USER, SESSION),
    };
    client.ws.text(&case.text);
    let end = if case.is_first() { after_the_first(&mut client) } else { client.send_barriers() };
    let mut answers = collect(&mut client, end);
    // Messages of different priority may pass each other; the file has one order.
    answers.sort_by_key(rank);
    answers.iter().map(|answer| mask(answer, &case.text)).collect()
}

/// The place of an answer's priority; the close comes last.
fn rank(answer: &Value) -> usize {
    let priorities = ["high", "normal", "low"];
    priorities.iter().position(|name| answer["priority"] == **name).unwrap_or(priorities.len())
}

/// A heartbeat is answered whether or not the connection is authenticated by now.
#[track_caller]
fn after_the_first(client: &mut Client) -> usize {
    // Ok because a connection that was refused is closed, which is what is read next.
    let heartbeat = super::common::frame::Frame::text(r#"{"id":"barrier","type":"heartbeat"}"#);
    let _ = client.ws.tcp.try_send(heartbeat.encode());
    1
}

/// Everything before so many barriers, or before the close and with it.
#[track_caller]
fn collect(client: &mut Client, barriers: usize) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut passed = 0;
    while passed < barriers {
        match client.ws.next() {
            Event::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                // A client that takes arrays may get several answers in one.
                let messages = if let Value::Array(messages) = message { messages } else { vec![message] };
                for message in messages {
                    match message["replyTo"] == "barrier" || message["type"] == BARRIERS {
                        true => passed += 1,
                        false => answers.push(message),
                    }
                }
            }
            Event::Closed { code, reason } => {
                answers.push(json!({"close": code, "reason": reason}));
                return answers;
            }
            event => panic!("expected an answer, not {event:?}"),
        }
    }
    answers
}
