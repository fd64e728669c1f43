//! What was lost to a row and is not told yet.

use super::SessionId;
use super::messages::Place;

/// Why something was lost, as `hashi:gap` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The row's queue was over its limits.
    QueueOverflow,
    /// History no longer had it when the row's turn came.
    HistoryEvicted,
    /// The position that the client came back with is none of this life of the session.
    UnknownEpoch,
    /// Its sender gave it no more time.
    Expired,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::QueueOverflow, Self::HistoryEvicted, Self::UnknownEpoch, Self::Expired];

    /// The name in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueOverflow => "queue_overflow",
            Self::HistoryEvicted => "history_evicted",
            Self::UnknownEpoch => "unknown_epoch",
            Self::Expired => "expired",
        }
    }
}

/// A loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// Messages of a session: at least one of `from..=to`.
    Session {
        /// The session.
        session: SessionId,
        /// The lowest position lost.
        from: u64,
        /// The highest position lost.
        to: u64,
        /// Why.
        reason: Reason,
    },
    /// Messages without a sequence.
    Direct {
        /// How many.
        count: u64,
        /// Why.
        reason: Reason,
    },
}

impl Owed {
    /// One message that was past its time; `place` is where it was in a session.
    pub fn expired(place: Option<Place>) -> Self {
        let reason = Reason::Expired;
        place.map_or(Self::Direct { count: 1, reason }, |Place { session, seq }| Self::Session {
            session,
            from: seq,
            to: seq,
            reason,
        })
    }

    /// Checks that something was lost.
    pub(super) fn invariants(&self) {
        match self {
            Self::Session { from, to, .. } => assert!(from <= to),
            Self::Direct { count, .. } => assert!(*count > 0),
        }
    }
}

/// Adds `loss` to what is owed if both are of one kind, session and reason. What has expired is told as it is, position by
/// position, because what lies between often arrives; with `may_widen`, as one range.
pub(super) fn merge(owed: &mut Owed, loss: Owed, may_widen: bool) -> bool {
    match (owed, loss) {
        (
            Owed::Session { session, from, to, reason },
            Owed::Session { session: other, from: lower, to: upper, reason: why },
        ) if (*session, *reason) == (other, why)
            && (may_widen || why != Reason::Expired || (lower <= *to + 1 && *from <= upper + 1)) =>
        {
            *from = (*from).min(lower);
            *to = (*to).max(upper);
            true
        }
        (Owed::Direct { count, reason }, Owed::Direct { count: more, reason: why }) if *reason == why => {
            *count += more;
            true
        }
        _ => false,
    }
}
