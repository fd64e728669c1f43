//! Request bodies: the bytes after a head in, the body's own bytes out, cut at any point.
//!
//! A decoder holds a few counters and no bytes. What it appends is at most what arrived, so a declared length or chunk
//! size never allocates. Trailers and chunk extensions are checked, bounded and dropped.
//!
//! Weakness: each chunk of one byte may carry an extension of 256, so a body may cost about 280 times its size on the
//! wire. It is bounded by the body's limit, and by the caller's deadline for a request.

use super::http::{BodyLength, HttpError, is_field_byte, is_token_byte};
use crate::config::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// Hexadecimal digits of a chunk size, leading zeros included: all of a `u64`, so that the value cannot overflow.
const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// What one call of [`BodyDecoder::decode`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct BodyProgress {
    /// Bytes of the input that belong to this body. Less than the input only when `done`.
    pub consumed: usize,
    /// The body is complete; what follows is the next request.
    pub done: bool,
}

/// Reads one request's body (RFC 9112 section 6). Make one per request.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes that the body may still grow by.
    room_bytes: u64,
    trailer_bytes: usize,
}

/// Where in the body the next byte stands. `*Lf`: a CR came, only LF may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sized {
        left: u64,
    },
    ChunkSize {
        size: u64,
        digits: u8,
    },
    /// After the size. Until the first `;` opens an extension only white space may come, and no CR (RFC 9112 section
    /// 7.1.1).
    ChunkExtension {
        size: u64,
        extension_bytes: usize,
        is_open: bool,
    },
    ChunkSizeLf {
        size: u64,
    },
    ChunkData {
        left: u64,
    },
    ChunkDataCr,
    ChunkDataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl BodyDecoder {
    /// A decoder for a body framed as `length`, of at most `limit_bytes`.
    ///
    /// # Errors
    /// [`HttpError::BodyTooLarge`] when the declared length is over the limit: nothing of it need be read.
    pub fn new(length: BodyLength, limit_bytes: usize) -> Result<Self, HttpError> {
        let room_bytes = limit_bytes as u64;
        let state = match length {
            BodyLength::None | BodyLength::Sized(0) => State::Done,
            BodyLength::Sized(left) if left > room_bytes => return Err(HttpError::BodyTooLarge),
            BodyLength::Sized(left) => State::Sized { left },
            BodyLength::Chunked => State::CHUNK,
        };
        Ok(Self { state, room_bytes, trailer_bytes: 0 })
    }

    /// Whether the body is complete. True from the start for a request without one.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Appends the body's bytes in `input` to `out`. Call again with what arrives after; stops at the body's end.
    ///
    /// # Errors
    /// [`HttpError::BodyTooLarge`] when a chunk's size crosses the limit, before its data; [`HttpError::Malformed`] for
    /// bad chunk framing. The decoder is of no use afterwards.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<BodyProgress, HttpError> {
        let mut consumed = 0;
        while consumed < input.len() && !self.is_done() {
            let rest = &input[consumed..];
            consumed += match self.state {
                State::Sized { left } | State::ChunkData { left } => self.take_data(rest, left, out),
                _ => {
                    self.state = self.step(rest[0])?;
                    1
                }
            };
        }
        Ok(BodyProgress { consumed, done: self.is_done() })
    }

    fn take_data(&mut self, rest: &[u8], left: u64, out: &mut Vec<u8>) -> usize {
        // `left` is over what usize holds only on small machines, where it is over `rest` too.
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        out.extend_from_slice(&rest[..taken]);
        let left = left - taken as u64;
        self.state = match self.state {
            State::Sized { .. } if left == 0 => State::Done,
            State::Sized { .. } => State::Sized { left },
            _ if left == 0 => State::ChunkDataCr,
            _ => State::ChunkData { left },
        };
        taken
    }

    /// One byte of chunk framing (RFC 9112 section 7.1).
    fn step(&mut self, byte: u8) -> Result<State, HttpError> {
        match (self.state, byte) {
            (State::ChunkSize { size, digits }, _) => chunk_size(size, digits, byte),
            (State::ChunkExtension { size, is_open: true, .. }, b'\r') => Ok(State::ChunkSizeLf { size }),
            (State::ChunkExtension { size, extension_bytes, is_open }, _) => {
                chunk_extension(size, extension_bytes, is_open, byte)
            }
            (State::ChunkSizeLf { size }, b'\n') => self.start_chunk(size),
            (State::ChunkDataCr, b'\r') => Ok(State::ChunkDataLf),
            (State::ChunkDataLf, b'\n') => Ok(State::CHUNK),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf, _) => {
                self.step_trailer(byte)
            }
            (State::EndLf, b'\n') => Ok(State::Done),
            _ => Err(HttpError::Malformed("chunk framing")),
        }
    }

    fn step_trailer(&mut self, byte: u8) -> Result<State, HttpError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(HttpError::Malformed("trailers too long"));
        }
        match (self.state, byte) {
            (State::TrailerStart, _) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_field_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(HttpError::Malformed("trailer")),
        }
    }

    fn start_chunk(&mut self, size: u64) -> Result<State, HttpError> {
        if size == 0 {
            return Ok(State::TrailerStart);
        }
        self.room_bytes = self.room_bytes.checked_sub(size).ok_or(HttpError::BodyTooLarge)?;
        Ok(State::ChunkData { left: size })
    }
}

