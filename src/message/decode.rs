//! Reading envelopes: bytes of one JSON object in, a checked [`Envelope`] or an error that names the member out.
//!
//! simd-json unescapes in place, so it is given a copy; the payload is passed on from the untouched original.
//! The whole frame is validated: syntax, UTF-8, nesting, and every member of the envelope. What the payload
//! means is not looked at, apart from the `operationId` of operations.

use std::ops::Range;

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape, fill_tape_padded};

use super::kind::{OPERATION_PREFIX, is_type_name};
use super::timestamp::is_rfc3339;
use super::{Ack, ErrorCode, Guarantee, Priority, ProtocolError};
use crate::config::limits::{
    ID_BYTES_MAX, KEY_BYTES_MAX, META_BYTES_MAX, PAYLOAD_DEPTH_MAX, SCRATCH_BYTES_KEPT, SESSION_BYTES_MAX,
    UNKNOWN_MEMBERS_MAX,
};

/// Whom a message is addressed to, when not to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Every connection of a user.
    User(&'a str),
    /// One connection, by its public id.
    Connection(u128),
}

/// A checked message from a client. Text is unescaped; `payload` and `meta` are the bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sender's label, 1 to 128 bytes; `None` only where [`Shape::id_required`] is false.
    pub id: Option<&'a str>,
    /// The type's name.
    pub kind: &'a str,
    /// How urgent it is.
    pub priority: Priority,
    /// The session it names, if any.
    pub session_id: Option<&'a str>,
    /// The payload's bytes; `None` only for a `heartbeat` without one.
    pub payload: Option<&'a [u8]>,
    /// What it replaces; an operation's `operationId` if it has no key of its own.
    pub key: Option<&'a str>,
    /// What its sender wants to be told of it.
    pub ack: Ack,
    /// Whether it is held and sent again to those that confirm; `ack` may imply it.
    pub reliable: bool,
    /// A user or connection instead of a session.
    pub to: Option<Target<'a>>,
    /// Whether the sender gets it too; `None` for the connection's default.
    pub echo: Option<bool>,
    /// The id it answers.
    pub reply_to: Option<&'a str>,
    /// A flat object of scalars.
    pub meta: Option<&'a [u8]>,
    /// How long it is worth anything.
    pub expires_in_ms: Option<u64>,
}

impl Envelope<'_> {
    /// How far the server goes for it.
    pub const fn guarantee(&self) -> Guarantee {
        Guarantee::of(self.ack, self.reliable)
    }
}

/// What kind of object is expected.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether `id` must be there. REST makes one up where it is absent.
    pub id_required: bool,
}

/// Why bytes are not an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not UTF-8: over WebSocket this ends the connection (RFC 6455 section 8.1).
    InvalidUtf8,
    /// Not an acceptable envelope; the id is there when it could be read.
    Rejected {
        /// What is wrong.
        error: ProtocolError,
        /// The envelope's id.
        reply_to: Option<String>,
    },
}

/// Reusable memory for decoding. One is enough for a thread.
pub struct Decoder {
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            scratch: Vec::new(),
            buffers: Buffers::with_max_depth(4096, PAYLOAD_DEPTH_MAX + 1),
            tape: Tape(Vec::new()),
        }
    }
}

impl Decoder {
    /// Decodes one envelope. The result borrows from the decoder and from `frame`.
    ///
    /// # Errors
    /// [`DecodeError::InvalidUtf8`], or [`DecodeError::Rejected`] with `bad_message` or `too_deep`.
    pub fn decode<'a>(&'a mut self, frame: &'a [u8], shape: Shape) -> Result<Envelope<'a>, DecodeError> {
        self.parse(frame, |reader| reader.read(shape))
    }

    /// Checks that `text` is JSON by the same rules as an envelope: syntax, UTF-8, numbers, escapes, nesting.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn validate(&mut self, text: &[u8]) -> Result<(), DecodeError> {
        self.parse(text, |_| Ok(()))
    }

    /// Parses a copy of `frame` and hands what was found to `read`.
    fn parse<'a, T>(
        &'a mut self,
        frame: &'a [u8],
        read: impl FnOnce(&Reader<'_, 'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.shrink();
        let Self { scratch, buffers, tape: spare } = self;
        scratch.clear();
        scratch.extend_from_slice(frame);
        scratch.resize(frame.len() + INPUT_PADDING, 0);
        let base = scratch.as_ptr() as usize;
        let mut tape = std::mem::replace(spare, Tape(Vec::new())).reset();
        let result = match fill_tape_padded(scratch, frame.len(), buffers, &mut tape) {
            Ok(()) => read(&Reader { frame, base, structurals: buffers.structural_indexes(), nodes: &tape.0 }),
            Err(error) => Err(syntax_error(frame, &error, buffers.structural_indexes())),
        };
        *spare = tape.reset();
        result
    }

    /// Gives back memory that one large message needed.
    fn shrink(&mut self) {
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT {
            *self = Self::default();
        }
    }
}

