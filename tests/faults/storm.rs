//! Row 41, on a small scale: everybody loses the connection, comes back at once and resumes. What ten thousand connections
//! take is for `loadtest/scenarios/storm.toml`, which resumes nothing.

use super::common::WS_PATH;
use super::common::client::{Client, envelope};
use super::common::flood::{message, numbered, publish_all, with};
use super::common::frame::Frame;
use super::common::http;
use super::common::json;
use super::common::row;
use super::common::server::Env;
use super::common::status;
use super::common::tcp::Tcp;
use super::common::websocket::{WebSocket, upgrade_request};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

/// As many as fit into the usual 1,024 file descriptors of a process.
const CLIENTS: usize = 900;
const SESSION_SIZE: usize = 10;
/// What each misses, and what comes once all are back.
const MISSED: usize = 20;
const LIVE: usize = 3;

const SETTINGS: Env = &[("WEBSOCKET_MAX_CONNECTIONS", "1000")];

/// For the server to notice that all are gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);

fn session_of(client: usize) -> String {
    format!("session-{}", client / SESSION_SIZE)
}

/// A connection whose upgrade and authentication are on their way; nothing of it was read.
#[track_caller]
fn begin(address: SocketAddr, client: usize, resume: Option<OwnedValue>) -> Tcp {
    let mut payload = json!({"token": format!("user-{client}"), "sessionId": session_of(client)});
    if let Some(resume) = resume {
        payload.insert("resume", resume).expect("ok because a payload is an object");
    }
    let mut tcp = Tcp::connect(address);
    let authentication = Frame::text(envelope("auth", "authentication", payload).encode());
    tcp.send([upgrade_request(address, WS_PATH, &[]), authentication.encode()].concat());
    tcp
}

/// Reads the answers to both.
#[track_caller]
fn finish(mut tcp: Tcp) -> Client {
    assert_eq!(http::read_response(&mut tcp).status, 101);
    let mut client = Client { ws: WebSocket::over(tcp), welcome: OwnedValue::null() };
    client.welcome = client.receive_type("authentication");
    client
}

/// Where a client goes on that has got nothing of its session so far.
fn resume_of(client: &Client) -> OwnedValue {
    let position = client.welcome["payload"]["positions"][0].clone();
    json!({"connectionId": client.connection_id(), "positions": [position]})
}

#[track_caller]
fn publish_to_all(publisher: &mut Client, prefix: &str, count: usize) {
    for session in 0..CLIENTS / SESSION_SIZE {
        let ids = numbered(prefix, 1..=count);
        let name = format!("session-{session}");
        let messages: Vec<_> = ids.iter().map(|id| with(message(id, "normal"), "sessionId", name.as_str())).collect();
        publish_all(publisher, &messages);
    }
}

#[test]
fn row_41_everybody_comes_back_at_once() {
    row::run(SETTINGS, |server| {
        let mut publisher = Client::connect(server.address, "publisher", "publishers");
        let begun: Vec<Tcp> = (0..CLIENTS).map(|client| begin(server.address, client, None)).collect();
        let clients: Vec<Client> = begun.into_iter().map(finish).collect();
        let claims: Vec<_> = clients.iter().map(resume_of).collect();
        clients.into_iter().for_each(|client| client.ws.tcp.abort());
        status::expect_within(server.address, "history.departed", CLIENTS as u64, GONE_WITHIN);
        publish_to_all(&mut publisher, "missed", MISSED);

        let back: Vec<Tcp> = (claims.into_iter().enumerate())
            .map(|(client, resume)| begin(server.address, client, Some(resume)))
            .collect();
        let mut back: Vec<Client> = back.into_iter().map(finish).collect();
        publish_to_all(&mut publisher, "live", LIVE);
        let expected = [numbered("missed", 1..=MISSED), numbered("live", 1..=LIVE)].concat();
        for client in &mut back {
            assert!(json::boolean(&client.welcome["payload"]["positions"][0], "recovered"));
            let came: Vec<_> = client.settle().iter().map(|message| json::string(message, "id").to_owned()).collect();
            assert_eq!(came, expected, "each once and in order");
        }
        assert_eq!(json::number(&status::read(server.address), "counters.takeovers"), CLIENTS as u64);
        back.into_iter().for_each(|client| client.ws.tcp.abort());
        publisher.ws.close();
    });
}
