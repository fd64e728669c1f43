//! What a client remembers of a session, by the rules that docs/PROTOCOL.md gives to clients.

use super::common::client::Client;
use super::common::json;
use super::common::server::TestServer;
use super::{SESSION, entry};
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The receive buffer of these clients: the server feels soon that they do not read.
const NARROW_BYTES: usize = 4_096;

/// The user they belong to.
pub const USER: &str = "reader";

/// A client's memory of the session `s`. It outlives its connections.
#[derive(Default)]
pub struct Memory {
    connection_id: Option<String>,
    epoch: String,
    /// Where it stands.
    pub seq: u64,
    handled: BTreeSet<u64>,
    /// Losses told that begin beyond the position.
    ahead: Vec<RangeInclusive<u64>>,
    /// The messages that it has handled, in this order.
    pub ids: Vec<String>,
    /// Messages that came again and were passed over.
    pub repeated: usize,
    /// Losses told.
    pub gaps: Vec<RangeInclusive<u64>>,
}

impl Memory {
    /// Connects for the first time, or goes on where the last connection ended.
    #[track_caller]
    pub fn connect(&mut self, server: &TestServer) -> Client {
        let mut client = Client::anonymous_narrow(server.address, NARROW_BYTES);
        client.welcome = client.authenticate(self.authentication());
        self.take_welcome(&client.welcome);
        client
    }

    fn authentication(&self) -> OwnedValue {
        let mut payload = json!({"token": USER, "sessionId": SESSION, "features": ["resume"]});
        if let Some(connection_id) = self.connection_id.as_deref() {
            let position = super::position(SESSION, &self.epoch, self.seq);
            payload
                .insert("resume", json!({"connectionId": connection_id, "positions": [position]}))
                .expect("ok because a payload is an object");
        }
        payload
    }

    #[track_caller]
    fn take_welcome(&mut self, welcome: &OwnedValue) {
        let position = entry(welcome, SESSION);
        let epoch = json::string(position, "epoch").to_owned();
        if self.connection_id.is_some() {
            assert!(json::boolean(position, "recovered"), "{}", welcome.encode());
            assert_eq!((&self.epoch, self.seq), (&epoch, json::number(position, "seq")), "{}", welcome.encode());
        }
        self.connection_id = Some(json::string(welcome, "payload.connectionId").to_owned());
        (self.epoch, self.seq) = (epoch, json::number(position, "seq"));
    }

    /// Takes one message.
    #[track_caller]
    pub fn take(&mut self, message: &OwnedValue) {
        match json::string(message, "type") {
            "hashi:gap" => self.take_gap(&message["payload"]),
            "hashi:position" => self.seq = self.seq.max(json::number(message, "payload.seq")),
            "hashi:join" => self.seq = json::number(message, "payload.seq"),
            "authentication" => self.seq = json::number(entry(message, SESSION), "seq"),
            _ => self.handle(message),
        }
        self.step();
    }

    fn take_gap(&mut self, gap: &OwnedValue) {
        let range = json::number(gap, "from")..=json::number(gap, "to");
        self.gaps.push(range.clone());
        self.ahead.push(range);
    }

    fn handle(&mut self, message: &OwnedValue) {
        if self.handled.insert(json::number(message, "seq")) {
            self.ids.push(json::string(message, "id").to_owned());
        } else {
            self.repeated += 1;
        }
    }

    /// Goes on over what has arrived and what is lost.
    fn step(&mut self) {
        loop {
            let lost = self.ahead.iter().position(|range| *range.start() <= self.seq + 1);
            match lost {
                Some(at) => self.seq = self.seq.max(*self.ahead.swap_remove(at).end()),
                None if self.handled.contains(&(self.seq + 1)) => self.seq += 1,
                None => return,
            }
        }
    }

    /// Takes so many messages.
    #[track_caller]
    pub fn read(&mut self, client: &mut Client, count: usize) {
        for _ in 0..count {
            self.take(&client.receive());
        }
    }

    /// Takes messages until this one is handled.
    #[track_caller]
    pub fn read_until(&mut self, client: &mut Client, id: &str) {
        while self.ids.last().is_none_or(|last| last != id) {
            self.take(&client.receive());
        }
    }
}
