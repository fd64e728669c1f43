//! Reading envelopes: bytes of one JSON object in, a checked [`Envelope`] or an error that names the member out.
//!
//! simd-json unescapes in place, so it is given a copy; the payload is passed on from the untouched original.
//! The whole frame is validated: syntax, UTF-8, nesting, and every member of the envelope. What the payload
//! means is not looked at, apart from the `operationId` of operations.

mod members;
mod reader;

use simd_json::{Buffers, INPUT_PADDING, Tape, fill_tape_padded};

use self::reader::Reader;
pub use self::reader::{BAD_ACK, BAD_EXPIRES_IN, BAD_RELIABLE};
use super::{Envelope, ErrorCode, ProtocolError};
use crate::config::limits::{ID_BYTES_MAX, PAYLOAD_DEPTH_MAX, SCRATCH_BYTES_KEPT};

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
    let error = ProtocolError::with_message(ErrorCode::BadMessage, "This is not one valid JSON object.")
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

/// Nesting of a value: 0 for a scalar. serde_json's own limits bound the recursion.
pub fn depth_of(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Ack, Guarantee, Priority, Target};

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
}
