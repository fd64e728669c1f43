//! The reactor of the harness: one thread, one poll, all connections as rows of one table. It carries out what a scenario
//! asks for and tells it what happens.
//!
//! In: a scenario and the target. Out: its report and, each second, what happened in it. Any connection that fails or that
//! the server closes ends the run with an error, unless the scenario expects it, so that a run always stops by itself.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::sync::mpsc::Sender as Channel;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};
use tungstenite::handshake::client::generate_key;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::connection::{Connection, Phase, ReadOutcome};
use crate::envelope::{self, Composer, Incoming, Scanner, Stamp};
use crate::error::{ConnectionError, LoadError, Result};
use crate::frame::{self, Frame, MaskKeys, ReadBuffer, Sender};
use crate::handshake::{self, SUBPROTOCOL};
use crate::http::{self, Request};
use crate::limits::{
    EVENTS, HEAD_BYTES_MAX, OPENS_IN_A_ROW, READS_IN_A_ROW, SHOWN_ERRORS, SPARE_BUFFERS, SPIN_NS, TIMEOUT_SCAN_NS,
};
use crate::measure::{Clock, Sample};
use crate::meter::Interval;
use crate::report::Report;
use crate::scenarios::{Command, Identity, Role, Scenario};
use crate::socket_io::{self, Packet};
use crate::wording::Wording;

/// What becomes of a step of one connection.
type Outcome<T> = std::result::Result<T, ConnectionError>;

/// What connections speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Subprotocol `hashi.v1` and `authentication`.
    Hashi,
    /// Plain WebSocket.
    Raw,
    /// The same envelopes as events of Socket.IO.
    SocketIo,
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub host: String,
    pub path: String,
    pub dialect: Dialect,
    /// Bytes of each published message.
    pub message_bytes: usize,
    /// Connections that may be opening at the same time.
    pub opening_at_once: usize,
    pub timeout_ns: u64,
    pub server_pid: Option<u32>,
    /// Distinguishes the sessions and ids of this run; at most 8 characters.
    pub run: String,
}

impl Target {
    fn subprotocol(&self) -> Option<&'static str> {
        (self.dialect == Dialect::Hashi).then_some(SUBPROTOCOL)
    }

    /// What stands before and behind each envelope.
    fn around(&self) -> [&'static [u8]; 2] {
        if self.dialect == Dialect::SocketIo { socket_io::AROUND } else { [b"", b""] }
    }
}

/// What happened in an interval.
#[derive(Debug)]
pub struct Tick {
    pub interval: Interval,
    /// The name of its phase (`drain` after the last), and whether that is measured.
    pub phase: String,
    pub is_measured: bool,
    /// `error` messages since the run began.
    pub errors: u64,
}

/// Runs a scenario to its end. Each interval is sent to `ticks`; it may be that nobody listens.
pub fn run(scenario: impl Scenario, target: Target, ticks: Channel<Tick>) -> Result<Report> {
    Reactor::new(scenario, target, ticks)?.run()
}

/// The state of a run.
struct Reactor<S> {
    scenario: S,
    target: Target,
    clock: Clock,
    poll: Poll,
    rows: Vec<Connection>,
    /// Connections to open, and how many are opening.
    waiting: VecDeque<(usize, Identity)>,
    opening: usize,
    /// Rows with bytes to write that were not tried yet.
    dirty: Vec<usize>,
    /// Rows that may hold bytes that no event will announce: they were paused, or not read to the end.
    unread: Vec<usize>,
    commands: Vec<Command>,
    buffer: ReadBuffer,
    spare: Vec<Vec<u8>>,
    composer: Composer,
    scanner: Scanner,
    keys: MaskKeys,
    samples: Vec<Sample>,
    ticks: Channel<Tick>,
    error_count: u64,
    errors: Vec<String>,
    next_timeout_scan: u64,
}

