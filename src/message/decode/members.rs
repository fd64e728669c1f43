//! The members of an envelope by name, and which of them were seen.

use crate::config::limits::UNKNOWN_MEMBERS_MAX;
use crate::message::{ErrorCode, ProtocolError};

/// The known members, in the order of their bits in the set of those seen.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Member {
    Id,
    Type,
    Timestamp,
    Priority,
    SessionId,
    Payload,
    Key,
    Ack,
    Reliable,
    To,
    Echo,
    ReplyTo,
    ExpiresIn,
    Meta,
    Version,
    Base,
    Encoding,
}

impl Member {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "type" => Self::Type,
            "timestamp" => Self::Timestamp,
            "priority" => Self::Priority,
            "sessionId" => Self::SessionId,
            "payload" => Self::Payload,
            "key" => Self::Key,
            "ack" => Self::Ack,
            "reliable" => Self::Reliable,
            "to" => Self::To,
            "echo" => Self::Echo,
            "replyTo" => Self::ReplyTo,
            "expiresIn" => Self::ExpiresIn,
            "meta" => Self::Meta,
            "version" => Self::Version,
            "base" => Self::Base,
            "encoding" => Self::Encoding,
            _ => return None,
        })
    }
}

/// Which members were seen: known ones as bits, unknown ones by name.
#[derive(Default)]
pub(super) struct Seen<'a> {
    known: u32,
    unknown: [&'a str; UNKNOWN_MEMBERS_MAX],
    unknown_count: usize,
}

impl<'a> Seen<'a> {
    pub(super) fn add_known(&mut self, member: Member) -> bool {
        let bit = 1 << member as u8;
        let new = self.known & bit == 0;
        self.known |= bit;
        new
    }

    pub(super) fn add_unknown(&mut self, name: &'a str) -> Result<(), ProtocolError> {
        if self.unknown[..self.unknown_count].contains(&name) {
            return Err(duplicate());
        }
        let Some(place) = self.unknown.get_mut(self.unknown_count) else {
            return Err(ProtocolError::with_message(ErrorCode::BadMessage, "The envelope has too many members."));
        };
        *place = name;
        self.unknown_count += 1;
        Ok(())
    }
}

pub(super) fn duplicate() -> ProtocolError {
    ProtocolError::with_message(ErrorCode::BadMessage, "The envelope holds a member twice.")
}
