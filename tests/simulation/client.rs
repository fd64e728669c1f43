//! A client: it takes what its connection brings, follows the rules, and lets the auditor check all of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::audit::{Auditor, Claim, Entry, Kept};
use super::confirmations::Counts;
use super::connection::{Connection, Farewell, Phase, Reading, Request};
use super::cursor;
use super::doors::{Door, Source, Ticket};
use super::poller::Poller;
use super::rules::Place;
use super::sent::Wish;
use super::socket::Event;
use super::truth::{Seen, Sent, Target, number_of, unix_ms_of};
use super::world::World;

/// Between two looks of a client that takes a few bytes at a time, in nanoseconds.
const DRIP_NS: u64 = 1_000_000;
/// Close codes that only a server with a defect sends to these clients: nothing they do breaks a rule of framing, takes
/// too much, or fails inside.
const CODES_OF_DEFECTS: [u16; 5] = [1002, 1003, 1007, 1009, 1011];

/// The server goes away.
const DRAINING: u16 = 4000;
/// So often a client that is refused tries again.
const REFUSALS_MAX: u32 = 3;

pub struct Client {
    pub index: usize,
    pub user: String,
    pub connection: Option<Connection>,
    /// Connections it has had.
    pub connections: u32,
    /// The public id of its last connection that got one, and its number.
    pub last_id: Option<String>,
    pub last_number: u32,
    /// Where it stands, by session.
    pub places: BTreeMap<String, Place>,
    pub auditor: Auditor,
    pub names_made: u32,
    /// Sessions about which it has claimed what is not true.
    pub lied_about: BTreeSet<String>,
    /// How often it was refused one after the other, as the server is full or goes away.
    pub refusals: u32,
    /// How its last connection ended.
    pub farewell: Option<Farewell>,
    /// What it does while it has no connection.
    pub poller: Option<Poller>,
    /// By which door it came last.
    pub door: Option<Door>,
    pub ticket: Option<Ticket>,
    /// What the `EventSource` of its last stream knows.
    pub source: Option<Source>,
}

impl Client {
    pub fn new(index: usize, user: String, kept: Kept) -> Self {
        let auditor = Auditor::new(index, user.clone(), kept);
        Self {
            index,
            user,
            connection: None,
            connections: 0,
            last_id: None,
            last_number: 0,
            places: BTreeMap::new(),
            auditor,
            names_made: 0,
            lied_about: BTreeSet::new(),
            refusals: 0,
            farewell: None,
            poller: None,
            door: None,
            ticket: None,
            source: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.phase == Phase::Open)
    }

    /// Whether it is at none of the doors.
    pub const fn is_away(&self) -> bool {
        self.connection.is_none() && self.poller.is_none()
    }

