//! The envelopes that the harness sends, and the little it looks for in those it gets.
//!
//! Every published message carries a [`Stamp`] at the start of its payload, which the server passes on byte for byte; the
//! reader finds it by one substring search. Everything else (the welcome, errors, gaps) is rare and may be slower. The
//! text is searched, not parsed: it relies on JSON without blanks.

use std::io::Write;

use memchr::memmem::{self, Finder};
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::frame::{self, MaskKeys};
use crate::http::{self, Request};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::wording::{Keying, Priority, Wording};

/// The smallest envelope: every stamp fits into it, worded plainly.
pub const MIN_BYTES: usize = 144;
/// The smallest envelope that holds every wording, too.
pub const MIN_WORDED_BYTES: usize = 256;

/// Who published a message, its number there (from 0), and when it was meant to be sent, in ns of the harness's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub publisher: u32,
    pub number: u64,
    pub sent_at: u64,
}

/// Writes published messages, all of the same length, as masked frames.
#[derive(Debug)]
pub struct Composer {
    run: String,
    bytes: usize,
    pad: Vec<u8>,
    keys: MaskKeys,
    /// What stands before and behind each envelope in its frame.
    around: [&'static [u8]; 2],
}

impl Composer {
    /// `run` makes ids unique among the runs against one server; `bytes` is the length of each envelope.
    pub fn new(run: &str, bytes: usize) -> Self {
        assert!((MIN_BYTES..=PAYLOAD_BYTES_MAX).contains(&bytes) && run.len() <= 8);
        Self { run: run.into(), bytes, pad: vec![b'x'; bytes], keys: MaskKeys::new(bytes as u32), around: [b"", b""] }
    }