/// Tells bad UTF-8, too deep nesting and bad syntax apart, and finds the offset. Not on the hot path.
fn syntax_error(frame: &[u8], error: &simd_json::Error, structurals: &[u32]) -> DecodeError {
    if simdutf8::basic::from_utf8(frame).is_err() {
        return DecodeError::InvalidUtf8;
    }
    let is_object = frame.trim_ascii_start().first() == Some(&b'{');
    if is_object && matches!(error.error(), simd_json::ErrorType::DepthLimitExceeded) {
        let error = ProtocolError::new(ErrorCode::TooDeep).in_field("payload").at(offset_u32(error.index()));
        return DecodeError::Rejected { error, reply_to: scan_id(frame, structurals) };
    }
    let error = ProtocolError::with_message(ErrorCode::BadMessage, "This is not one JSON object.")
        .at(offset_u32(error_offset(frame).unwrap_or_else(|| error.index())));
    DecodeError::Rejected { error, reply_to: None }
}

/// The id of an envelope that is nested too deep to be parsed: the string after a plain `"id":` on its top level.
fn scan_id(frame: &[u8], structurals: &[u32]) -> Option<String> {
    let mut depth = 0_u32;
    for (at, &index) in structurals.iter().enumerate() {
        let index = index as usize;
        match frame.get(index)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' if depth == 1 && frame[index..].starts_with(b"\"id\"") && is_colon(frame, structurals, at + 1) => {
                let value = &frame[*structurals.get(at + 2)? as usize..];
                let id: String = serde_json::Deserializer::from_slice(value).into_iter().next()?.ok()?;
                return (1..=ID_BYTES_MAX).contains(&id.len()).then_some(id);
            }
            _ => {}
        }
    }
    None
}

fn is_colon(frame: &[u8], structurals: &[u32], at: usize) -> bool {
    structurals.get(at).is_some_and(|&index| frame.get(index as usize) == Some(&b':'))
}

fn offset_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// The byte where a second parser, slower and exact about places, stops.
pub fn error_offset(frame: &[u8]) -> Option<usize> {
    let error = serde_json::from_slice::<serde_json::Value>(frame).err()?;
    let line_start = match error.line().checked_sub(2) {
        Some(breaks_before) => memchr::memchr_iter(b'\n', frame).nth(breaks_before)? + 1,
        None => 0,
    };
    Some((line_start + error.column().saturating_sub(1)).min(frame.len()))
}

