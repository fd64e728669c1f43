//! A message sent over REST: a connection for one request, and its answer.

use serde_json::Value;

use super::confirmations::Counts;
use super::dice::Dice;
use super::http;
use super::network::{LinkId, Network};
use super::sent::Wish;
use super::truth::{Sent, Target, Truth};

/// Longest time that a letter asks the server to wait for confirmations, in milliseconds.
const WAIT_MS_MAX: u64 = 1_000;

pub struct Letter {
    link: LinkId,
    number: usize,
    /// How many servers there had been before the one that it goes to.
    server: u64,
    /// It names a connection, which may be gone when it arrives.
    names_connection: bool,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
}

impl Letter {
    /// `via` is a connection of its user, if it names one.
    pub fn post(
        network: &mut Network,
        dice: &mut Dice,
        server: u64,
        (number, sent): (usize, &Sent),
        via: Option<&str>,
    ) -> Self {
        let outbox = request(dice, number, sent, via);
        let link = network.connect(4_000);
        Self { link, number, server, names_connection: via.is_some(), outbox, inbox: Vec::new() }
    }

    /// Sends and reads what it can; whether it is done. A letter may be lost on its way, or its answer.
    pub fn step(&mut self, network: &mut Network, dice: &mut Dice, truth: &mut Truth) -> bool {
        let sent = network.send(self.link, &self.outbox);
        self.outbox.drain(..sent);
        if dice.chance(1) {
            network.reset(self.link);
        }
        if !network.has_news(self.link) {
            return false;
        }
        let received = network.receive(self.link, usize::MAX);
        self.inbox.extend(received.bytes);
        if received.is_over {
            self.read_answer(truth);
        }
        received.is_over
    }

    fn read_answer(&self, truth: &mut Truth) {
        let text = String::from_utf8_lossy(&self.inbox);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return;
        };
        let Ok(answer) = serde_json::from_str::<Value>(body) else {
            return; // it was cut off
        };
        let sent = &truth.sent[self.number];
        match head.split(' ').nth(1).expect("a status line has a status") {
            "200" | "202" => self.take_counts(truth, &answer),
            "503" => {}
            _ if self.names_connection && answer["field"] == "Hashi-Connection" => {}
            "403" => assert!(sent.scope().is_empty(), "{text}"),
            "409" => assert!(truth.may_be_reused(self.number), "{text}"),
            _ => panic!("{text}"),
        }
    }

    fn take_counts(&self, truth: &mut Truth, answer: &Value) {
        assert_eq!(answer["id"], *truth.sent[self.number].id);
        match Counts::of(answer) {
            Some(counts) if counts.sum() == counts.matched => truth.take_outcome(self.number, self.server, counts),
            Some(counts) => assert!(counts.sum() < counts.matched, "{answer}"),
            None => truth.take_receipt(self.number, self.server, answer),
        }
    }
}

/// The id stands in the body or in a header. Some letters wait for the outcome.
fn request(dice: &mut Dice, number: usize, sent: &Sent, via: Option<&str>) -> Vec<u8> {
    let mut envelope = sent.envelope(number);
    let mut headers = vec![("Connection", "close")];
    headers.extend(via.map(|id| ("Hashi-Connection", id)));
    if dice.chance(50) {
        headers.push(("Idempotency-Key", &sent.id));
        envelope.as_object_mut().expect("ok because it is an object").remove("id");
    }
    let is_for_session = matches!(&sent.target, Target::Session(name) if !name.starts_with('@'));
    let target = if sent.wish == Wish::Delivered && is_for_session && dice.chance(50) {
        format!("/ws-api/broadcast?wait=delivered&timeoutMs={}", dice.between(0, WAIT_MS_MAX))
    } else {
        "/ws-api/send".to_owned()
    };
    http::request("POST", &target, Some(&sent.user), &headers, &envelope.to_string())
}
