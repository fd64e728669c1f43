//! From the tape of a parsed envelope to an [`Envelope`]: every member is checked.

use std::ops::Range;

use simd_json::{Node, StaticNode};

use super::members::{Member, Seen, duplicate};
use super::{DecodeError, Shape, offset_u32};
use crate::config::limits::{ID_BYTES_MAX, KEY_BYTES_MAX, META_BYTES_MAX};
use crate::message::kind::{OPERATION_PREFIX, is_type_name};
use crate::message::names::{BAD_SESSION, is_session_name, is_user_id, parse_connection_id};
use crate::message::timestamp::is_rfc3339;
use crate::message::{Ack, Envelope, ErrorCode, MessageType, Priority, ProtocolError, Target};

/// Walks the top level of a parsed envelope.
pub(super) struct Reader<'t, 'a> {
    pub(super) frame: &'a [u8],
    /// Address of the first byte of the copy that the tape's strings point into.
    pub(super) base: usize,
    pub(super) structurals: &'t [u32],
    pub(super) nodes: &'t [Node<'a>],
}

/// Nodes that a value takes on the tape.
fn node_count(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
        _ => 1,
    }
}

impl<'a> Reader<'_, 'a> {
    pub(super) fn read(&self, shape: Shape) -> Result<Envelope<'a>, DecodeError> {
        let Some(&Node::Object { len, .. }) = self.nodes.first() else {
            let error = ProtocolError::with_message(ErrorCode::BadMessage, "This is not a JSON object.").at(0);
            return Err(DecodeError::Rejected { error, reply_to: None });
        };
        let mut envelope = Envelope {
            id: None,
            kind: "",
            priority: Priority::Normal,
            session_id: None,
            payload: None,
            key: None,
            ack: Ack::Nothing,
            reliable: false,
            to: None,
            echo: None,
            reply_to: None,
            meta: None,
            expires_in_ms: None,
        };
        let result = self
            .read_members(len, &mut envelope)
            .and_then(|payload_at| self.check_whole(&mut envelope, payload_at, shape));
        match result {
            Ok(()) => Ok(envelope),
            Err(error) => Err(DecodeError::Rejected { error, reply_to: self.find_id() }),
        }
    }

    /// Reads every member; returns the payload's place on the tape.
    fn read_members(&self, len: usize, envelope: &mut Envelope<'a>) -> Result<Option<usize>, ProtocolError> {
        let mut seen = Seen::default();
        let mut payload_at = None;
        let mut at = 1;
        for _ in 0..len {
            let name = self.text(at).unwrap_or(""); // ok because a member's name is a string
            match Member::from_name(name) {
                Some(member) if !seen.add_known(member) => {
                    return Err(duplicate().at(self.place_of(name)));
                }
                Some(Member::Payload) => {
                    payload_at = Some(at + 1);
                    envelope.payload = Some(&self.frame[self.value_span(name)]);
                }
                Some(member) => self.read_member(member, name, at + 1, envelope)?,
                None => seen.add_unknown(name).map_err(|e| e.at(self.place_of(name)))?,
            }
            at += 1 + node_count(&self.nodes[at + 1]);
        }
        Ok(payload_at)
    }

    fn read_member(
        &self,
        member: Member,
        name: &'a str,
        at: usize,
        envelope: &mut Envelope<'a>,
    ) -> Result<(), ProtocolError> {
        match member {
            Member::Id => envelope.id = Some(self.bounded(at, ID_BYTES_MAX).ok_or(BAD_ID)?),
            Member::Type => envelope.kind = self.text(at).filter(|kind| is_type_name(kind)).ok_or(BAD_TYPE)?,
            Member::Timestamp => {
                self.text(at).filter(|text| is_rfc3339(text)).ok_or(BAD_TIMESTAMP)?;
            }
            Member::Priority => {
                envelope.priority = self.text(at).and_then(Priority::from_name).ok_or(BAD_PRIORITY)?;
            }
            Member::SessionId => {
                envelope.session_id = Some(self.text(at).filter(|s| is_session_name(s)).ok_or(BAD_SESSION)?);
            }
            Member::Key => envelope.key = Some(self.bounded(at, KEY_BYTES_MAX).ok_or(BAD_KEY)?),
            Member::Ack => envelope.ack = self.ack(at)?,
            Member::Reliable => envelope.reliable = self.boolean(at).ok_or(BAD_RELIABLE)?,
            Member::To => envelope.to = Some(self.target(at).ok_or(BAD_TO)?),
            Member::Echo => envelope.echo = Some(self.boolean(at).ok_or(BAD_ECHO)?),
            Member::ReplyTo => envelope.reply_to = Some(self.bounded(at, ID_BYTES_MAX).ok_or(BAD_REPLY_TO)?),
            Member::ExpiresIn => envelope.expires_in_ms = Some(self.time_ms(at).ok_or(BAD_EXPIRES_IN)?),
            Member::Meta => envelope.meta = Some(self.meta(at, name)?),
            Member::Version => return Err(RESERVED_VERSION),
            Member::Base => return Err(RESERVED_BASE),
            Member::Encoding => return Err(RESERVED_ENCODING),
            Member::Payload => {} // its span was taken by the caller
        }
        Ok(())
    }

    fn check_whole(
        &self,
        envelope: &mut Envelope<'a>,
        payload_at: Option<usize>,
        shape: Shape,
    ) -> Result<(), ProtocolError> {
        if envelope.id.is_none() && shape.id_required {
            return Err(MISSING_ID);
        }
        if envelope.kind.is_empty() {
            return Err(MISSING_TYPE);
        }
        if envelope.payload.is_none() && envelope.kind != MessageType::HEARTBEAT {
            return Err(MISSING_PAYLOAD);
        }
        if envelope.key.is_none() && envelope.kind.starts_with(OPERATION_PREFIX) {
            envelope.key = payload_at
                .and_then(|at| self.member_text(at, "operationId"))
                .filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
        }
        Ok(())
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        match self.nodes.get(at) {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    fn bounded(&self, at: usize, bytes_max: usize) -> Option<&'a str> {
        self.text(at).filter(|text| (1..=bytes_max).contains(&text.len()))
    }

    fn boolean(&self, at: usize) -> Option<bool> {
        match self.nodes.get(at) {
            Some(Node::Static(StaticNode::Bool(value))) => Some(*value),
            _ => None,
        }
    }

    fn time_ms(&self, at: usize) -> Option<u64> {
        match self.nodes.get(at) {
            Some(Node::Static(StaticNode::U64(value))) => Some(*value).filter(|value| *value > 0),
            Some(Node::Static(StaticNode::I64(value))) => u64::try_from(*value).ok().filter(|value| *value > 0),
            _ => None,
        }
    }

    fn ack(&self, at: usize) -> Result<Ack, ProtocolError> {
        match (self.text(at), self.boolean(at)) {
            (Some("delivered"), _) => Ok(Ack::Delivered),
            (_, Some(true)) => Ok(Ack::Published),
            (_, Some(false)) => Ok(Ack::Nothing),
            _ => Err(BAD_ACK),
        }
    }

    fn target(&self, at: usize) -> Option<Target<'a>> {
        let Some(Node::Object { len: 1, .. }) = self.nodes.get(at) else {
            return None;
        };
        match (self.text(at + 1)?, self.text(at + 2)?) {
            ("userId", user) => is_user_id(user).then_some(Target::User(user)),
            ("connectionId", id) => parse_connection_id(id).map(Target::Connection),
            _ => None,
        }
    }

    fn meta(&self, at: usize, name: &'a str) -> Result<&'a [u8], ProtocolError> {
        let Node::Object { len, count } = self.nodes[at] else {
            return Err(BAD_META);
        };
        let bytes = &self.frame[self.value_span(name)];
        let flat = count == 2 * len && !self.nodes[at + 1..=at + count].iter().any(is_container);
        if flat && bytes.len() <= META_BYTES_MAX { Ok(bytes) } else { Err(BAD_META) }
    }

    /// The text of a member of the object at `at`.
    fn member_text(&self, at: usize, wanted: &str) -> Option<&'a str> {
        let Some(&Node::Object { len, .. }) = self.nodes.get(at) else {
            return None;
        };
        let mut at = at + 1;
        for _ in 0..len {
            if self.text(at) == Some(wanted) {
                return self.text(at + 1);
            }
            at += 1 + node_count(self.nodes.get(at + 1)?);
        }
        None
    }

    /// The id of an envelope that is wrong elsewhere, so that its error can say what it answers.
    fn find_id(&self) -> Option<String> {
        self.member_text(0, "id").filter(|id| (1..=ID_BYTES_MAX).contains(&id.len())).map(str::to_owned)
    }

    /// Where a member's name starts in the frame.
    fn place_of(&self, name: &str) -> u32 {
        offset_u32((name.as_ptr() as usize).saturating_sub(self.base + 1))
    }

    /// The bytes of the value of a top-level member, without white space around them.
    ///
    /// A name's opening quote, the colon and the value's first byte are structural, in this order; so is the comma or
    /// brace after the value, which is what precedes the next member's name, or the last one of all.
    fn value_span(&self, name: &str) -> Range<usize> {
        let quote = self.structurals.partition_point(|&index| index < self.place_of(name));
        let start = self.structurals[quote + 2] as usize;
        let mut depth = 0_u32;
        let mut end = start;
        for &index in &self.structurals[quote + 2..] {
            end = index as usize;
            match self.frame[end] {
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b',' | b'}' if depth == 0 => break,
                _ => {}
            }
        }
        start..start + self.frame[start..end].trim_ascii_end().len()
    }
}

