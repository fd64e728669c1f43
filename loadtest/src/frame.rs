//! WebSocket frames (RFC 6455, section 5.2): the reader, the writer and the read buffer that all connections share.
//!
//! Bytes in, frames out; no sockets. Not done: extensions (reserved bits are an error) and fragmented messages (neither
//! the server nor the bare loop sends any; one is an error, so that it cannot be taken for a whole message).

use std::fmt;
use std::io::{self, Cursor, Read};
use std::ops::Range;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::limits::{PAYLOAD_BYTES_MAX, READ_CHUNK_BYTES};

/// The longest frame header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// One whole frame within the bytes it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub opcode: OpCode,
    /// The masking key; present exactly on what a client sends.
    pub key: Option<[u8; 4]>,
    /// Where the payload is; its end is the end of the frame.
    pub payload: Range<usize>,
}

/// Who sent the bytes: a client masks every frame, a server none (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// Why bytes are not a frame that is accepted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    ReservedBits,
    Opcode,
    Masking,
    Fragmented,
    TooLong(u64),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => write!(f, "reserved bits are set"),
            Self::Opcode => write!(f, "unknown opcode"),
            Self::Masking => write!(f, "masked by a server, or not masked by a client"),
            Self::Fragmented => write!(f, "fragmented messages are not supported"),
            Self::TooLong(length) => write!(f, "{length} bytes, more than {PAYLOAD_BYTES_MAX}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Parses the frame at the start of `bytes`; `None` when it is not whole yet.
pub fn parse_frame(bytes: &[u8], sender: Sender) -> Result<Option<Frame>, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| FrameError::Opcode)? else {
        return Ok(None);
    };
    check_header(&header, length, sender)?;
    let start = cursor.position() as usize;
    // Cannot overflow: the length was checked against PAYLOAD_BYTES_MAX.
    let end = start + length as usize;
    if end > bytes.len() {
        return Ok(None);
    }
    Ok(Some(Frame { opcode: header.opcode, key: header.mask, payload: start..end }))
}

fn check_header(header: &FrameHeader, length: u64, sender: Sender) -> Result<(), FrameError> {
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(FrameError::ReservedBits);
    }
    if header.mask.is_some() != (sender == Sender::Client) {
        return Err(FrameError::Masking);
    }
    if !header.is_final || header.opcode == OpCode::Data(Data::Continue) {
        return Err(FrameError::Fragmented);
    }
    if length > PAYLOAD_BYTES_MAX as u64 {
        return Err(FrameError::TooLong(length));
    }
    Ok(())
}

/// Appends a frame header for `length` bytes of payload, which the caller appends (and masks) next.
pub fn push_header(out: &mut Vec<u8>, opcode: OpCode, key: Option<[u8; 4]>, length: usize) {
    let header = FrameHeader { opcode, mask: key, ..FrameHeader::default() };
    header.format(length as u64, out).expect("ok because writing to a vector cannot fail");
}

/// Appends a whole frame; masked when there is a key.
pub fn push_frame(out: &mut Vec<u8>, opcode: OpCode, key: Option<[u8; 4]>, payload: &[u8]) {
    push_header(out, opcode, key, payload.len());
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        apply_mask(&mut out[start..], key);
    }
}

