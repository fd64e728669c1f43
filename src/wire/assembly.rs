//! From a stream of bytes to whole messages: fragments, control frames between them, limits.
//!
//! A frame that is whole in the read buffer is unmasked there and handed out in place. Only what is incomplete is
//! copied: an unfinished header or control frame stays in the caller's buffer, an unfinished or fragmented data
//! message goes into an [`Assembly`] that exists only as long as it is needed.

use std::ops::Range;

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::utf8::Utf8Stream;
use super::websocket::{Header, Violation, parse_header, unmask};
use crate::config::limits::EMPTY_FRAGMENTS_MAX;

/// Limits of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest message in bytes.
    pub message_bytes_max: u64,
    /// Most fragments of one message.
    pub fragments_max: u32,
    /// Whether binary messages are spoken.
    pub takes_binary: bool,
}

/// A message that is not complete yet.
#[derive(Debug)]
pub struct Assembly {
    opcode: Data,
    bytes: Vec<u8>,
    utf8: Utf8Stream,
    fragments: u32,
    empty_run: u32,
    /// What is left of the frame in progress; `None` between fragments.
    frame: Option<OpenFrame>,
    /// When the message began, in the caller's milliseconds.
    pub started_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    is_final: bool,
    mask: [u8; 4],
    phase: usize,
    remaining: u64,
}

impl Assembly {
    /// Bytes it holds on to.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether the message came in more than one frame.
    pub fn is_fragmented(&self) -> bool {
        self.fragments > 1 || !self.frame.is_some_and(|frame| frame.is_final)
    }
}

/// Where the bytes of a message or control frame are.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload {
    /// In the buffer that was given. Text is not checked yet.
    Here(Range<usize>),
    /// Put together. Text was checked as it came.
    Assembled(Vec<u8>),
}

/// What the bytes held.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole text message.
    Text(Payload),
    /// A whole binary message.
    Binary(Payload),
    /// A ping with its payload.
    Ping(Range<usize>),
    /// A pong.
    Pong,
    /// A close frame with its body.
    Close(Range<usize>),
}

/// One step: how many bytes are done with, and what they completed. Without either, more bytes are needed.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes at the start of the buffer that are done with.
    pub consumed: usize,
    /// What they completed.
    pub event: Option<Event>,
}

impl Step {
    const MORE: Step = Step { consumed: 0, event: None };
}

/// Takes the next frame, or part of one, off the start of `buffer`.
///
/// # Errors
/// A [`Violation`] of RFC 6455 or of `limits`, as soon as it is certain.
pub fn next(
    assembly: &mut Option<Box<Assembly>>,
    buffer: &mut [u8],
    limits: Limits,
    now_ms: u64,
) -> Result<Step, Violation> {
    if let Some(open) = assembly
        && open.frame.is_some()
    {
        let consumed = open.append(buffer)?;
        return Ok(Step { consumed, event: finish(assembly)? });
    }
    let Some(header) = parse_header(buffer)? else {
        return Ok(Step::MORE);
    };
    check_sequence(assembly.as_deref(), &header)?;
    if header.is_control() {
        return Ok(control(&header, buffer));
    }
    if header.opcode == OpCode::Data(Data::Binary) && !limits.takes_binary {
        return Err(Violation::Binary);
    }
    check_size(assembly.as_deref(), &header, limits)?;
    let whole = header.payload_bytes <= (buffer.len() - header.header_bytes) as u64;
    if whole && header.is_final && assembly.is_none() {
        return Ok(in_place(&header, buffer));
    }
    let open = assembly.get_or_insert_with(|| Box::new(Assembly::new(&header, now_ms)));
    open.begin(&header, limits)?;
    let consumed = header.header_bytes + open.append(&mut buffer[header.header_bytes..])?;
    Ok(Step { consumed, event: finish(assembly)? })
}

/// Section 5.4: a continuation needs a message to continue, and nothing else may come inside one.
fn check_sequence(assembly: Option<&Assembly>, header: &Header) -> Result<(), Violation> {
    match (header.opcode, assembly) {
        (OpCode::Data(Data::Continue), None) => Err(Violation::Protocol("continuation of nothing")),
        (OpCode::Data(Data::Text | Data::Binary), Some(_)) => {
            Err(Violation::Protocol("new message inside a fragmented one"))
        }
        _ => Ok(()),
    }
}

fn check_size(assembly: Option<&Assembly>, header: &Header, limits: Limits) -> Result<(), Violation> {
    let so_far = assembly.map_or(0, |a| a.bytes.len() as u64);
    if so_far.saturating_add(header.payload_bytes) > limits.message_bytes_max {
        return Err(Violation::TooLarge);
    }
    Ok(())
}

