//! Message types by name, and the three priorities.

use crate::config::limits::TYPE_BYTES_MAX;

/// The names of the types the protocol speaks of. Any other name is allowed for an application's own messages.
pub struct MessageType;

impl MessageType {
    /// A long-running operation began.
    pub const OPERATION_STARTED: &'static str = "operation_started";
    /// A long-running operation moved on.
    pub const OPERATION_PROGRESS: &'static str = "operation_progress";
    /// A long-running operation ended well.
    pub const OPERATION_COMPLETED: &'static str = "operation_completed";
    /// A long-running operation ended with an error.
    pub const OPERATION_FAILED: &'static str = "operation_failed";
    /// A shared structure was edited.
    pub const STRUCTURE_CHANGE: &'static str = "structure_change";
    /// A member of the session selected something.
    pub const SELECTION_UPDATE: &'static str = "selection_update";
    /// A note for people.
    pub const NOTIFICATION: &'static str = "notification";
    /// An application's own message without a type of its own.
    pub const CUSTOM: &'static str = "custom";
    /// Authentication and its answer.
    pub const AUTHENTICATION: &'static str = "authentication";
    /// A liveness probe and its answer.
    pub const HEARTBEAT: &'static str = "heartbeat";
    /// A confirmation.
    pub const ACK: &'static str = "ack";
    /// An error answer.
    pub const ERROR: &'static str = "error";
    /// Joins a session.
    pub const JOIN: &'static str = "hashi:join";
    /// Leaves a session.
    pub const LEAVE: &'static str = "hashi:leave";
    /// Declares lost messages.
    pub const GAP: &'static str = "hashi:gap";
    /// Tells a client where it stands in a session.
    pub const POSITION: &'static str = "hashi:position";
    /// Announces that the server goes away.
    pub const DRAIN: &'static str = "hashi:drain";
}

/// The prefix of the system's own types.
const SYSTEM_PREFIX: &str = "hashi:";
/// The prefix of the operation types, whose payload's `operationId` is their key.
pub const OPERATION_PREFIX: &str = "operation_";

/// Whether only the server may give `kind` a meaning: nobody publishes such a type.
pub fn is_reserved(kind: &str) -> bool {
    matches!(kind, MessageType::AUTHENTICATION | MessageType::HEARTBEAT | MessageType::ACK | MessageType::ERROR)
        || kind.starts_with(SYSTEM_PREFIX)
}

/// Whether `kind` is a well-formed type name: 1 to 64 of `A-Z a-z 0-9 _ . : / -`.
pub fn is_type_name(kind: &str) -> bool {
    (1..=TYPE_BYTES_MAX).contains(&kind.len())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'/' | b'-'))
}

/// How urgent a message is. `High` overtakes the others; `Normal` and `Low` share the line 8:1 by bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// Before everything else.
    High = 0,
    /// The default.
    #[default]
    Normal = 1,
    /// When there is room.
    Low = 2,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

    /// The priority's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }

    /// The priority of a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "high" => Some(Priority::High),
            "normal" => Some(Priority::Normal),
            "low" => Some(Priority::Low),
            _ => None,
        }
    }

    /// The index of the priority's ring.
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_name(priority.name()), Some(priority));
        }
        assert_eq!(Priority::from_name("urgent"), None);
    }

    #[test]
    fn type_names_are_checked_at_their_bounds() {
        assert!(is_type_name("a"));
        assert!(is_type_name(&"x".repeat(64)));
        assert!(is_type_name("A-z_0.9:/"));
        assert!(!is_type_name(""));
        assert!(!is_type_name(&"x".repeat(65)));
        assert!(!is_type_name("a b"));
        assert!(!is_type_name("é"));
    }

    #[test]
    fn only_the_server_s_own_types_are_reserved() {
        for kind in ["authentication", "heartbeat", "ack", "error", "hashi:join", "hashi:anything"] {
            assert!(is_reserved(kind), "{kind}");
        }
        for kind in ["custom", "notification", "hashi", "Error", "operation_started"] {
            assert!(!is_reserved(kind), "{kind}");
        }
    }
}