impl State {
    const CHUNK: Self = Self::ChunkSize { size: 0, digits: 0 };
}

fn chunk_size(size: u64, digits: u8, byte: u8) -> Result<State, HttpError> {
    match char::from(byte).to_digit(16) {
        Some(_) if digits == CHUNK_SIZE_DIGITS_MAX => Err(HttpError::Malformed("chunk size overflow")),
        Some(digit) => Ok(State::ChunkSize { size: size << 4 | u64::from(digit), digits: digits + 1 }),
        None if digits == 0 => Err(HttpError::Malformed("chunk size")),
        None if byte == b'\r' => Ok(State::ChunkSizeLf { size }),
        None if matches!(byte, b' ' | b'\t' | b';') => chunk_extension(size, 0, false, byte),
        None => Err(HttpError::Malformed("chunk size")),
    }
}

/// One byte after the size. The grammar inside an extension is not checked.
fn chunk_extension(size: u64, extension_bytes: usize, is_open: bool, byte: u8) -> Result<State, HttpError> {
    let extension_bytes = extension_bytes + 1;
    let is_allowed = if is_open { is_field_byte(byte) } else { matches!(byte, b' ' | b'\t' | b';') };
    if !is_allowed || extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
        return Err(HttpError::Malformed("chunk extension"));
    }
    Ok(State::ChunkExtension { size, extension_bytes, is_open: is_open || byte == b';' })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1000;

    /// The body, the bytes it took and whether it ended, fed in pieces of `step` bytes.
    fn decode_by(step: usize, length: BodyLength, input: &[u8]) -> Result<(Vec<u8>, usize, bool), HttpError> {
        let mut decoder = BodyDecoder::new(length, LIMIT)?;
        let (mut out, mut consumed) = (Vec::new(), 0);
        while consumed < input.len() && !decoder.is_done() {
            let end = input.len().min(consumed + step);
            let progress = decoder.decode(&input[consumed..end], &mut out)?;
            assert_eq!(progress.done, decoder.is_done());
            assert!(progress.done || progress.consumed == end - consumed);
            consumed += progress.consumed;
        }
        Ok((out, consumed, decoder.is_done()))
    }

    fn chunked(input: &[u8]) -> Result<(Vec<u8>, usize, bool), HttpError> {
        decode_by(usize::MAX >> 1, BodyLength::Chunked, input)
    }

    fn assert_malformed(input: &[u8]) {
        let error = chunked(input).expect_err(&String::from_utf8_lossy(input));
        assert_eq!(error.status(), 400, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn a_sized_body_ends_at_its_length() {
        assert_eq!(decode_by(2, BodyLength::Sized(5), b"helloGET"), Ok((b"hello".to_vec(), 5, true)));
        assert_eq!(decode_by(9, BodyLength::Sized(9), b"hello"), Ok((b"hello".to_vec(), 5, false)));
    }

    #[test]
    fn no_body_is_done_at_once() {
        for length in [BodyLength::None, BodyLength::Sized(0)] {
            let mut decoder = BodyDecoder::new(length, 0).unwrap();
            assert!(decoder.is_done());
            let progress = decoder.decode(b"GET", &mut Vec::new()).unwrap();
            assert_eq!(progress, BodyProgress { consumed: 0, done: true });
        }
    }

    #[test]
    fn a_declared_length_over_the_limit_is_refused_before_the_body() {
        assert!(BodyDecoder::new(BodyLength::Sized(LIMIT as u64), LIMIT).is_ok());
        assert_eq!(BodyDecoder::new(BodyLength::Sized(LIMIT as u64 + 1), LIMIT).unwrap_err().status(), 413);
        assert_eq!(BodyDecoder::new(BodyLength::Sized(u64::MAX), LIMIT).unwrap_err().status(), 413);
    }

    #[test]
    fn chunks_are_joined_and_the_next_request_is_left() {
        let input = b"4\r\nWiki\r\n05\r\npedia\r\nA ;n=\"v\"\r\n0123456789\r\n0\r\nExpires: x\r\nB:\r\n\r\nGET /";
        let (body, consumed, done) = chunked(input).unwrap();
        assert_eq!((body.as_slice(), done), (&b"Wikipedia0123456789"[..], true));
        assert_eq!(&input[consumed..], b"GET /");
    }

    #[test]
    fn a_chunk_over_the_limit_is_refused_by_its_size() {
        assert_eq!(chunked(b"3e9\r\n").unwrap_err().status(), 413);
        assert_eq!(chunked(b"ffffffffffffffff\r\n").unwrap_err().status(), 413);
        let mut input = [b"3e8\r\n".to_vec(), vec![b'x'; LIMIT], b"\r\n".to_vec()].concat();
        assert_eq!(chunked(&input).unwrap().0.len(), LIMIT);
        input.extend_from_slice(b"1\r\n");
        assert_eq!(chunked(&input).unwrap_err().status(), 413);
    }

    #[test]
    fn bad_chunk_framing_is_malformed() {
        let cases: [&[u8]; 22] = [
            b"\r\n",
            b"x",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b" 1\r\n",
            b";a\r\n",
            b"1\n",
            b"1\rx",
            b"1 \r\n",
            b"1 2\r\n",
            b"11111111111111111\r\n",
            b"00000000000000000\r\n",
            b"1;a\n",
            b"1;a\0\r\n",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\rx",
            b"0\r\n\n",
            b"0\r\n\rx",
            b"0\r\n x: y\r\n\r\n",
            b"0\r\nx\r\n",
        ];
        cases.into_iter().for_each(assert_malformed);
    }

    #[test]
    fn bad_trailers_are_malformed() {
        let cases: [&[u8]; 5] =
            [b"0\r\nx y: z\r\n", b"0\r\n: z\r\n", b"0\r\nx: y\n", b"0\r\nx: y\rz", b"0\r\nx: \0\r\n"];
        cases.into_iter().for_each(assert_malformed);
    }

    #[test]
    fn an_extension_is_bounded() {
        let with = |len: usize| [b"1;".to_vec(), vec![b'e'; len - 1], b"\r\nx\r\n0\r\n\r\n".to_vec()].concat();
        assert_eq!(chunked(&with(CHUNK_EXTENSION_BYTES_MAX)).unwrap().0, b"x");
        assert_malformed(&with(CHUNK_EXTENSION_BYTES_MAX + 1));
        assert_malformed(&[b"1".to_vec(), vec![b' '; CHUNK_EXTENSION_BYTES_MAX + 1]].concat());
    }

    #[test]
    fn trailers_are_bounded_in_sum() {
        assert_malformed(&[b"0\r\n".to_vec(), b"a: b\r\n".repeat(TRAILER_BYTES_MAX)].concat());
        assert_malformed(&[b"0\r\na:".to_vec(), vec![b'b'; TRAILER_BYTES_MAX]].concat());
    }

    fn encode(chunks: &[(Vec<u8>, String)]) -> Vec<u8> {
        let mut input = Vec::new();
        for (data, extension) in chunks {
            input.extend_from_slice(format!("{:X}{extension}\r\n", data.len()).as_bytes());
            input.extend_from_slice(data);
            input.extend_from_slice(b"\r\n");
        }
        input
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_body(
            chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), "(;[a-z]{1,9}(=[0-9]{1,9})?)?"), 0..10),
            trailers in "([A-Za-z-]{1,9}: ?[a-z ]{0,9}\r\n){0,3}",
            step in 1usize..50,
        ) {
            let body: Vec<u8> = chunks.iter().flat_map(|(data, _)| data.clone()).collect();
            let mut input = encode(&chunks);
            input.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            let len = input.len();
            input.extend_from_slice(b"POST / HTTP/1.1\r\n");
            prop_assert_eq!(decode_by(step, BodyLength::Chunked, &input), Ok((body, len, true)));
        }

        #[test]
        fn any_cut_gives_the_same_error(
            input in prop::collection::vec(prop::sample::select(&b"\r\n\r\n0012aF;: \tx\0\xff"[..]), 0..60),
            step in 1usize..10,
        ) {
            let whole = chunked(&input);
            prop_assert_eq!(decode_by(step, BodyLength::Chunked, &input), whole);
        }

        #[test]
        fn one_broken_byte_never_panics(at in 0usize..60, byte: u8, step in 1usize..60) {
            let mut input = b"4;a=b\r\nWiki\r\n5\r\npedia\r\n0\r\nExpires: never\r\n\r\n".to_vec();
            let at = at % input.len();
            input[at] = byte;
            prop_assert_eq!(decode_by(step, BodyLength::Chunked, &input), chunked(&input));
        }
    }
}
