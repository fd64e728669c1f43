//! How a publisher words its messages: their priority, which of them share a key, and the session they go to.
//!
//! A publisher's number stands for one connection, session and priority, because that is what the protocol orders by: a
//! connection that speaks at two priorities, or to two sessions, is two publishers here.

/// The priority of a publisher's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    High,
    Normal,
    Low,
}

/// Which messages of a publisher share type and key. Of those, a newer one may replace an older one that is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keying {
    /// None has a key.
    None,
    /// So many keys, in turn.
    Cycle(u64),
    /// Operations of so many steps, one after the other: `operation_started`, then `operation_progress`, and at the end
    /// `operation_completed`. The server makes the operation the key of each; started and completed are types of their own.
    Operation(u64),
}

impl Keying {
    /// The next number with the type and key of this one.
    pub fn successor(self, number: u64) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Cycle(keys) => Some(number + keys),
            Self::Operation(steps) => {
                let step = number % steps;
                // Both of them must be progress, thus neither first nor last.
                (step > 0 && step + 2 < steps).then_some(number + 1)
            }
        }
    }
}

/// The wording of one publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wording {
    pub priority: Priority,
    pub keying: Keying,
    /// The session its messages name; `None` for the connection's own.
    pub session: Option<u32>,
}

impl Wording {
    /// Normal messages without keys to the connection's own session.
    pub const PLAIN: Self = Self { priority: Priority::Normal, keying: Keying::None, session: None };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_one_type_and_key_replace_each_other() {
        assert_eq!(Keying::None.successor(3), None);
        assert_eq!(Keying::Cycle(4).successor(3), Some(7));
        let successors: Vec<_> = (0..10).map(|number| Keying::Operation(5).successor(number)).collect();
        assert_eq!(successors, [None, Some(2), Some(3), None, None, None, Some(7), Some(8), None, None]);
        assert!((0..6).all(|number| Keying::Operation(3).successor(number).is_none()));
    }
}
