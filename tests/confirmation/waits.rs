//! `POST /ws-api/broadcast?wait=delivered`: the answer says how the receivers have confirmed.

use super::common::http::{encode, read_response};
use super::common::status;
use super::common::tcp::Tcp;
use super::*;

const BROADCAST: &str = "/ws-api/broadcast";
const WAIT: &str = "/ws-api/broadcast?wait=delivered&timeoutMs=20000";

fn broadcast(id: &str) -> OwnedValue {
    json!({"id": id, "sessionId": "s", "type": "custom", "payload": {"id": id}})
}

/// A request on a connection of its own, whose answer is read later.
fn request(server: &TestServer, target: &str, body: &OwnedValue) -> Vec<u8> {
    let headers = [("Authorization", "Bearer sender"), ("Content-Type", "application/json")];
    encode(server.address, "POST", target, &headers, body.encode().as_bytes())
}

fn with_seq(mut counts: OwnedValue, seq: u64) -> OwnedValue {
    counts.insert("seq", seq).expect("an object");
    counts
}

#[test]
fn when_all_have_confirmed_it_is_200() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let _other = plain(server.address, "other");
    let mut tcp = Tcp::connect(server.address);
    tcp.send(request(&server, WAIT, &broadcast("m")));
    receiver.receive();
    confirm(&mut receiver, &["m"]);
    let response = read_response(&mut tcp);
    assert_eq!((response.status, response.json()), (200, with_seq(counts("m", 2, 1, 0, 1), 1)));
    status::expect(server.address, "confirmation.outcomes", 0);
}

#[test]
fn when_the_time_is_over_it_is_202_with_what_is_known() {
    let server = start(PATIENT);
    let [mut one, mut other] = ["one", "other"].map(|user| confirming(server.address, user));
    let mut tcp = Tcp::connect(server.address);
    tcp.send(request(&server, "/ws-api/broadcast?wait=delivered&timeoutMs=1500", &broadcast("m")));
    one.receive();
    confirm(&mut one, &["m"]);
    let response = read_response(&mut tcp);
    assert_eq!((response.status, response.json()), (202, with_seq(counts("m", 2, 1, 0, 0), 1)));
    other.receive();
    confirm(&mut other, &["m"]);
    status::expect(server.address, "confirmation.outcomes", 0);
}

/// Requests that wait leave half of the sockets for short HTTP free: who asks for too much is told so, and nothing is published.
#[test]
fn waiting_requests_leave_room_for_others() {
    const PLACES: usize = 32;
    let server = start(&[("HASHI_ACK_TIMEOUT_MS", "60000"), ("WEBSOCKET_MAX_CONNECTIONS", "1")]);
    let _receiver = confirming(server.address, "receiver");
    let waiting: Vec<Tcp> = (0..PLACES)
        .map(|number| {
            let mut tcp = Tcp::connect(server.address);
            tcp.send(request(&server, WAIT, &broadcast(&format!("m-{number}"))));
            status::expect(server.address, "confirmation.outcomes", number as u64 + 1);
            tcp
        })
        .collect();
    let refused = post(&server, WAIT, &[], &broadcast("one-more"));
    assert_eq!((refused.status, json::string(&refused.json(), "code")), (503, "overloaded"));
    status::expect(server.address, "counters.published", PLACES as u64);
    drop(waiting);
}

#[test]
fn where_nobody_confirms_it_is_200_at_once() {
    let server = start(PATIENT);
    let response = post(&server, WAIT, &[], &broadcast("alone"));
    assert_eq!((response.status, response.json()), (200, with_seq(counts("alone", 0, 0, 0, 0), 1)));
    let _other = plain(server.address, "other");
    let response = post(&server, WAIT, &[], &broadcast("m"));
    assert_eq!((response.status, response.json()), (200, with_seq(counts("m", 1, 0, 0, 1), 2)));
}

#[test]
fn no_later_request_is_answered_before_it() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut tcp = Tcp::connect(server.address);
    let healthy = encode(server.address, "GET", "/healthz", &[], b"");
    tcp.send([request(&server, WAIT, &broadcast("m")), healthy].concat());
    receiver.receive();
    let arrived = http::try_read_response(&mut tcp, std::time::Duration::from_millis(100));
    assert_eq!(arrived.unwrap_err(), http::NoResponse::Nothing);
    confirm(&mut receiver, &["m"]);
    assert_eq!(read_response(&mut tcp).json()["confirmed"], 1);
    assert_eq!(read_response(&mut tcp).body, b"ok\n");
}

#[test]
fn the_page_that_asks_may_read_the_answer() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let headers =
        [("Authorization", "Bearer sender"), ("Content-Type", "application/json"), ("Origin", "http://localhost:5173")];
    let mut tcp = Tcp::connect(server.address);
    tcp.send(encode(server.address, "POST", WAIT, &headers, broadcast("m").encode().as_bytes()));
    receiver.receive();
    confirm(&mut receiver, &["m"]);
    assert_eq!(read_response(&mut tcp).header("access-control-allow-origin"), Some("http://localhost:5173"));
}

#[test]
fn who_leaves_gives_it_up() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let mut tcp = Tcp::connect(server.address);
    tcp.send(request(&server, WAIT, &broadcast("m")));
    receiver.receive();
    status::expect(server.address, "connections.rows", 3); // the status asks on one of them
    drop(tcp);
    status::expect(server.address, "connections.rows", 2);
    confirm(&mut receiver, &["m"]);
    status::expect(server.address, "confirmation.outcomes", 0);
    receiver.ws.close();
}

#[test]
fn wrong_parameters_are_named() {
    let server = start(PATIENT);
    for (query, field) in
        [("wait=yes", "wait"), ("wait=delivered&timeoutMs=x", "timeoutMs"), ("timeoutMs=5", "timeoutMs")]
    {
        let problem = post(&server, &format!("{BROADCAST}?{query}"), &[], &broadcast("m")).expect_problem(400);
        assert!(json::is(&problem, "field", field), "{}", problem.encode());
    }
}

#[test]
fn asked_again_it_answers_what_became_of_it() {
    let server = start(PATIENT);
    let mut receiver = confirming(server.address, "receiver");
    let short = "/ws-api/broadcast?wait=delivered&timeoutMs=0";
    assert_eq!(post(&server, short, &[], &broadcast("m")).status, 202);
    receiver.receive();
    confirm(&mut receiver, &["m"]);
    status::expect(server.address, "confirmation.inFlight", 0);
    let response = post(&server, WAIT, &[], &broadcast("m"));
    assert_eq!((response.status, response.json()), (200, with_seq(counts("m", 1, 1, 0, 0), 1)));
    receiver.expect_nothing();
}