    /// Puts something before and behind each envelope; it does not count as its length.
    pub fn wrapped_in(self, around: [&'static [u8]; 2]) -> Self {
        Self { around, ..self }
    }

    /// Appends the frame of one message.
    pub fn push(&mut self, out: &mut Vec<u8>, stamp: Stamp, wording: Wording) {
        let key = self.keys.next_key();
        let [before, after] = self.around;
        frame::push_header(out, OpCode::Data(Data::Text), Some(key), before.len() + self.bytes + after.len());
        let start = out.len();
        out.extend_from_slice(before);
        self.push_text(out, stamp, wording);
        debug_assert_eq!(out.len() - start, before.len() + self.bytes);
        out.extend_from_slice(after);
        frame::apply_mask(&mut out[start..], key);
    }

    /// Appends a request that publishes one message over HTTP.
    pub fn push_request(&self, out: &mut Vec<u8>, request: &Request, stamp: Stamp, wording: Wording) {
        http::push_post(out, request, self.bytes);
        self.push_text(out, stamp, wording);
    }

    fn push_text(&self, out: &mut Vec<u8>, stamp: Stamp, wording: Wording) {
        const END: &[u8] = br#""}}"#;
        let start = out.len();
        out.extend_from_slice(br#"{"id":""#);
        out.extend_from_slice(self.run.as_bytes());
        out.push(b'-');
        push_number(out, stamp.publisher.into());
        out.push(b'-');
        push_number(out, stamp.number);
        out.extend_from_slice(br#"","type":""#);
        out.extend_from_slice(message_type(stamp.number, wording.keying));
        out.push(b'"');
        self.push_members(out, stamp.number, wording);
        out.extend_from_slice(br#","payload":{"p":"#);
        push_number(out, stamp.publisher.into());
        out.extend_from_slice(br#","n":"#);
        push_number(out, stamp.number);
        out.extend_from_slice(br#","t":"#);
        push_number(out, stamp.sent_at);
        self.push_operation(out, stamp, wording.keying);
        out.extend_from_slice(br#","pad":""#);
        let pad = self.bytes - END.len() - (out.len() - start);
        out.extend_from_slice(&self.pad[..pad]);
        out.extend_from_slice(END);
    }

    /// The members that a plain message leaves out.
    fn push_members(&self, out: &mut Vec<u8>, number: u64, wording: Wording) {
        match wording.priority {
            Priority::High => out.extend_from_slice(br#","priority":"high""#),
            Priority::Normal => {}
            Priority::Low => out.extend_from_slice(br#","priority":"low""#),
        }
        if let Some(session) = wording.session {
            out.extend_from_slice(br#","sessionId":""#);
            out.extend_from_slice(session_name(&self.run, session).as_bytes());
            out.push(b'"');
        }
        if let Keying::Cycle(keys) = wording.keying {
            out.extend_from_slice(br#","key":"k"#);
            push_number(out, number % keys);
            out.push(b'"');
        }
    }

    /// The payload's members that the server makes the key of, and that clients of operations read.
    fn push_operation(&self, out: &mut Vec<u8>, stamp: Stamp, keying: Keying) {
        let Keying::Operation(steps) = keying else {
            return;
        };
        let (operation, step) = (stamp.number / steps, stamp.number % steps);
        out.extend_from_slice(br#","operationId":"op-"#);
        push_number(out, stamp.publisher.into());
        out.push(b'-');
        push_number(out, operation);
        let progress = step as f64 / (steps - 1) as f64;
        write!(out, r#"","progress":{progress:.3}"#).expect("ok because writing to a vector cannot fail");
    }
}

/// The type of the message of this number.
fn message_type(number: u64, keying: Keying) -> &'static [u8] {
    match keying {
        Keying::None | Keying::Cycle(_) => b"custom",
        Keying::Operation(steps) => match number % steps {
            0 => b"operation_started",
            step if step + 1 == steps => b"operation_completed",
            _ => b"operation_progress",
        },
    }
}

/// The name of a session of one run.
pub fn session_name(run: &str, session: u32) -> String {
    format!("load-{run}-{session}")
}

/// The `authentication` message of one connection.
pub fn authentication(token: &str, session: &str, echo: bool) -> String {
    format!(
        r#"{{"id":"auth-{token}","type":"authentication","payload":{{"token":"{token}","sessionId":"{session}","echo":{echo}}}}}"#
    )
}

/// What the server says it lost for this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// At least one message of these positions of a session, both included.
    Positions { from: u64, to: u64 },
    /// This many messages without a position.
    Direct(u64),
    /// Nothing that can be counted; no loss is excused by it.
    Unknown,
}

impl Gap {
    /// How many messages it may excuse, where nobody knows whose the positions are.
    pub fn count(self) -> u64 {
        match self {
            Self::Positions { from, to } => (to - from).saturating_add(1),
            Self::Direct(count) => count,
            Self::Unknown => 0,
        }
    }

    /// The number below which nothing is waited for after it, of a publisher that has its session alone and has sent `sent`
    /// messages. Whatever is under way may be what was lost where it does not say.
    pub fn passes_to(self, sent: u64) -> u64 {
        match self {
            Self::Positions { to, .. } => to.min(sent),
            Self::Direct(_) | Self::Unknown => sent,
        }
    }
}

/// A text message, as far as the harness cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    Stamped(Stamp),
    Welcome,
    Refused,
    Error,
    Gap(Gap),
    Other,
}

/// Reads incoming text messages.
#[derive(Debug)]
pub struct Scanner {
    stamp: Finder<'static>,
}

impl Scanner {
    pub fn new() -> Self {
        Self { stamp: Finder::new(br#""payload":{"p":"#) }
    }

    pub fn scan(&self, text: &[u8]) -> Incoming {
        match self.stamp(text) {
            Some(stamp) => Incoming::Stamped(stamp),
            None => scan_rare(text),
        }
    }

    fn stamp(&self, text: &[u8]) -> Option<Stamp> {
        let rest = &text[self.stamp.find(text)? + self.stamp.needle().len()..];
        let (publisher, rest) = leading_number(rest)?;
        let (number, rest) = leading_number(rest.strip_prefix(br#","n":"#)?)?;
        let (sent_at, _) = leading_number(rest.strip_prefix(br#","t":"#)?)?;
        Some(Stamp { publisher: u32::try_from(publisher).ok()?, number, sent_at })
    }
}

fn scan_rare(text: &[u8]) -> Incoming {
    match type_of(text) {
        Some(b"authentication") if contains(text, br#""success":true"#) => Incoming::Welcome,
        Some(b"authentication") => Incoming::Refused,
        Some(b"error") => Incoming::Error,
        Some(b"hashi:gap") => Incoming::Gap(scan_gap(text)),
        _ => Incoming::Other,
    }
}

fn scan_gap(text: &[u8]) -> Gap {
    if let Some(count) = number_after(text, br#""direct":"#) {
        return Gap::Direct(count);
    }
    match (number_after(text, br#""from":"#), number_after(text, br#""to":"#)) {
        (Some(from), Some(to)) if from <= to => Gap::Positions { from, to },
        _ => Gap::Unknown,
    }
}

/// The value of `type`: what follows the first `"type":`.
fn type_of(text: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = br#""type":""#;
    let rest = &text[memmem::find(text, NAME)? + NAME.len()..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// Whether `text` contains `part`.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// The first number that directly follows an occurrence of `name` (the envelope has a textual `from` of its own).
fn number_after(text: &[u8], name: &[u8]) -> Option<u64> {
    memmem::find_iter(text, name).find_map(|at| leading_number(&text[at + name.len()..])).map(|found| found.0)
}

/// The decimal number at the start of `bytes`, and what follows it.
fn leading_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value: u64 = 0;
    let mut digits = 0;
    while let Some(digit) = bytes.get(digits).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.checked_mul(10)?.checked_add(digit.into())?;
        digits += 1;
    }
    (digits > 0).then(|| (value, &bytes[digits..]))
}

fn push_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Sender, apply_mask, parse_frame};

    fn composed(bytes: usize, stamp: Stamp, wording: Wording) -> Vec<u8> {
        let mut out = Vec::new();
        Composer::new("0a1b2c3d", bytes).push(&mut out, stamp, wording);
        let frame = parse_frame(&out, Sender::Client).unwrap().unwrap();
        assert_eq!(frame.payload.end, out.len());
        let mut text = out[frame.payload].to_vec();
        apply_mask(&mut text, frame.key.unwrap());
        text
    }

    #[test]
    fn a_composed_message_has_its_length_and_its_stamp_is_found() {
        for (bytes, number) in [(MIN_BYTES, 0), (MIN_BYTES, 99_999_999_999), (256, 345), (70_000, 1)] {
            let stamp = Stamp { publisher: 99_999, number, sent_at: 9_999_999_999_999 };
            let text = composed(bytes, stamp, Wording::PLAIN);
            assert_eq!(text.len(), bytes);
            assert_eq!(Scanner::new().scan(&text), Incoming::Stamped(stamp));
        }
    }

    #[test]
    fn every_wording_fits_and_says_what_it_should() {
        let stamp = Stamp { publisher: 99_999, number: 99_999_999_999, sent_at: 9_999_999_999_999 };
        for keying in [Keying::None, Keying::Cycle(u64::MAX), Keying::Operation(9)] {
            let wording = Wording { priority: Priority::High, keying, session: Some(99_999) };
            let text = composed(MIN_WORDED_BYTES, stamp, wording);
            assert_eq!(text.len(), MIN_WORDED_BYTES);
            assert_eq!(Scanner::new().scan(&text), Incoming::Stamped(stamp));
            assert!(contains(&text, br#","priority":"high","sessionId":"load-0a1b2c3d-99999""#));
        }
        let says = |number, part: &[u8]| {
            let wording = Wording { keying: Keying::Operation(5), ..Wording::PLAIN };
            contains(&composed(MIN_WORDED_BYTES, Stamp { number, ..stamp }, wording), part)
        };
        assert!(says(5, br#""type":"operation_started","payload":"#));
        assert!(says(8, br#""type":"operation_progress""#));
        assert!(says(8, br#","operationId":"op-99999-1","progress":0.750,"#));
        assert!(says(9, br#""type":"operation_completed""#));
        let wording = Wording { keying: Keying::Cycle(4), ..Wording::PLAIN };
        assert!(contains(&composed(256, Stamp { number: 7, ..stamp }, wording), br#","key":"k3","#));
    }

    #[test]
    fn a_relayed_message_is_recognised() {
        let text = br#"{"id":"r-1-2","type":"custom","timestamp":"2026-05-01T12:34:56.789Z","priority":"normal",
            "sessionId":"s","seq":7,"from":"load-1","payload":{"p":1,"n":2,"t":3,"pad":""}}"#;
        let stamp = Stamp { publisher: 1, number: 2, sent_at: 3 };
        assert_eq!(Scanner::new().scan(text), Incoming::Stamped(stamp));
    }

    #[test]
    fn system_messages_are_told_apart() {
        let scan = |text: &str| Scanner::new().scan(text.as_bytes());
        assert_eq!(scan(r#"{"id":"1","type":"authentication","payload":{"success":true}}"#), Incoming::Welcome);
        assert_eq!(scan(r#"{"id":"1","type":"authentication","payload":{"success":false}}"#), Incoming::Refused);
        assert_eq!(scan(r#"{"id":"1","type":"error","payload":{"code":"bad_message"}}"#), Incoming::Error);
        assert_eq!(scan(r#"{"id":"1","type":"heartbeat","payload":{}}"#), Incoming::Other);
        assert_eq!(scan("nothing"), Incoming::Other);
    }

    #[test]
    fn gaps_are_counted() {
        let gap = |payload: &str| {
            let text = format!(r#"{{"id":"1","type":"hashi:gap","from":"someone","payload":{payload}}}"#);
            Scanner::new().scan(text.as_bytes())
        };
        assert_eq!(
            gap(r#"{"sessionId":"s","from":5,"to":9,"reason":"x"}"#),
            Incoming::Gap(Gap::Positions { from: 5, to: 9 })
        );
        let positions = Gap::Positions { from: 5, to: 9 };
        assert_eq!((positions.count(), positions.passes_to(8), positions.passes_to(12)), (5, 8, 9));
        assert_eq!((Gap::Direct(3).passes_to(8), Gap::Unknown.passes_to(8)), (8, 8));
        assert_eq!(gap(r#"{"direct":3,"reason":"x"}"#), Incoming::Gap(Gap::Direct(3)));
        assert_eq!(gap(r#"{"sessionId":"s","from":null,"to":null}"#), Incoming::Gap(Gap::Unknown));
    }

    #[test]
    fn numbers_survive_the_way() {
        for value in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, value);
            assert_eq!(leading_number(&out), Some((value, &b""[..])));
        }
        assert_eq!(leading_number(b"99999999999999999999"), None);
        assert_eq!(leading_number(b"x"), None);
    }
}
