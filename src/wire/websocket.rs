//! WebSocket frames (RFC 6455 section 5): headers, masks, close bodies, and writing the server's frames.

use std::ops::Range;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Largest payload of a control frame in bytes (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// Largest header the server writes: two bytes and a 64-bit length, no mask.
pub const SERVER_HEADER_BYTES_MAX: usize = 10;

/// Why a connection fails, with the close code that says so (RFC 6455 section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The framing rules were broken: 1002.
    Protocol(&'static str),
    /// Binary data where only text is spoken: 1003.
    Binary,
    /// A text message or close reason is not UTF-8: 1007.
    InvalidUtf8,
    /// A message is larger than the limit: 1009.
    TooLarge,
    /// The peer does something allowed, but too much of it: 1008.
    Policy(&'static str),
}

impl Violation {
    /// The close code.
    pub const fn close_code(self) -> u16 {
        match self {
            Violation::Protocol(_) => 1002,
            Violation::Binary => 1003,
            Violation::InvalidUtf8 => 1007,
            Violation::Policy(_) => 1008,
            Violation::TooLarge => 1009,
        }
    }

    /// The close reason: a few plain words.
    pub const fn reason(self) -> &'static str {
        match self {
            Violation::Protocol(reason) | Violation::Policy(reason) => reason,
            Violation::Binary => "binary on a JSON connection",
            Violation::InvalidUtf8 => "invalid UTF-8",
            Violation::TooLarge => "message too large",
        }
    }
}

/// What a client's frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it ends its message.
    pub is_final: bool,
    /// One of the six known opcodes.
    pub opcode: OpCode,
    /// The masking key.
    pub mask: [u8; 4],
    /// Bytes of payload after the header.
    pub payload_bytes: u64,
    /// Bytes of the header itself.
    pub header_bytes: usize,
}

impl Header {
    /// Whether this is a close, ping or pong frame.
    pub const fn is_control(&self) -> bool {
        matches!(self.opcode, OpCode::Control(_))
    }
}

/// Reads the header at the start of `bytes`; `None` while it is incomplete. A fault is told as soon as its byte is there.
///
/// # Errors
/// [`Violation::Protocol`] for what section 5.2 and 5.5 forbid.
pub fn parse_header(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let (is_final, opcode) = parse_first_byte(first)?;
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    let short = usize::from(second & 0x7f);
    if second & 0x80 == 0 {
        return Err(Violation::Protocol("unmasked frame"));
    }
    if matches!(opcode, OpCode::Control(_)) && (short > CONTROL_BYTES_MAX || !is_final) {
        return Err(Violation::Protocol("control frame too long or fragmented"));
    }
    let Some((payload_bytes, length_bytes)) = parse_length(short, &bytes[2..])? else {
        return Ok(None);
    };
    let mask_at = 2 + length_bytes;
    let Some(mask) = bytes.get(mask_at..).and_then(<[u8]>::first_chunk::<4>) else {
        return Ok(None);
    };
    Ok(Some(Header { is_final, opcode, mask: *mask, payload_bytes, header_bytes: mask_at + 4 }))
}

fn parse_first_byte(first: u8) -> Result<(bool, OpCode), Violation> {
    if first & 0x70 != 0 {
        return Err(Violation::Protocol("reserved bit set"));
    }
    match OpCode::from(first & 0x0f) {
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            Err(Violation::Protocol("reserved opcode"))
        }
        opcode => Ok((first & 0x80 != 0, opcode)),
    }
}

/// The payload length and the bytes that its extension takes; `None` while they are incomplete.
fn parse_length(short: usize, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (length, extension, least) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2, 126),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 8, 1 << 16),
            None => return Ok(None),
        },
        _ => (short as u64, 0, 0),
    };
    if length >> 63 != 0 {
        return Err(Violation::Protocol("length with its top bit set"));
    }
    if length < least {
        return Err(Violation::Protocol("length not in its shortest form"));
    }
    Ok(Some((length, extension)))
}

/// Removes (or applies) a mask in place, 32 bytes at a time. `phase` is how many bytes of the same payload came before.
pub fn unmask(payload: &mut [u8], mask: [u8; 4], phase: usize) {
    let mut key = mask;
    key.rotate_left(phase % 4);
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (blocks, tail) = payload.as_chunks_mut::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Reads the body of a close frame: the code, or `None` for an empty body.
///
/// # Errors
/// [`Violation::Protocol`] for one byte or a code nobody may send, [`Violation::InvalidUtf8`] for the reason.
pub fn parse_close(body: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = body.split_first_chunk::<2>() else {
        return if body.is_empty() { Ok(None) } else { Err(Violation::Protocol("close body of one byte")) };
    };
    let code = u16::from_be_bytes(*code);
    if !is_close_code(code) {
        return Err(Violation::Protocol("close code not allowed"));
    }
    simdutf8::basic::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Some(code))
}