/// The known members, in the order of their bits in the set of those seen.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Member {
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
    fn from_name(name: &str) -> Option<Self> {
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
struct Seen<'a> {
    known: u32,
    unknown: [&'a str; UNKNOWN_MEMBERS_MAX],
    unknown_count: usize,
}

impl<'a> Seen<'a> {
    fn add_known(&mut self, member: Member) -> bool {
        let bit = 1 << member as u8;
        let new = self.known & bit == 0;
        self.known |= bit;
        new
    }

    fn add_unknown(&mut self, name: &'a str) -> Result<(), ProtocolError> {
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

fn duplicate() -> ProtocolError {
    ProtocolError::with_message(ErrorCode::BadMessage, "The envelope holds a member twice.")
}

/// Walks the top level of a parsed envelope.
struct Reader<'t, 'a> {
    frame: &'a [u8],
    /// Address of the first byte of the copy that the tape's strings point into.
    base: usize,
    structurals: &'t [u32],
    nodes: &'t [Node<'a>],
}

/// Nodes that a value takes on the tape.
fn node_count(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
        _ => 1,
    }
}

impl<'a> Reader<'_, 'a> {
    fn read(&self, shape: Shape) -> Result<Envelope<'a>, DecodeError> {
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
        let mut seen = Seen { known: 0, unknown: [""; UNKNOWN_MEMBERS_MAX], unknown_count: 0 };
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
        if envelope.payload.is_none() && envelope.kind != super::MessageType::HEARTBEAT {
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

/// Whether `name` may name a session: 1 to 255 bytes, no control characters, no leading `@`.
pub fn is_session_name(name: &str) -> bool {
    (1..=SESSION_BYTES_MAX).contains(&name.len()) && !name.starts_with('@') && !name.chars().any(char::is_control)
}

/// Whether `id` may name a user: 1 to 254 bytes, no control characters.
pub fn is_user_id(id: &str) -> bool {
    (1..SESSION_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// Reads a connection's public id: 32 hexadecimal digits.
pub fn parse_connection_id(text: &str) -> Option<u128> {
    let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Nesting of a value: 0 for a scalar. serde_json's own limits bound the recursion.
pub fn depth_of(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}

const BAD_ID: ProtocolError = ProtocolError::bad_field("id", "id must be a string of 1 to 128 bytes.");
const BAD_TYPE: ProtocolError =
    ProtocolError::bad_field("type", "type must be a string of 1 to 64 of A-Z a-z 0-9 _ . : / -.");
const BAD_TIMESTAMP: ProtocolError = ProtocolError::bad_field("timestamp", "timestamp must be an RFC 3339 date-time.");
const BAD_PRIORITY: ProtocolError = ProtocolError::bad_field("priority", "priority must be high, normal or low.");
/// What is wrong with a session name.
pub const BAD_SESSION: ProtocolError = ProtocolError::bad_field(
    "sessionId",
    "sessionId must be a string of 1 to 255 bytes without control characters or a leading @.",
);
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { id_required: true };

    fn rejection(frame: &[u8]) -> (ProtocolError, Option<String>) {
        match Decoder::default().decode(frame, SHAPE) {
            Err(DecodeError::Rejected { error, reply_to }) => (error, reply_to),
            other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(frame)),
        }
    }

    fn field(frame: &str) -> String {
        let (error, _) = rejection(frame.as_bytes());
        assert_eq!(error.code, ErrorCode::BadMessage);
        error.field.unwrap_or_default().to_owned()
    }

    #[test]
    fn reads_every_member_and_keeps_the_payload_s_bytes() {
        let frame = r#" {"id":"m\u0031","type":"custom","timestamp":"2023-05-01T12:34:56.789Z","priority":"high",
            "sessionId":"s\n1", "payload" : {"a" : [1, "\u00e9\\"] , "b":{}} ,"key":"k","ack":true,"reliable":false,
            "to":{"userId":"u"},"echo":false,"replyTo":"r","meta":{"a":1,"b":"x"},"seq":9,"from":"x","other":[{}]} "#
            .replace("s\\n1", "s 1");
        let mut decoder = Decoder::default();
        let envelope = decoder.decode(frame.as_bytes(), SHAPE).unwrap();
        assert_eq!(envelope.id, Some("m1"));
        assert_eq!(envelope.kind, "custom");
        assert_eq!(envelope.priority, Priority::High);
        assert_eq!(envelope.session_id, Some("s 1"));
        assert_eq!(envelope.payload, Some(&br#"{"a" : [1, "\u00e9\\"] , "b":{}}"#[..]));
        assert_eq!(envelope.key, Some("k"));
        assert_eq!(envelope.ack, Ack::Published);
        assert_eq!(envelope.to, Some(Target::User("u")));
        assert_eq!(envelope.echo, Some(false));
        assert_eq!(envelope.reply_to, Some("r"));
        assert_eq!(envelope.meta, Some(&br#"{"a":1,"b":"x"}"#[..]));
    }

    #[test]
    fn what_a_sender_asks_for_is_read() {
        let mut decoder = Decoder::default();
        for (members, ack, guarantee) in [
            (r#""ack":false"#, Ack::Nothing, Guarantee::Once),
            (r#""ack":true"#, Ack::Published, Guarantee::Once),
            (r#""reliable":true"#, Ack::Nothing, Guarantee::Retried),
            (r#""ack":true,"reliable":true"#, Ack::Published, Guarantee::Retried),
            (r#""ack":"delivered","reliable":false"#, Ack::Delivered, Guarantee::Reported),
        ] {
            let frame = format!(r#"{{"id":"m","type":"t",{members},"payload":1}}"#);
            let envelope = decoder.decode(frame.as_bytes(), SHAPE).unwrap();
            assert_eq!((envelope.ack, envelope.guarantee()), (ack, guarantee), "{members}");
        }
    }

    #[test]
    fn payloads_of_every_kind_come_out_as_they_went_in() {
        let payloads =
            ["null", "0", "-1.5e3", "\"\"", "\"a,}]\"", "[]", "{}", "[1,{\"a\":[]}]", "12345678901234567890123"];
        let mut decoder = Decoder::default();
        for payload in payloads {
            for frame in [
                format!(r#"{{"id":"1","type":"t","payload":{payload}}}"#),
                format!(r#"{{"payload": {payload} ,"id":"1","type":"t"}}"#),
                format!("{{\n\"payload\"\t:\r\n{payload}\n,\"id\":\"1\",\"type\":\"t\"\n}}\n"),
            ] {
                let envelope = decoder.decode(frame.as_bytes(), SHAPE).unwrap();
                assert_eq!(envelope.payload, Some(payload.as_bytes()), "{frame}");
            }
        }
    }

    #[test]
    fn bad_syntax_gives_the_offset() {
        for (frame, offset) in [
            (&b""[..], 0),
            (b"[]", 0),
            (b"17", 0),
            (b"{} x", 3),
            (b"{}{}", 2),
            (b"NaN", 0),
            (br#"{"id":NaN}"#, 6),
            (b"\xef\xbb\xbf{}", 0),
            (b"{\"id\":\n\n tru}", 12),
        ] {
            let (error, reply_to) = rejection(frame);
            assert_eq!(error.code, ErrorCode::BadMessage);
            assert_eq!(error.offset, Some(offset), "{}", String::from_utf8_lossy(frame));
            assert_eq!(reply_to, None);
        }
        for frame in [r#"{"payload":1e400}"#, r#"{"payload":"\ud800"}"#, r#"{"payload":"\udc00\ud800"}"#] {
            let (error, _) = rejection(frame.as_bytes());
            assert!(error.offset.is_some_and(|o| o >= 10), "{frame} {:?}", error.offset);
        }
    }

    #[test]
    fn bad_utf8_is_told_apart() {
        for frame in [&b"{\"id\":\"\xff\"}"[..], b"\xff", b"{\"id\":\"\xc3"] {
            assert_eq!(Decoder::default().decode(frame, SHAPE), Err(DecodeError::InvalidUtf8));
        }
    }

    #[test]
    fn duplicates_are_an_error_known_or_not() {
        for (frame, offset) in [
            (r#"{"id":"1","type":"t","payload":1,"id":"1"}"#, 33),
            (r#"{"id":"1","type":"t","payload":1,"\u0069d":"1"}"#, 33),
            (r#"{"x":1,"id":"1","type":"t","payload":1,"x":1}"#, 39),
        ] {
            let (error, reply_to) = rejection(frame.as_bytes());
            assert_eq!((error.code, error.offset), (ErrorCode::BadMessage, Some(offset)), "{frame}");
            assert_eq!(reply_to.as_deref(), Some("1"));
        }
        let many = (0..40).map(|i| format!(r#""x{i}":1,"#)).collect::<String>();
        assert_eq!(rejection(format!(r#"{{{many}"id":"1"}}"#).as_bytes()).0.code, ErrorCode::BadMessage);
    }

    #[test]
    fn nesting_is_bounded_at_32_in_the_payload() {
        let frame =
            |depth: usize| format!(r#"{{"id":"1","type":"t","payload":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(Decoder::default().decode(frame(32).as_bytes(), SHAPE).is_ok());
        for depth in [33, 5000] {
            let (error, reply_to) = rejection(frame(depth).as_bytes());
            assert_eq!((error.code, reply_to.as_deref()), (ErrorCode::TooDeep, Some("1")));
        }
        let behind = format!(r#"{{"type":"t","payload":{}1{},"id":"a\u0062"}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(rejection(behind.as_bytes()).1.as_deref(), Some("ab"));
        assert_eq!(rejection("[".repeat(65_000).as_bytes()).0.code, ErrorCode::BadMessage);
        let inside = format!(r#"{{"payload":{}{{"id":"no"}}{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(rejection(inside.as_bytes()).1, None);
    }

    #[test]
    fn errors_name_the_member_and_answer_the_id() {
        let long = "x".repeat(129);
        let meta = format!(r#"{{"a":"{}"}}"#, "x".repeat(1024));
        let with = |member: &str| format!(r#"{{"id":"m1","type":"t","payload":1,{member}}}"#);
        for (frame, name) in [
            (r#"{"type":"t","payload":1}"#.to_owned(), "id"),
            (r#"{"id":1,"type":"t","payload":1}"#.to_owned(), "id"),
            (r#"{"id":"","type":"t","payload":1}"#.to_owned(), "id"),
            (format!(r#"{{"id":"{long}","type":"t","payload":1}}"#), "id"),
            (r#"{"id":"m1","payload":1}"#.to_owned(), "type"),
            (r#"{"id":"m1","type":"a b","payload":1}"#.to_owned(), "type"),
            (r#"{"id":"m1","type":[],"payload":1}"#.to_owned(), "type"),
            (r#"{"id":"m1","type":"t"}"#.to_owned(), "payload"),
            (with(r#""priority":"urgent""#), "priority"),
            (with(r#""priority":1"#), "priority"),
            (with(r#""timestamp":"yesterday""#), "timestamp"),
            (with(r#""timestamp":5"#), "timestamp"),
            (with(r#""sessionId":"""#), "sessionId"),
            (with(r#""sessionId":"@u""#), "sessionId"),
            (with(r#""sessionId":"a\u0000b""#), "sessionId"),
            (with(&format!(r#""sessionId":"{}""#, "x".repeat(256))), "sessionId"),
            (with(&format!(r#""key":"{long}""#)), "key"),
            (with(r#""ack":"yes""#), "ack"),
            (with(r#""reliable":1"#), "reliable"),
            (with(r#""to":{}"#), "to"),
            (with(r#""to":{"userId":"a","connectionId":"b"}"#), "to"),
            (with(r#""to":{"connectionId":"short"}"#), "to"),
            (with(r#""echo":1"#), "echo"),
            (with(r#""replyTo":1"#), "replyTo"),
            (with(r#""expiresIn":0"#), "expiresIn"),
            (with(r#""expiresIn":-1"#), "expiresIn"),
            (with(r#""expiresIn":1.5"#), "expiresIn"),
            (with(r#""expiresIn":"100""#), "expiresIn"),
            (with(r#""meta":[]"#), "meta"),
            (with(r#""meta":{"a":{}}"#), "meta"),
            (with(&format!(r#""meta":{meta}"#)), "meta"),
            (with(r#""version":1"#), "version"),
            (with(r#""base":1"#), "base"),
            (with(r#""encoding":"x""#), "encoding"),
        ] {
            assert_eq!(field(&frame), name, "{frame}");
        }
        assert_eq!(rejection(with(r#""echo":1"#).as_bytes()).1.as_deref(), Some("m1"));
    }

    #[test]
    fn an_operation_is_keyed_by_its_operation_id() {
        let mut decoder = Decoder::default();
        let frame =
            br#"{"id":"1","type":"operation_progress","payload":{"x":{"operationId":"no"},"operationId":"op"}}"#;
        assert_eq!(decoder.decode(frame, SHAPE).unwrap().key, Some("op"));
        let frame = br#"{"id":"1","type":"operation_progress","key":"k","payload":{"operationId":"op"}}"#;
        assert_eq!(decoder.decode(frame, SHAPE).unwrap().key, Some("k"));
        let frame = br#"{"id":"1","type":"operation_progress","payload":["operationId","op"]}"#;
        assert_eq!(decoder.decode(frame, SHAPE).unwrap().key, None);
    }

    #[test]
    fn a_heartbeat_needs_no_payload_and_rest_needs_no_id() {
        let mut decoder = Decoder::default();
        assert!(decoder.decode(br#"{"id":"1","type":"heartbeat"}"#, SHAPE).is_ok());
        let shape = Shape { id_required: false };
        assert_eq!(decoder.decode(br#"{"type":"t","payload":1}"#, shape).unwrap().id, None);
    }

    #[test]
    fn connection_ids_are_32_hexadecimal_digits() {
        assert_eq!(parse_connection_id("0000000000000000000000000000000a"), Some(10));
        assert_eq!(parse_connection_id("a"), None);
        assert_eq!(parse_connection_id("+000000000000000000000000000000a"), None);
    }
}