const fn is_container(node: &Node<'_>) -> bool {
    matches!(node, Node::Object { .. } | Node::Array { .. })
}

const BAD_ID: ProtocolError = ProtocolError::bad_field("id", "id must be a string of 1 to 128 bytes.");
const BAD_TYPE: ProtocolError =
    ProtocolError::bad_field("type", "type must be a string of 1 to 64 of A-Z a-z 0-9 _ . : / -.");
const BAD_TIMESTAMP: ProtocolError = ProtocolError::bad_field("timestamp", "timestamp must be an RFC 3339 date-time.");
const BAD_PRIORITY: ProtocolError = ProtocolError::bad_field("priority", "priority must be high, normal or low.");
const BAD_KEY: ProtocolError = ProtocolError::bad_field("key", "key must be a string of 1 to 128 bytes.");
/// What is wrong with an `ack`.
pub const BAD_ACK: ProtocolError = ProtocolError::bad_field("ack", "ack must be true, false or \"delivered\".");
/// What is wrong with a `reliable`.
pub const BAD_RELIABLE: ProtocolError = ProtocolError::bad_field("reliable", "reliable must be true or false.");
const BAD_TO: ProtocolError =
    ProtocolError::bad_field("to", "to must be an object with one member, userId or connectionId.");
const BAD_ECHO: ProtocolError = ProtocolError::bad_field("echo", "echo must be true or false.");
const BAD_REPLY_TO: ProtocolError = ProtocolError::bad_field("replyTo", "replyTo must be a string of 1 to 128 bytes.");
const BAD_META: ProtocolError =
    ProtocolError::bad_field("meta", "meta must be a flat object of scalars of at most 1024 bytes.");
const MISSING_ID: ProtocolError = ProtocolError::bad_field("id", "id is missing.");
const MISSING_TYPE: ProtocolError = ProtocolError::bad_field("type", "type is missing.");
const MISSING_PAYLOAD: ProtocolError = ProtocolError::bad_field("payload", "payload is missing.");
/// Of a time that is no number of milliseconds.
pub const BAD_EXPIRES_IN: ProtocolError =
    ProtocolError::bad_field("expiresIn", "expiresIn must be a whole number of milliseconds, at least 1.");
const RESERVED_VERSION: ProtocolError = ProtocolError::bad_field("version", "version is reserved.");
const RESERVED_BASE: ProtocolError = ProtocolError::bad_field("base", "base is reserved.");
const RESERVED_ENCODING: ProtocolError = ProtocolError::bad_field("encoding", "encoding is reserved.");
