//! Polls: what history holds after a position, for a client without a connection.

use super::Delivery;
use crate::config::limits::{POLL_BYTES_MAX, POLL_MESSAGES_MAX};
use crate::tables::MessageId;
use crate::tables::polls::Stand;
use crate::wire::websocket::text_of;

/// What a poll gets.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// The messages, session after session, each in the order of positions.
    pub messages: Vec<MessageId>,
    /// Where the client stands once it has them.
    pub stands: Vec<Stand>,
}

impl Delivery {
    /// The messages after `stands`, as many as one answer takes, without those that are hidden from `hidden_from`.
    /// Where there are no more, the client stands at the session's head.
    pub fn read_after(&self, stands: &[Stand], hidden_from: u64) -> Polled {
        let mut polled = Polled::default();
        let mut bytes = 0;
        for stand in stands {
            let seq = self.read_session(*stand, hidden_from, &mut bytes, &mut polled.messages);
            polled.stands.push(Stand { seq, ..*stand });
        }
        polled
    }

    /// Reads one session; where the client then stands in it.
    fn read_session(&self, stand: Stand, hidden_from: u64, bytes: &mut usize, out: &mut Vec<MessageId>) -> u64 {
        let tables = &self.tables;
        let mut seq = stand.seq;
        for (next, id) in tables.history.after(stand.session, stand.seq) {
            let description = tables.messages.description(id);
            let hidden = description.hidden_from;
            let has_expired = description.expires_ns != 0 && description.expires_ns <= self.now.ns;
            if !has_expired && (hidden == 0 || hidden != hidden_from) {
                *bytes += tables.messages.frame(id).len();
                if !out.is_empty() && (out.len() >= POLL_MESSAGES_MAX || *bytes > POLL_BYTES_MAX) {
                    return seq;
                }
                out.push(id);
            }
            seq = next;
        }
        tables.sessions.head(stand.session)
    }

    /// Writes messages as a JSON array.
    pub fn write_messages(&self, out: &mut Vec<u8>, messages: &[MessageId]) {
        out.push(b'[');
        for (index, &id) in messages.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(
                text_of(self.tables.messages.frame(id)).expect("ok because history keeps text frames"),
            );
        }
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::delivery::{Author, Publication};
    use crate::message::Priority;
    use crate::tables::SessionId;

    fn publish(delivery: &mut Delivery, session: SessionId, payload: &[u8], priority: Priority) {
        let publication = Publication {
            id: "m",
            kind: "t",
            priority,
            from: Author::Server,
            key: None,
            reply_to: None,
            meta: None,
            expires_in_ms: None,
            guarantee: crate::message::Guarantee::Once,
            payload,
        };
        delivery.publish(session, None, &publication).unwrap();
    }

    fn bench() -> (Delivery, [SessionId; 2]) {
        let config = Config { history_messages: 10_000, history_bytes: 1 << 24, ..Config::default() };
        let mut delivery = Delivery::new(&config, [7; 32]);
        let sessions = ["a", "b"].map(|name| delivery.open_session(name).unwrap());
        (delivery, sessions)
    }

    fn stands(sessions: [SessionId; 2], seqs: [u64; 2]) -> [Stand; 2] {
        [0, 1].map(|at| Stand { session: sessions[at], seq: seqs[at] })
    }

    #[test]
    fn all_priorities_come_in_the_order_of_positions() {
        let (mut delivery, sessions) = bench();
        for priority in [Priority::Low, Priority::High, Priority::Normal] {
            publish(&mut delivery, sessions[0], b"1", priority);
        }
        publish(&mut delivery, sessions[1], b"2", Priority::High);
        let polled = delivery.read_after(&stands(sessions, [1, 0]), 0);
        let places = polled.messages.iter().map(|&id| delivery.tables.messages.description(id).place.unwrap());
        let places: Vec<_> = places.map(|place| (place.session, place.seq)).collect();
        assert_eq!(places, [(sessions[0], 2), (sessions[0], 3), (sessions[1], 1)]);
        assert_eq!(polled.stands, stands(sessions, [3, 1]));
        let mut out = Vec::new();
        delivery.write_messages(&mut out, &polled.messages);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap().as_array().unwrap().len(), 3);
    }

    #[test]
    fn one_answer_is_bounded_and_the_next_goes_on() {
        let (mut delivery, sessions) = bench();
        for _ in 0..POLL_MESSAGES_MAX + 5 {
            publish(&mut delivery, sessions[0], b"1", Priority::Normal);
        }
        let large = vec![b'7'; POLL_BYTES_MAX + 1];
        publish(&mut delivery, sessions[1], &large, Priority::Normal);
        publish(&mut delivery, sessions[1], b"1", Priority::Normal);
        let mut at = stands(sessions, [0, 0]).to_vec();
        let mut counts = Vec::new();
        while counts.last() != Some(&0) {
            let polled = delivery.read_after(&at, 0);
            counts.push(polled.messages.len());
            at = polled.stands;
        }
        assert_eq!(counts, [POLL_MESSAGES_MAX, 5, 1, 1, 0]);
        assert_eq!(at, stands(sessions, [POLL_MESSAGES_MAX as u64 + 5, 2]));
    }
}
