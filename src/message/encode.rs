//! Writing messages as JSON. A message is encoded once, whoever receives it.

use super::Priority;
use super::timestamp::TIMESTAMP_BYTES;

/// The members of a message the server sends. Text members are plain text and are escaped here;
/// `payload` and `meta` are JSON already and are written byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// 1 to 128 bytes.
    pub id: &'a str,
    /// A type name; it needs no escaping.
    pub kind: &'a str,
    /// The time of publication, UTC, milliseconds.
    pub timestamp: &'a [u8; TIMESTAMP_BYTES],
    /// The ring it travels in.
    pub priority: Priority,
    /// The session's name, for session messages.
    pub session_id: Option<&'a str>,
    /// The position in the session, for session messages.
    pub seq: Option<u64>,
    /// The sender's user id; absent on the server's own messages.
    pub from: Option<&'a str>,
    /// What a newer message of the same session and type replaces.
    pub key: Option<&'a str>,
    /// Whether its receivers are asked to confirm it.
    pub ack: bool,
    /// The id of the message this one answers.
    pub reply_to: Option<&'a str>,
    /// A flat JSON object, passed on.
    pub meta: Option<&'a [u8]>,
    /// Any JSON, passed on.
    pub payload: &'a [u8],
}

impl Outgoing<'_> {
    /// Appends the envelope to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        write_json_string(out, self.id);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(self.kind.as_bytes());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        out.extend_from_slice(self.timestamp);
        out.extend_from_slice(b"\",\"priority\":\"");
        out.extend_from_slice(self.priority.name().as_bytes());
        out.push(b'"');
        self.encode_optional(out);
        out.extend_from_slice(b",\"payload\":");
        out.extend_from_slice(self.payload);
        out.push(b'}');
    }

    fn encode_optional(&self, out: &mut Vec<u8>) {
        if let Some(session_id) = self.session_id {
            write_text_member(out, b",\"sessionId\":", session_id);
        }
        if let Some(seq) = self.seq {
            out.extend_from_slice(b",\"seq\":");
            write_number(out, seq);
        }
        if let Some(from) = self.from {
            write_text_member(out, b",\"from\":", from);
        }
        if let Some(key) = self.key {
            write_text_member(out, b",\"key\":", key);
        }
        if self.ack {
            out.extend_from_slice(b",\"ack\":true");
        }
        if let Some(reply_to) = self.reply_to {
            write_text_member(out, b",\"replyTo\":", reply_to);
        }
        if let Some(meta) = self.meta {
            out.extend_from_slice(b",\"meta\":");
            out.extend_from_slice(meta);
        }
    }
}

fn write_text_member(out: &mut Vec<u8>, name: &[u8], text: &str) {
    out.extend_from_slice(name);
    write_json_string(out, text);
}

/// Appends `text` as a JSON string with its quotes (RFC 8259 section 7).
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = next_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The place of the first byte to escape. Bytes are compared in groups without a branch between them, so that the
/// compiler can compare a group at once.
fn next_escape(bytes: &[u8]) -> Option<usize> {
    const GROUP: usize = 16;
    let is_plain = |group: &&[u8]| !group.iter().fold(false, |found, &byte| found | needs_escape(byte));
    let plain = GROUP * bytes.chunks_exact(GROUP).take_while(is_plain).count();
    bytes[plain..].iter().position(|&byte| needs_escape(byte)).map(|at| plain + at)
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
        }
    }
}

/// Appends `value` in decimal.
pub fn write_number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0); // ok because a remainder of 10 fits
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_json_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_json_demands() {
        assert_eq!(string("plain é 😀"), "\"plain é 😀\"");
        assert_eq!(string("a\"b\\c\nd\u{1}"), r#""a\"b\\c\nd\u0001""#);
        assert_eq!(string("\u{7f}\u{2028}"), "\"\u{7f}\u{2028}\"");
    }

    #[test]
    fn writes_numbers() {
        for value in [0, 7, 10, 1234567890, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn writes_the_members_in_order_and_leaves_out_absent_ones() {
        let mut message = Outgoing {
            id: "m\"1",
            kind: "custom",
            timestamp: b"2026-05-01T12:34:56.789Z",
            priority: Priority::Low,
            session_id: None,
            seq: None,
            from: None,
            key: None,
            ack: false,
            reply_to: None,
            meta: None,
            payload: b" {\"x\" : 1} ",
        };
        let mut out = Vec::new();
        message.encode(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"id":"m\"1","type":"custom","timestamp":"2026-05-01T12:34:56.789Z","priority":"low","payload": {"x" : 1} }"#
        );
        message.session_id = Some("s");
        message.seq = Some(42);
        message.from = Some("u");
        message.key = Some("k");
        message.ack = true;
        message.reply_to = Some("r");
        message.meta = Some(b"{\"t\":1}");
        let mut out = Vec::new();
        message.encode(&mut out);
        assert!(String::from_utf8(out).unwrap().contains(
            r#""low","sessionId":"s","seq":42,"from":"u","key":"k","ack":true,"replyTo":"r","meta":{"t":1},"payload":"#
        ));
    }
}
