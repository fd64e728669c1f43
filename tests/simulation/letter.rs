//! A message sent over REST: a connection for one request, and its answer.

use serde_json::{Value, json};

use super::dice::Dice;
use super::network::{LinkId, Network};
use super::truth::{Receipt, Sent, Target, Truth};

pub struct Letter {
    link: LinkId,
    number: usize,
    /// It names a connection, which may be gone when it arrives.
    names_connection: bool,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
}

impl Letter {
    pub fn post(network: &mut Network, number: usize, sent: &Sent, pad: usize, via: Option<String>) -> Self {
        let Target::Session(name) = &sent.target else {
            unreachable!("letters go to sessions");
        };
        let payload = json!({ "n": number, "pad": "x".repeat(pad) });
        let mut envelope = json!({ "id": sent.id, "type": sent.kind, "sessionId": name, "payload": payload });
        envelope["priority"] = sent.priority.name().into();
        if let Some(key) = sent.key {
            envelope["key"] = key.into();
        }
        envelope["echo"] = sent.echo.into();
        if let Some(time_ms) = sent.expires_in_ms {
            envelope["expiresIn"] = time_ms.into();
        }
        let via_field = via.as_ref().map_or(String::new(), |id| format!("Hashi-Connection: {id}\r\n"));
        let body = envelope.to_string();
        let head = format!(
            "POST /ws-api/send HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n{via_field}Connection: close\r\n\r\n",
            sent.user,
            body.len()
        );
        let link = network.connect(4_000);
        Self { link, number, names_connection: via.is_some(), outbox: (head + &body).into(), inbox: Vec::new() }
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
        let is_refused = self.names_connection && answer["field"] == "Hashi-Connection";
        if is_refused || head.starts_with("HTTP/1.1 503 ") {
            return;
        }
        assert!(head.starts_with("HTTP/1.1 202 "), "{text}");
        assert_eq!(answer["id"], *truth.sent[self.number].id);
        let matched = answer["matched"].as_u64().expect("an answer says how many it was for");
        truth.receipts.insert(self.number, Receipt { seq: answer["seq"].as_u64(), matched });
    }
}
