//! Resume: a client that comes back goes on where it left off, if history still has all that it missed.

use super::Delivery;
use crate::message::system::Claim;
use crate::tables::SessionId;
use crate::tables::expired::Expired;
use crate::tables::owed::{Owed, Reason};

/// What became of a client's claim to a position in a session that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Where it starts: at its own position, or at the session's head.
    pub seq: u64,
    /// What it lost; `None` when everything it missed follows.
    pub loss: Option<Loss>,
}

impl Resumed {
    /// Where the client stood, if that is a position in this life of the session.
    pub fn position(&self) -> Option<u64> {
        match self.loss {
            None => Some(self.seq),
            Some(loss) => loss.range.map(|(from, _)| from - 1),
        }
    }
}

/// What cannot be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Positions, both included, where they are known.
    pub range: Option<(u64, u64)>,
    /// Why.
    pub reason: Reason,
}

impl Delivery {
    /// Lets a member of a session go on where it says it stood. What it missed is fed to it from history.
    pub fn resume(&mut self, slot: u32, session: SessionId, claim: &Claim) -> Resumed {
        let resumed = self.check_claim(session, claim);
        if resumed.loss.is_none() {
            let tables = &mut self.tables;
            if resumed.seq < tables.sessions.head(session) {
                tables.outputs.resume_after(slot, session, resumed.seq, &mut tables.messages);
                self.declare_expired(slot, session, resumed.seq);
            }
            self.totals.resumed += 1;
        }
        resumed
    }

    /// Whether history has all that a client missed that says where it stood.
    pub fn check_claim(&self, session: SessionId, claim: &Claim) -> Resumed {
        let tables = &self.tables;
        let head = tables.sessions.head(session);
        let is_known = claim.epoch.as_ref() == Some(&tables.sessions.epoch(session));
        let Some(seq) = claim.seq.filter(|&seq| is_known && seq <= head) else {
            return Resumed { seq: head, loss: Some(Loss { range: None, reason: Reason::UnknownEpoch }) };
        };
        if !tables.history.covers(session, seq) {
            let range = Some((seq + 1, head));
            return Resumed { seq: head, loss: Some(Loss { range, reason: Reason::HistoryEvicted }) };
        }
        Resumed { seq, loss: None }
    }

    /// What has expired after a position was not for the row if its own connection, or one that it goes on for, had left
    /// itself out.
    fn declare_expired(&mut self, slot: u32, session: SessionId, seq: u64) {
        let tables = &mut self.tables;
        for Expired { from, to, hidden_from } in tables.history.expired_after(session, seq) {
            if !tables.connections.is_known_as(slot, hidden_from) {
                let from = from.max(seq + 1);
                tables.outputs.owe(slot, Owed::Session { session, from, to, reason: Reason::Expired });
            }
        }
    }
}
