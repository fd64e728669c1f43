//! Polls: what history holds after a position, for a client without a connection.

use super::Delivery;
use crate::config::limits::{POLL_BYTES_MAX, POLL_MESSAGES_MAX};
use crate::tables::expired::Expired;
use crate::tables::polls::Stand;
use crate::tables::{MessageId, SessionId};
use crate::wire::websocket::text_of;

/// What a poll gets.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// The messages, session after session, each in the order of positions.
    pub messages: Vec<MessageId>,
    /// Where the client stands once it has them.
    pub stands: Vec<Stand>,
    /// Whether something for the client, up to there, was past its expiry.
    pub has_expired: bool,
}

impl Polled {
    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        !self.messages.is_empty() || self.has_expired
    }
}

impl Delivery {
    /// The messages after `stands`, as many as one answer takes, without those that are hidden from `hidden_from`.
    /// Where there are no more, the client stands at the session's head.
    pub fn read_after(&self, stands: &[Stand], hidden_from: u64) -> Polled {
        let mut polled = Polled::default();
        let mut bytes = 0;
        for &Stand { session, seq } in stands {
            let end = self.read_session(session, seq, hidden_from, &mut bytes, &mut polled);
            let is_missed = |expired: Expired| expired.from <= end && is_for(hidden_from, expired.hidden_from);
            polled.has_expired |= self.tables.history.expired_after(session, seq).any(is_missed);
            polled.stands.push(Stand { session, seq: end });
        }
        polled
    }

    /// Reads one session; where the client then stands in it.
    fn read_session(&self, session: SessionId, seq: u64, reader: u64, bytes: &mut usize, out: &mut Polled) -> u64 {
        let tables = &self.tables;
        let mut end = seq;
        for (next, id) in tables.history.after(session, seq) {
            let description = tables.messages.description(id);
            let is_for_reader = is_for(reader, description.hidden_from);
            if is_for_reader && description.is_expired(self.now.ns) {
                out.has_expired = true;
            } else if is_for_reader {
                *bytes += tables.messages.frame(id).len();
                if !out.messages.is_empty() && (out.messages.len() >= POLL_MESSAGES_MAX || *bytes > POLL_BYTES_MAX) {
                    return end;
                }
                out.messages.push(id);
            }
            end = next;
        }
        tables.sessions.head(session)
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

/// Whether something is for a reader that does not get what is hidden from it; zero hides nothing.
const fn is_for(reader: u64, hidden_from: u64) -> bool {
    hidden_from == 0 || hidden_from != reader
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::delivery::Publication;
    use crate::message::Priority;

    fn publish(delivery: &mut Delivery, session: SessionId, payload: &[u8], priority: Priority) {
        publish_for(delivery, session, payload, priority, None);
    }

    fn publish_for(
        delivery: &mut Delivery,
        session: SessionId,
        payload: &[u8],
        priority: Priority,
        expires_in_ms: Option<u64>,
    ) {
        let publication = Publication { expires_in_ms, ..Publication::plain(priority, payload) };
        delivery.publish(session, None, &publication).unwrap();
    }

    fn bench() -> (Delivery, [SessionId; 2]) {
        let config = Config { history_messages: 10_000, history_bytes: 1 << 24, ..Config::default() };
        let mut delivery = Delivery::new(&config, [7; 32]);
        let sessions = ["a", "b"].map(|name| delivery.open_session(name).unwrap());
        (delivery, sessions)
    }

    /// What expires and is not taken out yet, or no longer kept, is told once the reader is past it.
    #[test]
    fn what_has_expired_is_noted_where_it_was() {
        let (mut delivery, sessions) = bench();
        for (payload, expires_in_ms) in [(&b"1"[..], None), (b"2", Some(5)), (b"3", None)] {
            publish_for(&mut delivery, sessions[0], payload, Priority::Normal, expires_in_ms);
        }
        let read = |delivery: &Delivery, seqs| {
            let polled = delivery.read_after(&stands(sessions, seqs), 0);
            (polled.messages.len(), polled.has_expired)
        };
        assert_eq!(read(&delivery, [0, 0]), (3, false));
        delivery.now.ns += 5_000_000;
        assert_eq!(read(&delivery, [0, 0]), (2, true), "it is due");
        delivery.expire_messages();
        assert_eq!(read(&delivery, [0, 0]), (2, true), "it is gone");
        assert_eq!(read(&delivery, [1, 0]), (1, true));
        assert_eq!(read(&delivery, [2, 0]), (1, false), "it was told before");
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
