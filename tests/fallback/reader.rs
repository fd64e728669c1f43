//! A client that follows the rules of docs/PROTOCOL.md: it counts positions, handles each message once, and writes its
//! positions as a cursor.

use super::common::json;
use super::encode;
use simd_json::OwnedValue;
use simd_json::json;
use simd_json::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Where it stands in one session.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub epoch: String,
    pub seq: u64,
    /// Handled beyond `seq`.
    ahead: BTreeSet<u64>,
}

/// Over all its connections.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    pub places: BTreeMap<String, Place>,
    /// The ids of what its handler got.
    pub handled: Vec<String>,
}

impl Reader {
    /// Takes a message from any transport.
    #[track_caller]
    pub fn take(&mut self, message: &OwnedValue) {
        match json::string(message, "type") {
            "authentication" => self.take_welcome(message),
            "hashi:gap" => panic!("nothing is lost here: {}", message.encode()),
            "custom" => self.take_custom(message),
            _ => {}
        }
    }

    #[track_caller]
    fn take_welcome(&mut self, message: &OwnedValue) {
        let positions = json::find(message, "payload.positions").and_then(|list| list.as_array()).expect("positions");
        for position in positions {
            let name = json::string(position, "sessionId").to_owned();
            let epoch = json::string(position, "epoch").to_owned();
            if let Some(place) = self.places.get(&name) {
                assert!(json::boolean(position, "recovered"), "{}", message.encode());
                assert_eq!(epoch, place.epoch);
            } else {
                let seq = json::number(position, "seq");
                self.places.insert(name, Place { epoch, seq, ahead: BTreeSet::new() });
            }
        }
    }

    #[track_caller]
    fn take_custom(&mut self, message: &OwnedValue) {
        let seq = json::number(message, "seq");
        let place = self.places.get_mut(json::string(message, "sessionId")).expect("a session it is in");
        if seq <= place.seq || !place.ahead.insert(seq) {
            return; // handled already
        }
        while place.ahead.remove(&(place.seq + 1)) {
            place.seq += 1;
        }
        self.handled.push(json::string(message, "id").to_owned());
    }

    /// Its positions as a cursor for a query.
    pub fn cursor(&self) -> String {
        let place = |(name, place): (&String, &Place)| {
            let name = if name.starts_with('@') { "~".to_owned() } else { encode(name) };
            format!("{name}:{}:{}", place.epoch, place.seq)
        };
        self.places.iter().map(place).collect::<Vec<_>>().join(",")
    }

    /// Takes the positions that a cursor says.
    #[track_caller]
    pub fn take_cursor(&mut self, cursor: &str, user: &str) {
        for text in cursor.split(',') {
            let parts: Vec<&str> = text.split(':').collect();
            let [name, epoch, seq] = parts[..] else { panic!("{text:?} is no place") };
            let name = match name {
                "~" => format!("@{user}"),
                name => percent_encoding::percent_decode_str(name).decode_utf8().expect("UTF-8").into_owned(),
            };
            let seq = seq.parse().expect("a number");
            self.places.insert(name, Place { epoch: epoch.to_owned(), seq, ahead: BTreeSet::new() });
        }
    }

    /// Its positions as `authentication` takes them.
    pub fn resume(&self) -> OwnedValue {
        let positions: Vec<OwnedValue> = self
            .places
            .iter()
            .map(|(name, place)| json!({"sessionId": name.clone(), "epoch": place.epoch.clone(), "seq": place.seq}))
            .collect();
        json!({"positions": positions})
    }
}