    /// Whether it receives by a stream, and cannot speak over its connection.
    pub fn is_listening(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.socket.is_stream())
    }

    /// Whether it comes no more: the server has refused it too often.
    pub const fn has_given_up(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }

    /// Sends and reads what it can now.
    pub fn step(&mut self, world: &mut World) {
        self.step_poller(world);
        self.note_read_confirmations(world);
        let Some(connection) = &mut self.connection else {
            return;
        };
        let link = connection.socket.link();
        let appetite = connection.reading().appetite(world.now_ns());
        let mut network = world.network();
        connection.socket.flush(&mut network);
        if appetite == 0 || !network.has_news(link) {
            return;
        }
        let events = connection.socket.receive(&mut network, appetite);
        connection.socket.flush(&mut network);
        drop(network);
        for event in events {
            self.take_event(world, event);
        }
    }

    /// When it has something to do by itself, if nothing new comes.
    pub fn next_ns(&self, world: &World) -> Option<u64> {
        let (link, reading) = match (&self.connection, &self.poller) {
            (Some(connection), _) => (connection.socket.link(), connection.reading()),
            (None, poller) => {
                let poller = poller.as_ref()?;
                (poller.link()?, poller.reading)
            }
        };
        if !world.network().has_news(link) {
            return None;
        }
        match reading {
            Reading::Greedy => None,
            Reading::Drip(_) => Some(world.now_ns() + DRIP_NS),
            Reading::Stalled(until_ns) => Some(until_ns.max(world.now_ns())),
        }
    }

    fn take_event(&mut self, world: &mut World, event: Event) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let link = connection.socket.link();
        match event {
            Event::Upgraded => connection.phase = Phase::Authenticating,
            Event::Refused(status) => {
                // An `EventSource` does not come again after a refusal.
                let ticket = connection.ticket.clone();
                connection.source = None;
                world.network().finish(link);
                let index = self.index;
                world.note(|| format!("client {index} < refused {status}"));
                self.take_refusal(world, status, ticket.as_ref());
            }
            Event::Text(text) => {
                assert!(connection.takes_arrays || !text.starts_with('['), "an array that was not asked for: {text}");
                for text in messages_of(text) {
                    let claims = self.connection.as_ref().map_or(&[][..], |connection| &connection.claims);
                    for text in world.tamper.pass(link, claims, text) {
                        self.take_text(world, &text);
                        self.misname(world, &text);
                    }
                }
            }
            Event::Cursor(text) => self.take_cursor(world, &text),
            Event::Closed(code) => {
                let index = self.index;
                world.note(|| format!("client {index} < close {code:?}"));
                assert!(
                    code.is_none_or(|code| !CODES_OF_DEFECTS.contains(&code)),
                    "client {index} was closed with {code:?}"
                );
                if code == Some(DRAINING) && connection.id.is_some() && world.keeps_what_is_flushed() {
                    self.auditor.check_flushed(&world.truth);
                }
                connection.close_code = code;
                connection.phase = Phase::Closing;
                connection.socket.send_close();
                world.network().finish(link);
            }
            Event::Over => self.disconnected(world),
        }
    }

    /// The connection is over, for whatever reason.
    pub fn disconnected(&mut self, world: &mut World) {
        let index = self.index;
        self.farewell = None;
        world.confirmations.end(self.holder(), world.now_ns());
        world.note(|| format!("client {index} is disconnected"));
        if let Some(connection) = self.connection.take() {
            world.tamper.forget(connection.socket.link());
            self.source = connection.source;
        }
        self.auditor.disconnect();
    }

    fn take_text(&mut self, world: &mut World, text: &str) {
        let index = self.index;
        world.note(|| format!("client {index} < {text}"));
        let envelope: Value = serde_json::from_str(text).expect("the server sends JSON");
        let payload = &envelope["payload"];
        match envelope["type"].as_str().expect("a message has a type") {
            "authentication" => self.take_welcome(world, payload),
            "hashi:join" => self.take_joined(world, &envelope),
            "hashi:leave" => self.take_left(&envelope),
            "hashi:gap" => self.take_gap(world, payload),
            "hashi:position" => self.take_position(world, payload),
            "ack" => self.take_receipts(world, payload),
            "error" => self.take_error(world, &envelope),
            "heartbeat" | "hashi:drain" => {}
            _ => self.take_message(world, &envelope),
        }
    }

    pub fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("ok because it has just brought something")
    }

    fn take_welcome(&mut self, world: &mut World, payload: &Value) {
        if payload["success"] != true {
            return self.take_failure(world, payload);
        }
        self.refusals = 0;
        let connection = self.connection();
        let is_first = connection.id.is_none();
        if !is_first {
            return; // the answer to a refreshed token repeats what is known
        }
        if let Some(session) = &connection.bound_to {
            assert_eq!(payload["sessionId"], **session);
        }
        let id = text_of(&payload["connectionId"]);
        connection.phase = Phase::Open;
        connection.id = Some(id.clone());
        connection.named_ns = world.now_ns();
        world.confirmations.name(self.holder(), &id);
        (self.last_id, self.last_number) = (Some(id), self.connections);
        self.inherit(world, payload);
        let claims = std::mem::take(&mut self.connection().claims);
        for position in payload["positions"].as_array().expect("a welcome has positions") {
            let name = text_of(&position["sessionId"]);
            let claim = claims.iter().find(|(claimed, _)| *claimed == name).map(|(_, claim)| claim);
            if position["epoch"].is_null() {
                assert_eq!(position["recovered"], false);
                self.auditor.deny(&name);
            } else {
                self.begin(world, &name, &entry_of(position), claim);
            }
        }
    }

    fn take_failure(&mut self, world: &World, payload: &Value) {
        let connection = self.connection();
        connection.phase = Phase::Closing;
        match (text_of(&payload["code"]).as_str(), connection.ticket.clone()) {
            ("overloaded" | "forbidden" | "draining", _) => self.refusals += 1,
            ("invalid_token", Some(ticket)) if !ticket.is_surely_valid(world) => self.drop_ticket(),
            _ => panic!("refused: {payload}"),
        }
    }

    /// A connection that goes on for another is in its sessions, and does not hear what that one has said.
    fn inherit(&mut self, world: &World, payload: &Value) {
        self.farewell = None;
        let Some(old) = self.connection().inheritance.take().filter(|old| world.surely_remembers(old)) else {
            return;
        };
        let positions = payload["positions"].as_array().expect("a welcome has positions");
        let bound_to = self.connection().bound_to.clone();
        for name in old.sessions.into_iter().filter(|name| bound_to.as_ref().is_none_or(|only| only == name)) {
            let is_in =
                positions.iter().any(|position| position["sessionId"] == *name && position["epoch"].is_string());
            assert!(is_in, "client {} was in {name} and is not after a take-over: {payload}", self.index);
        }
        self.connection().known_as.extend(old.known_as);
    }

    fn begin(&mut self, world: &mut World, name: &str, entry: &Entry, claim: Option<&Claim>) {
        let is_free = self.connection().bound_to.as_ref().is_none_or(|only| only == name);
        assert!(is_free || name == cursor::personal(&self.user), "a ticket was for another session than {name}");
        let now_ns = world.now_ns();
        if claim.is_some() {
            self.connection().copies.replay(name);
        }
        if self.auditor.join(&world.truth, now_ns, name, entry, claim) {
            self.places.entry(name.to_owned()).or_default().start(&entry.epoch, entry.seq);
        }
    }

    fn take_joined(&mut self, world: &mut World, envelope: &Value) {
        let Some(Request::Join { name, claim }) = self.answered(envelope) else {
            panic!("an answer to a join that was not asked for");
        };
        assert_eq!(envelope["payload"]["sessionId"], *name);
        self.begin(world, &name, &entry_of(&envelope["payload"]), claim.as_ref());
    }

    fn take_left(&mut self, envelope: &Value) {
        let Some(Request::Leave { name }) = self.answered(envelope) else {
            panic!("an answer to a leave that was not asked for");
        };
        self.auditor.leave(&name);
    }

    /// The request that an answer answers; it is answered once.
    fn answered(&mut self, envelope: &Value) -> Option<Request> {
        self.connection().answered(envelope["replyTo"].as_str()?)
    }

    fn take_gap(&mut self, world: &mut World, payload: &Value) {
        if let Some(count) = payload["direct"].as_u64() {
            self.connection().direct_lost += count;
            return;
        }
        let name = text_of(&payload["sessionId"]);
        let now_ns = world.now_ns();
        let range = payload["from"].as_u64().zip(payload["to"].as_u64());
        assert!(range.is_none_or(|(from, to)| from <= to), "a gap that is empty: {payload}");
        self.auditor.lose(&name, range);
        if let (Some((from, to)), "expired") = (range, &*text_of(&payload["reason"])) {
            assert!(self.auditor.may_have_expired(&world.truth, &name, from, to, now_ns), "nothing expired: {payload}");
        }
        if let (Some((from, to)), Some(place)) = (range, self.places.get_mut(&name)) {
            place.lose(from, to);
            self.auditor.check_up_to(&world.truth, &name, place.position);
        }
    }

    fn take_position(&mut self, world: &mut World, payload: &Value) {
        assert!(self.connection().wants_positions, "a position for a client that did not ask for it");
        let (name, seq) = (text_of(&payload["sessionId"]), number(&payload["seq"]));
        self.auditor.place(&world.truth, &name, seq);
        self.places.get_mut(&name).expect("ok because the auditor knows the session").jump(seq);
    }

    fn source_mut(&mut self) -> &mut Source {
        self.connection().source.as_mut().expect("ok because only streams have cursors")
    }

    /// The cursor of a stream: everything up to it must have come or be accounted for, in all its sessions.
    fn take_cursor(&mut self, world: &World, text: &str) {
        let claims = cursor::read(text, &self.user);
        self.auditor.check_cursor(&world.truth, &claims);
        let before = cursor::read(&self.source_mut().last_id.clone(), &self.user);
        for (name, claim) in before {
            let mut now = claims.iter().filter(|(other, now)| *other == name && now.epoch == claim.epoch);
            assert!(now.all(|(_, now)| claim.seq <= now.seq), "the cursor went back from {} in {name}", claim.seq);
        }
        let source = self.source_mut();
        source.last_id = text.to_owned();
    }

    fn misname(&mut self, world: &World, text: &str) {
        let source = self.connection.as_ref().and_then(|connection| connection.source.as_ref());
        let cursor = source.and_then(|source| world.tamper.misname(&source.last_id, &self.user, text));
        if let Some(cursor) = cursor {
            self.take_cursor(world, &cursor);
        }
    }

    fn take_receipts(&mut self, world: &mut World, payload: &Value) {
        for result in payload["results"].as_array().expect("an ack has results") {
            let id = text_of(&result["id"]);
            let server = self.connection().life;
            if let Some(counts) = Counts::of(result) {
                let sent = world.truth.delivered(&self.user, &id);
                self.connection().outcomes_due.remove(&sent);
                world.truth.take_outcome(sent, server, counts);
                continue;
            }
            let Some(Request::Publish { number: sent, wants_receipt: true }) = self.connection().answered(&id) else {
                panic!("a receipt for {id}, which nobody waits for");
            };
            if world.truth.sent[sent].wish == Wish::Delivered {
                self.connection().outcomes_due.insert(sent);
            }
            world.truth.take_receipt(sent, server, result);
        }
    }

    fn take_error(&mut self, world: &World, envelope: &Value) {
        let code = text_of(&envelope["payload"]["code"]);
        match self.answered(envelope) {
            _ if code == "session_forbidden" => assert!(self.connection().bound_to.is_some(), "{envelope}"),
            Some(Request::Publish { number, .. }) if code == "id_reused" => {
                assert!(world.truth.may_be_reused(number), "the id of message {number} was used once");
            }
            Some(Request::Publish { .. }) => {
                assert!(matches!(&*code, "forbidden" | "not_found" | "overloaded"), "{code} for a message");
            }
            Some(Request::Join { .. }) => assert!(matches!(&*code, "forbidden" | "overloaded"), "{code} for a join"),
            Some(Request::Leave { .. }) => assert_eq!(code, "not_found"),
            Some(Request::Nonsense) | None => {}
        }
    }

    fn take_message(&mut self, world: &mut World, envelope: &Value) {
        let (sent_number, sent) = identify(world, envelope);
        if let Target::Session(name) = &sent.target {
            self.take_session_message(world, name, sent_number, &sent, envelope);
        } else {
            self.take_direct(world, sent_number, &sent, envelope);
        }
    }

    fn take_session_message(
        &mut self,
        world: &mut World,
        name: &str,
        sent_number: usize,
        sent: &Sent,
        envelope: &Value,
    ) {
        assert_eq!(envelope["sessionId"], *name);
        let (author, number_there) = sent.author;
        let is_own = author == self.index && self.connection().known_as.contains(&number_there);
        assert!(sent.echo || !is_own || sent.is_repeated, "client {} got back message {sent_number}", self.index);
        let seq = number(&envelope["seq"]);
        let place = self.places.get(name).unwrap_or_else(|| panic!("{envelope} before {name} was joined"));
        let now_ns = world.now_ns();
        world.truth.note(name, &place.epoch, seq, Seen::come(envelope, now_ns));
        let is_first = self.take_copy(world, sent_number, sent, envelope);
        self.auditor.arrive(&world.truth, name, seq, sent, is_first);
        if let Some(place) = self.places.get_mut(name) {
            place.arrive(seq);
        }
    }

    fn take_direct(&mut self, world: &mut World, sent_number: usize, sent: &Sent, envelope: &Value) {
        let Target::Connection(id) = &sent.target else {
            return;
        };
        let holder = self.holder();
        let connection = self.connection();
        let is_for_it = connection.id.as_ref() == Some(id);
        assert!(
            is_for_it || world.confirmations.is_heir(holder, id),
            "message {sent_number} is for another connection"
        );
        world.truth.direct.entry(sent_number).or_default().insert((connection.life, unix_ms_of(envelope)));
        let is_known = !connection.direct.insert((sent_number, unix_ms_of(envelope)));
        let is_first = self.take_copy(world, sent_number, sent, envelope);
        let is_allowed = || world.truth.may_be_forgotten(sent_number, &world.config);
        assert!(!is_known || !is_first || is_allowed(), "message {sent_number} came twice");
    }
}

/// The message that has come, as its author sent it, and its number.
pub fn identify(world: &mut World, envelope: &Value) -> (usize, Sent) {
    let number = number_of(&envelope["payload"]);
    let sent = world.truth.sent.get(number).unwrap_or_else(|| panic!("nobody sent {envelope}")).clone();
    assert_eq!(envelope["id"], *sent.id);
    assert_eq!(envelope["type"], *sent.kind);
    assert_eq!(envelope["from"], *sent.user);
    assert_eq!(envelope["key"].as_str(), sent.key);
    assert_eq!(envelope["priority"], *sent.priority.name());
    world.figures.handled += 1;
    (number, sent)
}

/// The messages of a frame: itself, or those of an array.
fn messages_of(text: String) -> Vec<String> {
    if !text.starts_with('[') {
        return vec![text];
    }
    let messages: Vec<Value> = serde_json::from_str(&text).expect("the server sends JSON");
    messages.iter().map(ToString::to_string).collect()
}

fn entry_of(position: &Value) -> Entry {
    Entry {
        epoch: text_of(&position["epoch"]),
        seq: number(&position["seq"]),
        recovered: position["recovered"].as_bool(),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is a string")).to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}