impl<S: Scenario> Reactor<S> {
    fn new(scenario: S, target: Target, ticks: Channel<Tick>) -> Result<Self> {
        let poll = Poll::new().map_err(|error| LoadError::System("poll", error))?;
        let rows = (0..scenario.connections()).map(|_| Connection::closed()).collect();
        Ok(Self {
            composer: Composer::new(&target.run, target.message_bytes).wrapped_in(target.around()),
            scenario,
            target,
            clock: Clock::start(),
            poll,
            rows,
            waiting: VecDeque::new(),
            opening: 0,
            dirty: Vec::new(),
            unread: Vec::new(),
            commands: Vec::new(),
            buffer: ReadBuffer::new(),
            spare: Vec::new(),
            scanner: Scanner::new(),
            keys: MaskKeys::new(std::process::id()),
            samples: Vec::new(),
            ticks,
            error_count: 0,
            errors: Vec::new(),
            next_timeout_scan: 0,
        })
    }

    fn run(mut self) -> Result<Report> {
        let mut events = Events::with_capacity(EVENTS);
        self.scenario.on_start(self.clock.now(), &mut self.commands);
        self.act()?;
        while !self.scenario.is_done() {
            let timeout = self.timeout(self.clock.now());
            self.wait(&mut events, timeout)?;
            for event in &events {
                self.handle(event)?;
                self.act()?;
                self.pass_time()?;
            }
            self.read_unread()?;
            self.open_waiting()?;
            self.pass_time()?;
        }
        self.scenario.meter().finish(self.clock.now());
        self.tell_intervals();
        Ok(self.report())
    }