/// Masks or unmasks a payload (the same operation, section 5.3).
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let word = u64::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7]]);
        chunk.copy_from_slice(&(word ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// A source of masking keys: a xorshift generator. Not unpredictable, which a load generator need not be; never zero,
/// so that the server always has something to unmask.
#[derive(Debug)]
pub struct MaskKeys(u32);

impl MaskKeys {
    pub fn new(seed: u32) -> Self {
        Self(seed | 1)
    }

    pub fn next_key(&mut self) -> [u8; 4] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.to_ne_bytes()
    }
}

/// The one buffer that all connections read into. A connection keeps bytes of its own (its tail) only while a frame is
/// incomplete; they are put in front again before its next read.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl ReadBuffer {
    pub fn new() -> Self {
        Self { bytes: vec![0; MAX_HEADER + PAYLOAD_BYTES_MAX + READ_CHUNK_BYTES], filled: 0 }
    }

    /// Moves `tail` to the front and reads once behind it. Returns the bytes read: 0 is the end of the stream, less
    /// than [`READ_CHUNK_BYTES`] means that the socket is drained.
    pub fn fill(&mut self, tail: &mut Vec<u8>, source: &mut impl Read) -> io::Result<usize> {
        let kept = tail.len();
        // A tail is shorter than one frame of the accepted size.
        assert!(kept <= MAX_HEADER + PAYLOAD_BYTES_MAX);
        self.bytes[..kept].copy_from_slice(tail);
        let read = source.read(&mut self.bytes[kept..kept + READ_CHUNK_BYTES])?;
        tail.clear();
        self.filled = kept + read;
        Ok(read)
    }

    /// The tail and what was read behind it.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::protocol::frame::coding::Control;

    const TEXT: OpCode = OpCode::Data(Data::Text);

    fn frames(lengths: &[usize], key: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, &length) in lengths.iter().enumerate() {
            push_frame(&mut out, TEXT, key, &vec![b'a' + index as u8; length]);
        }
        out
    }

    /// Feeds `bytes` in pieces that end at `cuts`, through a read buffer, and returns the payloads.
    fn read_in_pieces(bytes: &[u8], cuts: &[usize], sender: Sender) -> Vec<Vec<u8>> {
        let (mut buffer, mut tail, mut found) = (ReadBuffer::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            let mut piece = &bytes[start..cut];
            start = cut;
            while !piece.is_empty() {
                buffer.fill(&mut tail, &mut piece).unwrap();
                let mut used = 0;
                while let Some(frame) = parse_frame(&buffer.filled()[used..], sender).unwrap() {
                    let mut payload = buffer.filled()[used..][frame.payload.clone()].to_vec();
                    if let Some(key) = frame.key {
                        apply_mask(&mut payload, key);
                    }
                    found.push(payload);
                    used += frame.payload.end;
                }
                tail.extend_from_slice(&buffer.filled()[used..]);
            }
        }
        assert!(tail.is_empty());
        found
    }

    #[test]
    fn frames_split_at_any_byte_are_read_whole() {
        for key in [None, Some([1, 2, 3, 4])] {
            let sender = if key.is_some() { Sender::Client } else { Sender::Server };
            let bytes = frames(&[3, 0, 125, 126, 300], key);
            let whole = read_in_pieces(&bytes, &[], sender);
            assert_eq!(whole.iter().map(Vec::len).collect::<Vec<_>>(), [3, 0, 125, 126, 300]);
            assert_eq!(whole[4], vec![b'e'; 300]);
            for cut in 0..bytes.len() {
                assert_eq!(read_in_pieces(&bytes, &[cut], sender), whole, "split at {cut}");
            }
            let every: Vec<usize> = (1..bytes.len()).collect();
            assert_eq!(read_in_pieces(&bytes, &every, sender), whole);
        }
    }

    #[test]
    fn the_longest_frame_fits_and_a_longer_one_is_refused() {
        let bytes = frames(&[PAYLOAD_BYTES_MAX, 5], None);
        assert_eq!(read_in_pieces(&bytes, &[], Sender::Server)[0].len(), PAYLOAD_BYTES_MAX);
        let mut long = Vec::new();
        push_header(&mut long, TEXT, None, PAYLOAD_BYTES_MAX + 1);
        assert_eq!(parse_frame(&long, Sender::Server), Err(FrameError::TooLong(PAYLOAD_BYTES_MAX as u64 + 1)));
        let absurd = [0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(parse_frame(&absurd, Sender::Server), Err(FrameError::TooLong(u64::MAX)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parse_frame(&[0xC1, 0], Sender::Server), Err(FrameError::ReservedBits));
        assert_eq!(parse_frame(&[0x83, 0], Sender::Server), Err(FrameError::Opcode));
        assert_eq!(parse_frame(&[0x01, 0], Sender::Server), Err(FrameError::Fragmented));
        assert_eq!(parse_frame(&[0x80, 0], Sender::Server), Err(FrameError::Fragmented));
        assert_eq!(parse_frame(&[0x81, 0], Sender::Client), Err(FrameError::Masking));
        assert_eq!(parse_frame(&frames(&[1], Some([9; 4])), Sender::Server), Err(FrameError::Masking));
    }

    #[test]
    fn control_frames_keep_their_opcode() {
        let mut out = Vec::new();
        push_frame(&mut out, OpCode::Control(Control::Ping), None, b"hello");
        let frame = parse_frame(&out, Sender::Server).unwrap().unwrap();
        assert_eq!((frame.opcode, &out[frame.payload]), (OpCode::Control(Control::Ping), &b"hello"[..]));
    }

    #[test]
    fn masking_twice_is_nothing() {
        let plain: Vec<u8> = (0..=255).collect();
        for length in 0..plain.len() {
            let mut bytes = plain[..length].to_vec();
            apply_mask(&mut bytes, [0xA5, 0x5A, 0xFF, 0x01]);
            for (index, byte) in bytes.iter().enumerate() {
                assert_eq!(byte ^ [0xA5, 0x5A, 0xFF, 0x01][index % 4], plain[index]);
            }
        }
    }

    #[test]
    fn masking_keys_are_never_zero() {
        let mut keys = MaskKeys::new(0);
        assert!((0..10_000).all(|_| keys.next_key() != [0; 4]));
    }
}