/// Whether an endpoint may send this close code (RFC 6455 section 7.4 and the registry it founded).
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Appends a whole unmasked frame.
pub fn write_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    write_header(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a close frame. A reason that does not fit is left out.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = if reason.len() <= CONTROL_BYTES_MAX - 2 { reason } else { "" };
    write_header(out, OpCode::Control(Control::Close), 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

fn write_header(out: &mut Vec<u8>, opcode: OpCode, payload_bytes: usize) {
    // ok because writing to a `Vec` does not fail
    let _ = server_header(opcode).format(payload_bytes as u64, out);
}

const fn server_header(opcode: OpCode) -> FrameHeader {
    FrameHeader { is_final: true, opcode, mask: None, rsv1: false, rsv2: false, rsv3: false }
}

/// Writes the header of a text frame in front of a payload that starts at `SERVER_HEADER_BYTES_MAX` in `buffer`.
/// Returns the range of the whole frame.
pub fn prepend_text_header(buffer: &mut [u8]) -> Range<usize> {
    let payload_bytes = buffer.len() - SERVER_HEADER_BYTES_MAX;
    let header = server_header(OpCode::Data(Data::Text));
    let start = SERVER_HEADER_BYTES_MAX - header.len(payload_bytes as u64);
    // ok because the space before the payload holds the largest header
    let _ = header.format(payload_bytes as u64, &mut &mut buffer[start..SERVER_HEADER_BYTES_MAX]);
    start..buffer.len()
}

/// The payload of a text frame that this server wrote; `None` for other bytes that go out.
pub fn text_of(frame: &[u8]) -> Option<&[u8]> {
    const FINAL_TEXT: u8 = 0x81;
    let header_bytes = match frame {
        [FINAL_TEXT, 126, ..] => 4,
        [FINAL_TEXT, 127, ..] => SERVER_HEADER_BYTES_MAX,
        [FINAL_TEXT, ..] => 2,
        _ => return None,
    };
    frame.get(header_bytes..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            n @ 0..=125 => frame.push(0x80 | n as u8),
            n @ 126..=65535 => {
                frame.push(0xfe);
                frame.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                frame.push(0xff);
                frame.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&mask);
        let start = frame.len();
        frame.extend_from_slice(payload);
        unmask(&mut frame[start..], mask, 0);
        frame
    }

    fn fault(bytes: &[u8]) -> Violation {
        parse_header(bytes).unwrap_err()
    }

    #[test]
    fn every_rule_of_the_header_is_told_at_its_byte() {
        for first in [0xc1, 0xa1, 0x91, 0xf1] {
            assert_eq!(fault(&[first]), Violation::Protocol("reserved bit set"));
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            assert_eq!(fault(&[0x80 | opcode]), Violation::Protocol("reserved opcode"));
        }
        assert_eq!(fault(&[0x81, 0x05]), Violation::Protocol("unmasked frame"));
        for bytes in [[0x88, 0xfe], [0x89, 0xff], [0x08, 0x80], [0x09, 0x81]] {
            assert_eq!(fault(&bytes), Violation::Protocol("control frame too long or fragmented"));
        }
        assert!(matches!(fault(&[0x81, 0xfe, 0, 125]), Violation::Protocol(_)));
        assert!(matches!(fault(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Violation::Protocol(_)));
        assert!(matches!(fault(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), Violation::Protocol(_)));
    }

    #[test]
    fn close_bodies() {
        assert_eq!(parse_close(b""), Ok(None));
        assert_eq!(parse_close(b"\x03\xe8bye"), Ok(Some(1000)));
        assert!(matches!(parse_close(b"\x03"), Err(Violation::Protocol(_))));
        assert_eq!(parse_close(b"\x03\xe8\xff"), Err(Violation::InvalidUtf8));
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert!(!is_close_code(code), "{code}");
        }
        for code in [1000, 1003, 1007, 1011, 1014, 3000, 4999] {
            assert!(is_close_code(code), "{code}");
        }
    }

    #[test]
    fn a_close_reason_that_does_not_fit_is_left_out() {
        let mut out = Vec::new();
        write_close(&mut out, 4000, &"x".repeat(124));
        assert_eq!(out, [0x88, 2, 0x0f, 0xa0]);
    }

    proptest! {
        #[test]
        fn headers_and_masks_are_inverse_at_any_split(
            payload in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                (65_530_usize..65_540).prop_map(|n| vec![7; n]),
            ],
            mask in any::<[u8; 4]>(),
            at in any::<prop::sample::Index>(),
        ) {
            let mut frame = masked(0x82, &payload, mask);
            let header = parse_header(&frame).unwrap().unwrap();
            prop_assert_eq!(header.payload_bytes as usize, payload.len());
            prop_assert_eq!(header.header_bytes + payload.len(), frame.len());
            for cut in 0..header.header_bytes {
                prop_assert_eq!(parse_header(&frame[..cut]), Ok(None));
            }
            let body = &mut frame[header.header_bytes..];
            let split = at.index(body.len() + 1);
            let (head, tail) = body.split_at_mut(split);
            unmask(head, header.mask, 0);
            unmask(tail, header.mask, split);
            prop_assert_eq!(body, &payload[..]);
        }

        #[test]
        fn written_headers_are_the_shortest(length in prop_oneof![0_usize..70_000, Just(125), Just(126), Just(65_536)]) {
            let mut buffer = vec![b'x'; SERVER_HEADER_BYTES_MAX + length];
            let range = prepend_text_header(&mut buffer);
            let mut whole = Vec::new();
            write_frame(&mut whole, OpCode::Data(Data::Text), &vec![b'x'; length]);
            prop_assert_eq!(&buffer[range], &whole[..]);
            prop_assert_eq!(text_of(&whole), Some(&whole[whole.len() - length..]));
            prop_assert_eq!(text_of(&whole[whole.len() - length..]), None, "what is no frame of text");
            let header_bytes = whole.len() - length;
            prop_assert_eq!(header_bytes, match length { 0..=125 => 2, 126..=65_535 => 4, _ => 10 });
        }
    }
}