fn payload_range(header: &Header) -> Range<usize> {
    header.header_bytes..header.header_bytes + header.payload_bytes as usize
}

/// A control frame is small: it waits in the buffer until it is whole.
fn control(header: &Header, buffer: &mut [u8]) -> Step {
    let range = payload_range(header);
    let Some(payload) = buffer.get_mut(range.clone()) else {
        return Step::MORE;
    };
    unmask(payload, header.mask, 0);
    let consumed = range.end;
    let event = match header.opcode {
        OpCode::Control(Control::Ping) => Event::Ping(range),
        OpCode::Control(Control::Pong) => Event::Pong,
        _ => Event::Close(range),
    };
    Step { consumed, event: Some(event) }
}

fn in_place(header: &Header, buffer: &mut [u8]) -> Step {
    let range = payload_range(header);
    let consumed = range.end;
    unmask(&mut buffer[range.clone()], header.mask, 0);
    let event = match header.opcode {
        OpCode::Data(Data::Text) => Event::Text(Payload::Here(range)),
        _ => Event::Binary(Payload::Here(range)),
    };
    Step { consumed, event: Some(event) }
}

/// Hands the message out if its last frame is complete.
fn finish(assembly: &mut Option<Box<Assembly>>) -> Result<Option<Event>, Violation> {
    let Some(mut done) = assembly.take_if(|open| open.end_frame()) else {
        return Ok(None);
    };
    let bytes = Payload::Assembled(std::mem::take(&mut done.bytes));
    match done.opcode {
        Data::Text if done.utf8.is_complete() => Ok(Some(Event::Text(bytes))),
        Data::Text => Err(Violation::InvalidUtf8),
        _ => Ok(Some(Event::Binary(bytes))),
    }
}

impl Assembly {
    fn new(header: &Header, started_ms: u64) -> Self {
        let opcode = match header.opcode {
            OpCode::Data(Data::Text) => Data::Text,
            _ => Data::Binary,
        };
        Self {
            opcode,
            bytes: Vec::new(),
            utf8: Utf8Stream::default(),
            fragments: 0,
            empty_run: 0,
            frame: None,
            started_ms,
        }
    }

    fn begin(&mut self, header: &Header, limits: Limits) -> Result<(), Violation> {
        self.fragments += 1;
        self.empty_run = if header.payload_bytes == 0 { self.empty_run + 1 } else { 0 };
        if self.fragments > limits.fragments_max {
            return Err(Violation::Policy("too many fragments"));
        }
        if self.empty_run >= EMPTY_FRAGMENTS_MAX {
            return Err(Violation::Policy("too many empty fragments"));
        }
        self.frame =
            Some(OpenFrame { is_final: header.is_final, mask: header.mask, phase: 0, remaining: header.payload_bytes });
        Ok(())
    }

