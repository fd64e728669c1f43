//! `hashi:gap`: what a connection has lost, told before anything that leaves after the loss.

use super::{Answer, Delivery};
use crate::message::MessageType;
use crate::message::encode::{write_json_string, write_number};
use crate::tables::owed::{Owed, Reason};

impl Delivery {
    /// Queues the gaps a row is owed, each before what it must be told before.
    pub fn pay_gaps(&mut self, slot: u32) {
        let all = self.tables.outputs.take_owed(slot);
        self.doubt_positions(slot, &all);
        for owed in all {
            let (session, payload) = match owed {
                Owed::Direct { count, reason } => {
                    self.totals.gaps[reason as usize] += 1;
                    (None, direct_payload(count, reason))
                }
                // The next life of a session that is gone has another epoch.
                Owed::Session { session, .. } if !self.tables.sessions.is_alive(session) => continue,
                Owed::Session { session, from, to, reason } => {
                    self.totals.gaps[reason as usize] += 1;
                    (Some(session), gap_payload(self.tables.sessions.name(session), Some((from, to)), reason))
                }
            };
            self.push_gap(slot, session, &payload);
        }
    }

    /// Tells a row that comes back what it has lost of a session, behind the answer that it just got.
    pub fn send_gap(&mut self, slot: u32, name: &str, range: Option<(u64, u64)>, reason: Reason) {
        self.totals.gaps[reason as usize] += 1;
        let payload = gap_payload(name, range, reason);
        self.answer(slot, &Answer { kind: MessageType::GAP, reply_to: None, session_id: None, payload: &payload });
    }
}

fn direct_payload(count: u64, reason: Reason) -> Vec<u8> {
    let mut out = b"{\"direct\":".to_vec();
    write_number(&mut out, count);
    write_reason(&mut out, reason);
    out
}

fn gap_payload(name: &str, range: Option<(u64, u64)>, reason: Reason) -> Vec<u8> {
    let mut out = b"{\"sessionId\":".to_vec();
    write_json_string(&mut out, name);
    match range {
        Some((from, to)) => {
            out.extend_from_slice(b",\"from\":");
            write_number(&mut out, from);
            out.extend_from_slice(b",\"to\":");
            write_number(&mut out, to);
        }
        None => out.extend_from_slice(b",\"from\":null,\"to\":null"),
    }
    write_reason(&mut out, reason);
    out
}

fn write_reason(out: &mut Vec<u8>, reason: Reason) {
    out.extend_from_slice(b",\"reason\":\"");
    out.extend_from_slice(reason.name().as_bytes());
    out.extend_from_slice(b"\"}");
}
