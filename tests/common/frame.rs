//! WebSocket frames as bytes (RFC 6455, section 5.2), valid ones and others.

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// The mask of frames whose mask does not matter to a test.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    /// The three reserved bits, as a number of 0 to 7.
    pub rsv: u8,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A final, masked frame.
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { fin: true, rsv: 0, opcode, mask: Some(MASK), payload: payload.as_ref().to_vec() }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
    }

    /// The same frame with more of its message to follow.
    pub fn not_final(self) -> Self {
        Self { fin: false, ..self }
    }

    pub fn with_rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    pub fn with_mask(self, mask: [u8; 4]) -> Self {
        Self { mask: Some(mask), ..self }
    }

    pub fn unmasked(self) -> Self {
        Self { mask: None, ..self }
    }

    /// The frame as it travels, with the shortest length form.
    pub fn encode(&self) -> Vec<u8> {
        let first = u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode;
        let mut bytes = head(first, Length::shortest(self.payload.len()), self.mask);
        match self.mask {
            Some(mask) => bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key)),
            None => bytes.extend(&self.payload),
        }
        bytes
    }

    /// The code and reason of a close frame; no code when its body is empty.
    #[track_caller]
    pub fn close_code(&self) -> (Option<u16>, String) {
        assert_eq!(self.opcode, CLOSE, "a close frame, not {self:?}");
        match self.payload.as_slice() {
            [] => (None, String::new()),
            [high, low, reason @ ..] => {
                let reason = String::from_utf8(reason.to_vec()).expect("the server's close reason is UTF-8");
                (Some(u16::from_be_bytes([*high, *low])), reason)
            }
            [_] => panic!("the server sent a close frame with a body of one byte"),
        }
    }
}

/// A payload length in one of its three forms, whether or not that form is the right one.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    Seven(u8),
    Sixteen(u16),
    SixtyFour(u64),
}

impl Length {
    pub fn shortest(bytes: usize) -> Self {
        match bytes {
            0..=125 => Self::Seven(bytes as u8),
            126..=0xffff => Self::Sixteen(bytes as u16),
            _ => Self::SixtyFour(bytes as u64),
        }
    }
}

/// The bytes before a payload: first byte, length as given, mask.
pub fn head(first: u8, length: Length, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = u8::from(mask.is_some()) << 7;
    let mut bytes = vec![first];
    match length {
        Length::Seven(length) => bytes.push(masked | length),
        Length::Sixteen(length) => {
            bytes.push(masked | 126);
            bytes.extend(length.to_be_bytes());
        }
        Length::SixtyFour(length) => {
            bytes.push(masked | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(mask.into_iter().flatten());
    bytes
}

/// Takes one frame of a server off the front of `bytes`, with the number of bytes it was; `None` when incomplete.
///
/// Panics on what a server must not send: a mask, a reserved bit, an unknown opcode, a longer length form than needed,
/// a control frame that is fragmented or long.
#[track_caller]
pub fn decode(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server must not mask (RFC 6455, 5.1)");
    let (length, start) = decode_length(second, bytes.get(2..)?)?;
    let payload = bytes.get(start..start + length)?.to_vec();
    let frame = Frame { fin: first & 0x80 != 0, rsv: first >> 4 & 7, opcode: first & 0xf, mask: None, payload };
    assert_eq!(frame.rsv, 0, "no extension was agreed (RFC 6455, 5.2)");
    assert!(matches!(frame.opcode, CONTINUATION..=BINARY | CLOSE..=PONG), "opcode {:#x}", frame.opcode);
    let control = frame.opcode & 8 != 0;
    assert!(!control || frame.fin && length <= 125, "a control frame is short and whole (RFC 6455, 5.5)");
    Some((frame, start + length))
}

fn decode_length(second: u8, rest: &[u8]) -> Option<(usize, usize)> {
    let (length, start) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?, 10),
        length => (usize::from(length), 2),
    };
    let shortest = match length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    assert_eq!(start, shortest, "a length in its shortest form (RFC 6455, 5.2)");
    Some((length, start))
}