    /// Takes what belongs to the open frame; memory grows only with bytes that arrived.
    fn append(&mut self, buffer: &mut [u8]) -> Result<usize, Violation> {
        let Some(frame) = &mut self.frame else {
            return Ok(0);
        };
        let count = frame.remaining.min(buffer.len() as u64) as usize;
        let bytes = &mut buffer[..count];
        unmask(bytes, frame.mask, frame.phase);
        frame.phase = (frame.phase + count) % 4;
        frame.remaining -= count as u64;
        if self.opcode == Data::Text {
            self.utf8.push(bytes).map_err(|_| Violation::InvalidUtf8)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(count)
    }

    /// Closes a frame that is complete; true if it was the message's last one.
    fn end_frame(&mut self) -> bool {
        match self.frame {
            Some(frame) if frame.remaining == 0 => {
                self.frame = None;
                frame.is_final
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1024, takes_binary: true };

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut out = vec![first];
        if payload.len() < 126 {
            out.push(0x80 | payload.len() as u8);
        } else {
            out.push(0xfe);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        out.extend_from_slice(&mask);
        let start = out.len();
        out.extend_from_slice(payload);
        unmask(&mut out[start..], mask, 0);
        out
    }

    /// Feeds `stream` in pieces that end at `cuts`; the events with their bytes.
    fn events(stream: &[u8], cuts: &[usize], limits: Limits) -> Result<Vec<(char, Vec<u8>)>, Violation> {
        let mut assembly = None;
        let mut pending: Vec<u8> = Vec::new();
        let mut seen = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain([&stream.len()]) {
            pending.extend_from_slice(&stream[from..to]);
            from = to;
            loop {
                let step = next(&mut assembly, &mut pending, limits, 0)?;
                let take = |payload: Payload, pending: &[u8]| match payload {
                    Payload::Here(range) => pending[range].to_vec(),
                    Payload::Assembled(bytes) => bytes,
                };
                let more = step.event.is_some() || step.consumed > 0;
                match step.event {
                    Some(Event::Text(p)) => seen.push(('t', take(p, &pending))),
                    Some(Event::Binary(p)) => seen.push(('b', take(p, &pending))),
                    Some(Event::Ping(r)) => seen.push(('i', pending[r].to_vec())),
                    Some(Event::Pong) => seen.push(('o', vec![])),
                    Some(Event::Close(r)) => seen.push(('c', pending[r].to_vec())),
                    None => {}
                }
                pending.drain(..step.consumed);
                if !more {
                    break;
                }
            }
        }
        Ok(seen)
    }

    fn fails(stream: &[u8]) -> Violation {
        events(stream, &[], LIMITS).unwrap_err()
    }

    #[test]
    fn control_frames_pass_between_fragments() {
        let stream =
            [frame(0x01, b"he"), frame(0x89, b"p"), frame(0x00, b"l"), frame(0x8a, b""), frame(0x80, b"lo")].concat();
        let seen = events(&stream, &[], LIMITS).unwrap();
        assert_eq!(seen, [('i', b"p".to_vec()), ('o', vec![]), ('t', b"hello".to_vec())]);
    }

    #[test]
    fn sequence_rules() {
        assert!(matches!(fails(&frame(0x80, b"x")), Violation::Protocol(_)));
        assert!(matches!(fails(&[frame(0x01, b"x"), frame(0x81, b"y")].concat()), Violation::Protocol(_)));
        assert!(matches!(fails(&[frame(0x02, b"x"), frame(0x01, b"y")].concat()), Violation::Protocol(_)));
    }

    #[test]
    fn limits_hold_from_the_header_on() {
        let limits = Limits { message_bytes_max: 10, fragments_max: 3, takes_binary: false };
        assert_eq!(events(&frame(0x82, b"x")[..6], &[], limits), Err(Violation::Binary));
        assert_eq!(events(&frame(0x81, &[b'x'; 11])[..6], &[], limits), Err(Violation::TooLarge));
        let sum = [frame(0x01, &[b'x'; 6]), frame(0x80, &[b'x'; 5])[..6].to_vec()].concat();
        assert_eq!(events(&sum, &[], limits), Err(Violation::TooLarge));
        let many = [frame(0x01, b"x"), frame(0, b"x"), frame(0, b"x"), frame(0x80, b"x")].concat();
        assert!(matches!(events(&many, &[], limits), Err(Violation::Policy(_))));
        let empty = [frame(0x01, b""), frame(0, b"").repeat(63)].concat();
        assert!(matches!(events(&empty, &[], LIMITS), Err(Violation::Policy(_))));
        let fewer = [frame(0x01, b""), frame(0, b"").repeat(62), frame(0x80, b"x")].concat();
        assert_eq!(events(&fewer, &[], LIMITS).unwrap(), [('t', b"x".to_vec())]);
    }

    #[test]
    fn bad_text_fails_inside_the_frame_that_breaks_it() {
        assert_eq!(fails(&frame(0x01, b"\xff")), Violation::InvalidUtf8);
        assert_eq!(fails(&frame(0x81, &[b"\xff".to_vec(), vec![b'x'; 50]].concat())[..10]), Violation::InvalidUtf8);
        assert_eq!(fails(&[frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat()), Violation::InvalidUtf8);
    }

    proptest! {
        #[test]
        fn the_same_messages_at_any_split(
            texts in proptest::collection::vec(("[a-zé😀]{0,80}", 1_usize..4, any::<bool>()), 1..5),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut stream = Vec::new();
            let mut wanted = Vec::new();
            for (text, pieces, ping) in &texts {
                let bytes = text.as_bytes();
                let size = bytes.len() / pieces + 1;
                let chunks: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(size).collect() };
                for (i, chunk) in chunks.iter().enumerate() {
                    let first = if i == 0 { 0x01 } else { 0 } | if i + 1 == chunks.len() { 0x80 } else { 0 };
                    stream.extend(frame(first, chunk));
                    if *ping && i + 1 < chunks.len() {
                        stream.extend(frame(0x89, b"ping"));
                        wanted.push(('i', b"ping".to_vec()));
                    }
                }
                wanted.push(('t', bytes.to_vec()));
            }
            let mut places: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
            places.sort_unstable();
            prop_assert_eq!(events(&stream, &places, LIMITS).unwrap(), wanted.clone());
            let every: Vec<usize> = (0..stream.len()).collect();
            prop_assert_eq!(events(&stream, &every, LIMITS).unwrap(), wanted);
        }
    }
}