    fn wait(&mut self, events: &mut Events, timeout: Duration) -> Result<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(LoadError::System("poll", error)),
            _ => Ok(()),
        }
    }

    fn timeout(&mut self, now: u64) -> Duration {
        if !self.unread.is_empty() || self.may_open() {
            return Duration::ZERO;
        }
        let due = self.scenario.due().min(self.scenario.meter().due()).min(self.next_timeout_scan);
        let left = due.saturating_sub(now);
        if left <= SPIN_NS { Duration::ZERO } else { Duration::from_nanos(left - SPIN_NS / 2) }
    }

    fn pass_time(&mut self) -> Result<()> {
        let now = self.clock.now();
        if now >= self.scenario.due() {
            self.scenario.on_time(now, &mut self.commands);
            self.act()?;
        }
        self.scenario.meter().tick(now);
        self.tell_intervals();
        if now >= self.next_timeout_scan {
            self.next_timeout_scan = now + TIMEOUT_SCAN_NS;
            self.check_timeouts(now)?;
        }
        Ok(())
    }

    /// What these rows hold was announced once and will not be again.
    fn read_unread(&mut self) -> Result<()> {
        for conn in mem::take(&mut self.unread) {
            let read = self.read(conn, true);
            self.settle(conn, read)?;
            self.act()?;
            self.pass_time()?;
        }
        Ok(())
    }

    fn may_open(&self) -> bool {
        !self.waiting.is_empty() && self.opening < self.target.opening_at_once
    }

    /// Opens connections that wait for it.
    fn open_waiting(&mut self) -> Result<()> {
        let room = self.target.opening_at_once - self.opening;
        for _ in 0..room.min(self.waiting.len()).min(OPENS_IN_A_ROW) {
            let (conn, identity) = self.waiting.pop_front().expect("ok because so many are waiting");
            self.opening += 1;
            let opened = self.open(conn, identity);
            self.settle(conn, opened)?;
        }
        Ok(())
    }

    /// Hands over what was measured in the intervals that ended.
    fn tell_intervals(&mut self) {
        let errors = self.error_count;
        let meter = self.scenario.meter();
        for interval in meter.take_finished() {
            let (phase, is_measured) = interval.phase.map_or(("drain", false), |phase| meter.phase(phase));
            let phase = phase.to_owned();
            // A run whose ticks nobody takes is the same run.
            self.ticks.send(Tick { interval, phase, is_measured, errors }).ok();
        }
    }

    fn check_timeouts(&mut self, now: u64) -> Result<()> {
        for conn in 0..self.rows.len() {
            let row = &self.rows[conn];
            if let Some(what) = row.phase.awaits().filter(|_| now > row.since + self.target.timeout_ns) {
                self.settle(conn, Err(ConnectionError::Timeout(what)))?;
            }
        }
        Ok(())
    }

    /// Carries out the scenario's commands, and writes.
    fn act(&mut self) -> Result<()> {
        let mut commands = mem::take(&mut self.commands);
        for command in commands.drain(..) {
            self.carry_out(command);
        }
        // Nothing was appended meanwhile; the emptied list is put back for its capacity.
        self.commands = commands;
        self.flush_dirty()
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Open { conn, identity } => self.waiting.push_back((conn, identity)),
            Command::Publish { conn, stamp, wording } => {
                assert_eq!(self.rows[conn].phase, Phase::Ready, "only a connection that is ready publishes");
                self.mark_dirty(conn);
                self.compose(conn, stamp, wording);
            }
            Command::Pause { conn } => self.rows[conn].paused = true,
            Command::Resume { conn } => {
                self.rows[conn].paused = false;
                self.unread.push(conn);
            }
            Command::Close { conn } => {
                let code: [u8; 2] = u16::from(CloseCode::Normal).to_be_bytes();
                self.push_frame(conn, OpCode::Control(Control::Close), &code);
                self.enter(conn, Phase::Closing);
            }
            Command::Cut { conn } => {
                self.opening -= usize::from(self.rows[conn].phase.is_opening());
                self.rows[conn].cut();
            }
            Command::Sample => self.samples.push(Sample::take(self.clock.now(), self.target.server_pid)),
        }
    }

    fn compose(&mut self, conn: usize, stamp: Stamp, wording: Wording) {
        let row = &mut self.rows[conn];
        let role = row.identity.role;
        if let Role::Rest(route) = role {
            let request = Request { route, host: &self.target.host, token: &token(conn, role) };
            self.composer.push_request(&mut row.out, &request, stamp, wording);
        } else {
            self.composer.push(&mut row.out, stamp, wording);
        }
    }

    fn open(&mut self, conn: usize, identity: Identity) -> Outcome<()> {
        self.rows[conn].since = self.clock.now();
        self.rows[conn].open(identity, self.target.address, self.poll.registry(), Token(conn))
    }

    fn enter(&mut self, conn: usize, phase: Phase) {
        self.rows[conn].phase = phase;
        self.rows[conn].since = self.clock.now();
    }

    /// Puts the row on the list of rows to flush, with a buffer that has room.
    fn mark_dirty(&mut self, conn: usize) {
        let row = &mut self.rows[conn];
        if !mem::replace(&mut row.dirty, true) {
            self.dirty.push(conn);
            if row.out.capacity() == 0 {
                row.out = self.spare.pop().unwrap_or_default();
            }
        }
    }

    fn push_frame(&mut self, conn: usize, opcode: OpCode, payload: &[u8]) {
        self.mark_dirty(conn);
        frame::push_frame(&mut self.rows[conn].out, opcode, Some(self.keys.next_key()), payload);
    }

    fn push_text(&mut self, conn: usize, text: &[u8]) {
        self.push_frame(conn, OpCode::Data(Data::Text), text);
    }

    fn flush_dirty(&mut self) -> Result<()> {
        let mut dirty = mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            self.rows[conn].dirty = false;
            let flushed = self.flush(conn);
            self.settle(conn, flushed)?;
        }
        self.dirty = dirty;
        Ok(())
    }

    fn flush(&mut self, conn: usize) -> Outcome<()> {
        let row = &mut self.rows[conn];
        if row.flush()? && row.out.capacity() > 0 {
            let buffer = mem::take(&mut row.out);
            if self.spare.len() < SPARE_BUFFERS {
                self.spare.push(buffer);
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: &Event) -> Result<()> {
        let Token(conn) = event.token();
        let advanced = self.advance(conn, event);
        self.settle(conn, advanced)
    }

    /// An error of a connection closes it, and ends the run unless the scenario expects it.
    fn settle(&mut self, conn: usize, outcome: Outcome<()>) -> Result<()> {
        let Err(error) = outcome else {
            return Ok(());
        };
        if !self.scenario.on_failed(conn, &error, self.clock.now()) {
            return Err(LoadError::Connection(conn, error));
        }
        self.opening -= usize::from(self.rows[conn].phase.is_opening());
        self.rows[conn].close();
        Ok(())
    }

    fn advance(&mut self, conn: usize, event: &Event) -> Outcome<()> {
        if self.rows[conn].phase == Phase::Connecting {
            if !self.rows[conn].is_connected()? {
                return Ok(());
            }
            match self.rows[conn].identity.role {
                Role::Rest(_) => self.ready(conn, self.clock.now()),
                _ => self.upgrade(conn),
            }
        }
        if event.is_writable() {
            self.rows[conn].unblock();
            self.flush(conn)?;
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(conn, event.is_read_closed())?;
        }
        Ok(())
    }

    fn upgrade(&mut self, conn: usize) {
        let key = generate_key();
        let target = &self.target;
        let request = handshake::request(&target.host, &target.path, &key, target.subprotocol());
        self.mark_dirty(conn);
        self.rows[conn].out.extend_from_slice(request.as_bytes());
        self.rows[conn].key = key;
        self.enter(conn, Phase::Upgrading);
    }

    /// Reads until the socket is drained, or for so long in a row. The shared buffer is taken out for the time, so that its bytes can be walked
    /// while rows change.
    fn read(&mut self, conn: usize, closing: bool) -> Outcome<()> {
        let mut buffer = mem::take(&mut self.buffer);
        let result = self.read_with(&mut buffer, conn, closing);
        self.buffer = buffer;
        result
    }

    fn read_with(&mut self, buffer: &mut ReadBuffer, conn: usize, closing: bool) -> Outcome<()> {
        for _ in 0..READS_IN_A_ROW {
            match self.rows[conn].read(buffer)? {
                ReadOutcome::Nothing => return Ok(()),
                ReadOutcome::End => return self.ended(conn, ConnectionError::Ended),
                ReadOutcome::Bytes { drained } => {
                    let used = self.consume(conn, buffer.filled())?;
                    self.rows[conn].keep(&buffer.filled()[used..]);
                    // A short read means that no more is there, unless the end of the stream was announced.
                    if drained && !closing {
                        return Ok(());
                    }
                }
            }
        }
        self.unread.push(conn);
        Ok(())
    }

    /// Handles what is whole in `bytes`; returns how many bytes that is.
    fn consume(&mut self, conn: usize, bytes: &[u8]) -> Outcome<usize> {
        let now = self.clock.now();
        let mut used = 0;
        while self.rows[conn].phase != Phase::Closed {
            match self.consume_one(conn, &bytes[used..], now)? {
                Some(length) => used += length,
                None => return Ok(used),
            }
        }
        Ok(bytes.len())
    }

    /// Handles the head, the frame or the answer at the start of `bytes` and returns its length; `None` when it is not
    /// whole yet.
    fn consume_one(&mut self, conn: usize, bytes: &[u8], now: u64) -> Outcome<Option<usize>> {
        match (self.rows[conn].phase, self.rows[conn].identity.role) {
            (Phase::Upgrading, _) => self.consume_head(conn, bytes, now),
            (_, Role::Rest(_)) => self.consume_answer(conn, bytes, now),
            _ => {
                let Some(frame) = frame::parse_frame(bytes, Sender::Server)? else {
                    return Ok(None);
                };
                self.take_frame(conn, &frame, &bytes[frame.payload.clone()], now)?;
                Ok(Some(frame.payload.end))
            }
        }
    }

    fn consume_head(&mut self, conn: usize, bytes: &[u8], now: u64) -> Outcome<Option<usize>> {
        let Some(length) = handshake::head_length(bytes) else {
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(ConnectionError::Upgrade("the answer to the upgrade has no end".into()));
            }
            return Ok(None);
        };
        self.upgraded(conn, &bytes[..length], now)?;
        Ok(Some(length))
    }

    fn consume_answer(&mut self, conn: usize, bytes: &[u8], now: u64) -> Outcome<Option<usize>> {
        let answer = http::parse_answer(bytes).map_err(ConnectionError::Http)?;
        if let Some(answer) = answer {
            self.scenario.on_answer(conn, answer.status, now, &mut self.commands);
        }
        Ok(answer.map(|answer| answer.bytes))
    }

    fn upgraded(&mut self, conn: usize, head: &[u8], now: u64) -> Outcome<()> {
        let key = mem::take(&mut self.rows[conn].key);
        handshake::check_response(head, &key, self.target.subprotocol()).map_err(ConnectionError::Upgrade)?;
        match self.target.dialect {
            Dialect::Hashi => self.authenticate(conn),
            Dialect::Raw => self.ready(conn, now),
            // It authenticates when it is connected to the namespace.
            Dialect::SocketIo => self.enter(conn, Phase::Authenticating),
        }
        Ok(())
    }

    fn authenticate(&mut self, conn: usize) {
        let Identity { session, echo, role } = self.rows[conn].identity;
        let session = envelope::session_name(&self.target.run, session);
        let text = envelope::authentication(&token(conn, role), &session, echo);
        let [before, after] = self.target.around();
        self.push_text(conn, &[before, text.as_bytes(), after].concat());
        self.enter(conn, Phase::Authenticating);
    }

    fn ready(&mut self, conn: usize, now: u64) {
        self.opening -= 1;
        self.enter(conn, Phase::Ready);
        self.scenario.on_ready(conn, now, &mut self.commands);
    }

    fn take_frame(&mut self, conn: usize, frame: &Frame, payload: &[u8], now: u64) -> Outcome<()> {
        match frame.opcode {
            OpCode::Data(Data::Text) if self.target.dialect == Dialect::SocketIo => {
                self.take_packet(conn, payload, now)
            }
            OpCode::Data(Data::Text) => self.take_text(conn, payload, now),
            OpCode::Control(Control::Ping) => {
                self.push_frame(conn, OpCode::Control(Control::Pong), payload);
                Ok(())
            }
            OpCode::Control(Control::Close) => self.ended(conn, close_error(payload)),
            _ => Ok(()),
        }
    }

    fn take_packet(&mut self, conn: usize, text: &[u8], now: u64) -> Outcome<()> {
        match socket_io::packet(text) {
            Packet::Open => self.push_text(conn, socket_io::CONNECT),
            Packet::Connected => self.authenticate(conn),
            Packet::Ping => self.push_text(conn, socket_io::PONG),
            Packet::Other => return self.take_text(conn, text, now),
        }
        Ok(())
    }

    fn take_text(&mut self, conn: usize, text: &[u8], now: u64) -> Outcome<()> {
        match self.scanner.scan(text) {
            Incoming::Stamped(stamp) => self.scenario.on_message(conn, stamp, now, &mut self.commands),
            Incoming::Welcome if self.rows[conn].phase == Phase::Authenticating => self.ready(conn, now),
            Incoming::Refused => {
                return Err(ConnectionError::Refused(String::from_utf8_lossy(text).into_owned()));
            }
            Incoming::Gap(gap) => self.scenario.on_gap(conn, gap, now, &mut self.commands),
            Incoming::Error => self.take_error(text),
            Incoming::Welcome | Incoming::Other => {}
        }
        Ok(())
    }

    fn take_error(&mut self, text: &[u8]) {
        self.error_count += 1;
        if self.errors.len() < SHOWN_ERRORS {
            self.errors.push(String::from_utf8_lossy(text).into_owned());
        }
    }

    /// The server's side has ended: as asked, or an error.
    fn ended(&mut self, conn: usize, error: ConnectionError) -> Outcome<()> {
        if self.rows[conn].phase != Phase::Closing {
            return Err(error);
        }
        self.rows[conn].close();
        self.scenario.on_closed(conn, self.clock.now(), &mut self.commands);
        Ok(())
    }

    fn report(mut self) -> Report {
        let mut report = self.scenario.report(&self.samples);
        report.int("errors", self.error_count);
        report.texts("first_errors", &self.errors);
        report
    }
}

/// The token of a connection, which is the user's id.
fn token(conn: usize, role: Role) -> String {
    match role {
        Role::Service => format!("service:load-{conn}"),
        Role::User | Role::Slow | Role::Rest(_) => format!("load-{conn}"),
    }
}

/// The code and reason of a close frame.
fn close_error(payload: &[u8]) -> ConnectionError {
    match payload.split_at_checked(2) {
        Some((code, reason)) => {
            let code = u16::from_be_bytes([code[0], code[1]]);
            ConnectionError::Closed(code, String::from_utf8_lossy(reason).into_owned())
        }
        None => ConnectionError::Closed(u16::from(CloseCode::Status), String::new()),
    }
}
