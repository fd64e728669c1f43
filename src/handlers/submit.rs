//! What happens to an application message, from whatever door: to its handler, or on to whom it is for.
//!
//! One message of a connection is in a handler at a time; its next ones wait in the connection's mailbox.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::handle::{Command, Handle, NewMessage, Recipient};
use super::message::Message;
use super::registry::{HandlerFn, Registry, Role};
use super::repeat::{identify, look_up, open_row, remember, remember_published};
use super::route::{Sender, check_permission, find_open, open_personal, publish};
use super::workers::{Held, Job, Workers};
use crate::auth::Policy;
use crate::config::Config;
use crate::config::limits::{JOBS_MAX, MAILBOX_MAX, TIMERS_PER_TICK};
use crate::delivery::{Author, Delivery, OVERLOADED, Publication, Published};
use crate::message::kind::is_reserved;
use crate::message::{Ack, Envelope, ErrorCode, Guarantee, ProtocolError, Target};
use crate::tables::{ConnId, Counts};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was published.
    Published(Published),
    /// It was published before, and how its receivers have confirmed it is perhaps known.
    Repeated(Published, Option<Counts>),
    /// It waits for its handler, which answers.
    Handled,
}

/// A message on its way through a handler.
struct Running {
    job: Job,
    /// An observer has no mailbox, no answer and nothing to relay.
    role: Role,
    /// Where answers go; may be gone by then.
    row: Option<ConnId>,
    is_service: bool,
    mailbox: ConnId,
    ack: Ack,
    reliable: bool,
    echo: Option<bool>,
    to: Option<OwnedTarget>,
    expires_in_ms: Option<u64>,
    /// What the message is remembered by.
    memory: Option<u128>,
    relayed: Published,
}

enum OwnedTarget {
    User(String),
    Connection(u128),
}

/// The messages of one connection that are for handlers.
#[derive(Default)]
struct Mailbox {
    waiting: VecDeque<Running>,
}

/// Sums since the start, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandlerTotals {
    /// Messages given to handlers.
    pub started: u64,
    /// Those whose handler panicked.
    pub panicked: u64,
    /// Those that took too long.
    pub timed_out: u64,
    /// Messages refused because a mailbox or the channel was full.
    pub refused: u64,
    /// Copies that an observer did not get because the channel was full.
    pub unobserved: u64,
}

/// The loop's side of all handlers.
pub struct Handlers {
    /// What is registered.
    pub registry: Registry,
    /// Sums.
    pub totals: HandlerTotals,
    workers: Workers,
    timeout_ms: u64,
    /// Largest payload of a message made in this process.
    message_bytes_max: usize,
    next_job: u64,
    running: FxHashMap<u64, Running>,
    memory_bytes: u64,
    /// Deadlines of running jobs in the order they started, which is the order they are due.
    deadlines: VecDeque<(u64, u64)>,
    /// By connection; one exists while a message of the connection is in a handler.
    mailboxes: FxHashMap<ConnId, Mailbox>,
}

impl Handlers {
    /// Starts the workers.
    pub fn new(registry: Registry, handle: Handle, config: &Config) -> Self {
        Self {
            registry,
            totals: HandlerTotals::default(),
            workers: Workers::start(config.workers as usize, handle),
            timeout_ms: config.handler_timeout_ms,
            message_bytes_max: config.max_service_message_bytes as usize,
            next_job: 1,
            running: FxHashMap::default(),
            memory_bytes: config.memory_bytes,
            deadlines: VecDeque::new(),
            mailboxes: FxHashMap::default(),
        }
    }

    /// Messages in handlers or waiting for them.
    pub fn pending(&self) -> usize {
        self.running.len() + self.mailboxes.values().map(|mailbox| mailbox.waiting.len()).sum::<usize>()
    }

    /// What waits for handlers shares the server's limit of memory.
    fn hold(&self, delivery: &Delivery, message: &Message) -> Result<Held, ProtocolError> {
        let bytes = message.payload.len() + size_of::<Message>();
        if (delivery.settled_bytes() + bytes) as u64 > self.memory_bytes {
            return Err(OVERLOADED);
        }
        Ok(Held::new(&delivery.held_bytes, bytes))
    }

    /// Workers lost to handlers that do not end.
    pub fn lost_workers(&self) -> usize {
        self.workers.lost()
    }

    /// Takes an application message: gives it to its handler, or publishes it.
    ///
    /// # Errors
    /// Why it is not taken, in the protocol's words.
    pub fn submit(
        &mut self,
        delivery: &mut Delivery,
        policy: &dyn Policy,
        sender: &Sender<'_>,
        envelope: &Envelope<'_>,
        id: &str,
    ) -> Result<Outcome, ProtocolError> {
        if is_reserved(envelope.kind) {
            return Err(ErrorCode::ReservedType.into());
        }
        delivery.check_expiry(envelope.expires_in_ms)?;
        let Some(identifier) = identify(delivery, sender, envelope, id) else {
            return self.take(delivery, policy, sender, envelope, id, None);
        };
        if let Some(outcome) = look_up(delivery, sender, envelope, identifier)? {
            return Ok(outcome);
        }
        let result = self.take(delivery, policy, sender, envelope, id, Some(identifier.memory));
        remember(delivery, identifier.memory, &result);
        result
    }

    /// Takes a message that was not seen before.
    fn take(
        &mut self,
        delivery: &mut Delivery,
        policy: &dyn Policy,
        sender: &Sender<'_>,
        envelope: &Envelope<'_>,
        id: &str,
        memory: Option<u128>,
    ) -> Result<Outcome, ProtocolError> {
        if !self.registry.concerns(envelope.kind) {
            return publish(delivery, policy, sender, envelope, id).map(Outcome::Published);
        }
        let Some(run) = self.registry.handler(envelope.kind).cloned() else {
            let published = publish(delivery, policy, sender, envelope, id)?;
            self.observe(delivery, sender, envelope, id);
            return Ok(Outcome::Published(published));
        };
        check_permission(delivery, policy, sender, envelope)?;
        let message = self.owned_message(delivery, sender, envelope, id);
        let held = Arc::new(self.hold(delivery, &message)?);
        let job = Job::new(self.take_job_id(), run, message, held);
        let running = Running { memory, ..running(delivery, sender, envelope, job, Role::Handler) };
        self.enqueue(delivery, running)?;
        self.observe(delivery, sender, envelope, id);
        Ok(Outcome::Handled)
    }

    fn take_job_id(&mut self) -> u64 {
        self.next_job += 1;
        self.next_job
    }

    fn owned_message(
        &self,
        delivery: &Delivery,
        sender: &Sender<'_>,
        envelope: &Envelope<'_>,
        id: &str,
    ) -> Arc<Message> {
        let default = sender.row.and_then(|slot| delivery.tables.sessions.default_of(slot));
        let session = match (envelope.to, envelope.session_id) {
            (Some(_), _) => None,
            (None, Some(name)) => Some(name),
            (None, None) => default.map(|id| delivery.tables.sessions.name(id)),
        };
        Arc::new(Message::new(envelope, id, sender.user_id(delivery), session))
    }

    /// Gives every observer of the type a copy. One that finds no room misses it; that is counted.
    fn observe(&mut self, delivery: &Delivery, sender: &Sender<'_>, envelope: &Envelope<'_>, id: &str) {
        let observers: Vec<HandlerFn> = self.registry.observers(envelope.kind).cloned().collect();
        if observers.is_empty() {
            return;
        }
        let message = self.owned_message(delivery, sender, envelope, id);
        let held = self.hold(delivery, &message).map(Arc::new);
        for run in observers {
            let is_seen = held.as_ref().is_ok_and(|held| {
                let job = Job::new(self.take_job_id(), run, Arc::clone(&message), Arc::clone(held));
                self.start(delivery, running(delivery, sender, envelope, job, Role::Observer)).is_ok()
            });
            self.totals.unobserved += u64::from(!is_seen);
        }
    }

    /// Starts a message's handler, or puts it behind the one of the same connection that is running.
    fn enqueue(&mut self, delivery: &Delivery, running: Running) -> Result<(), ProtocolError> {
        if let Some(mailbox) = self.mailboxes.get_mut(&running.mailbox) {
            if mailbox.waiting.len() >= MAILBOX_MAX {
                self.totals.refused += 1;
                return Err(OVERLOADED);
            }
            mailbox.waiting.push_back(running);
            return Ok(());
        }
        let mailbox = running.mailbox;
        self.start(delivery, running).map_err(|_| OVERLOADED)?;
        self.mailboxes.insert(mailbox, Mailbox::default());
        Ok(())
    }

    fn start(&mut self, delivery: &Delivery, running: Running) -> Result<(), Box<Running>> {
        if !self.workers.try_start(running.job.clone()) {
            self.totals.refused += u64::from(running.role == Role::Handler);
            return Err(Box::new(running));
        }
        self.totals.started += u64::from(running.role == Role::Handler);
        self.trim_deadlines();
        self.deadlines.push_back((delivery.now.after_ms(self.timeout_ms), running.job.id));
        self.running.insert(running.job.id, running);
        Ok(())
    }

    /// Forgets the deadlines of jobs that have ended, before they outnumber those that have not.
    fn trim_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.running.len() + JOBS_MAX {
            self.deadlines.retain(|(_, id)| self.running.contains_key(id));
        }
    }

    /// Starts the next message of a connection. Those that find the channel full are answered `overloaded`.
    fn advance(&mut self, delivery: &mut Delivery, mailbox: ConnId) {
        loop {
            let Some(waiting) = self.mailboxes.get_mut(&mailbox) else {
                return;
            };
            let Some(next) = waiting.waiting.pop_front() else {
                self.mailboxes.remove(&mailbox);
                return;
            };
            match self.start(delivery, next) {
                Ok(()) => return,
                Err(refused) => answer_error(delivery, &refused, &OVERLOADED),
            }
        }
    }

    /// When the oldest running handler is due.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.front().map(|(due, _)| *due)
    }

    /// Gives up handlers that take too long, the wait for a free worker included: their senders get `timeout`.
    pub fn expire(&mut self, delivery: &mut Delivery) {
        for _ in 0..TIMERS_PER_TICK {
            match self.deadlines.front() {
                Some(&(due, id)) if due <= delivery.now.ms() => {
                    self.deadlines.pop_front();
                    if let Some(running) = self.running.remove(&id) {
                        self.give_up(delivery, &running);
                    }
                }
                _ => return,
            }
        }
    }

    fn give_up(&mut self, delivery: &mut Delivery, running: &Running) {
        self.workers.give_up(&running.job);
        self.totals.timed_out += 1;
        log::warn!("handler timed out type={} id={:?}", running.job.message.kind, running.job.message.id);
        if running.role == Role::Handler {
            answer_error(delivery, running, &ErrorCode::Timeout.into());
            self.advance(delivery, running.mailbox);
        }
    }

    /// Carries out what another thread asked for. `Shutdown` is the reactor's own.
    pub fn command(&mut self, delivery: &mut Delivery, policy: &dyn Policy, command: Command) {
        match command {
            Command::Publish { recipient, message, receipt } => {
                receipt.send(self.publish_new(delivery, &recipient, &message));
            }
            Command::Reply { job, message } => self.reply(delivery, job, &message),
            Command::Relay { job, receipt } => receipt.send(self.relay(delivery, policy, job)),
            Command::Done { job, panicked } => self.done(delivery, job, panicked),
            Command::Register { id, kind, role, run } => self.registry.add(id, kind, role, run),
            Command::Unregister(id) => self.registry.remove(id),
            Command::Shutdown => {}
        }
    }

    fn publish_new(
        &self,
        delivery: &mut Delivery,
        recipient: &Recipient,
        message: &NewMessage,
    ) -> Result<Published, ProtocolError> {
        if message.payload.len() > self.message_bytes_max {
            return Err(ErrorCode::TooLarge.into());
        }
        delivery.check_expiry(message.expires_in_ms)?;
        let id = message.id.clone().unwrap_or_else(|| delivery.new_id());
        let publication = publication_of(message, &id);
        let session = match recipient {
            Recipient::Session(name) => delivery.open_session(name)?,
            Recipient::User(user_id) => open_personal(delivery, user_id)?,
            Recipient::Connection(id) => {
                let slot = find_open(delivery, *id).ok_or(ErrorCode::NotFound)?;
                return delivery.send_direct(slot, &publication);
            }
        };
        delivery.publish(session, None, &publication)
    }

    fn done(&mut self, delivery: &mut Delivery, job: u64, panicked: bool) {
        let Some(running) = self.running.remove(&job) else {
            return; // given up before it ended
        };
        while self.deadlines.front().is_some_and(|(_, id)| !self.running.contains_key(id)) {
            self.deadlines.pop_front();
        }
        if panicked {
            self.totals.panicked += 1;
            log::error!("handler panicked type={} id={:?}", running.job.message.kind, running.job.message.id);
        }
        if running.role == Role::Observer {
            return;
        }
        if panicked {
            answer_error(delivery, &running, &ErrorCode::Internal.into());
        } else {
            answer_done(delivery, &running);
        }
        self.advance(delivery, running.mailbox);
    }

    fn reply(&self, delivery: &mut Delivery, job: u64, message: &NewMessage) {
        let handled = self.running.get(&job).filter(|running| running.role == Role::Handler);
        let Some(slot) = handled.and_then(|running| row_to_answer(delivery, running)) else {
            return; // nobody is left to answer
        };
        let id = message.id.clone().unwrap_or_else(|| delivery.new_id());
        if let Err(error) = delivery.send_direct(slot, &publication_of(message, &id)) {
            log::warn!("reply refused: {error}");
        }
    }

    fn relay(&mut self, delivery: &mut Delivery, policy: &dyn Policy, job: u64) -> Result<Published, ProtocolError> {
        let running = self.running.get_mut(&job).ok_or(ErrorCode::Timeout)?;
        if running.role == Role::Observer {
            return Err(ProtocolError::with_message(ErrorCode::Forbidden, "An observer has nothing to relay."));
        }
        let message = Arc::clone(&running.job.message);
        let to = running.to.as_ref().map(|to| match to {
            OwnedTarget::User(user_id) => Target::User(user_id),
            OwnedTarget::Connection(id) => Target::Connection(*id),
        });
        let envelope = Envelope {
            id: Some(&message.id),
            kind: &message.kind,
            priority: message.priority,
            session_id: message.session_id.as_deref(),
            payload: Some(&message.payload),
            key: message.key.as_deref(),
            ack: running.ack,
            reliable: running.reliable,
            to,
            echo: running.echo,
            reply_to: message.reply_to.as_deref(),
            meta: message.meta.as_deref(),
            expires_in_ms: running.expires_in_ms,
        };
        let sender = Sender {
            author: Author::User(&message.from),
            is_service: running.is_service,
            row: row_of(delivery, running),
            mailbox: running.mailbox,
            is_request_with_id: false,
            content: None,
        };
        let published = publish(delivery, policy, &sender, &envelope, &message.id)?;
        abandon(delivery, std::mem::replace(&mut running.relayed, published));
        Ok(published)
    }
}

fn running(delivery: &Delivery, sender: &Sender<'_>, envelope: &Envelope<'_>, job: Job, role: Role) -> Running {
    let to = envelope.to.map(|to| match to {
        Target::User(user_id) => OwnedTarget::User(user_id.to_owned()),
        Target::Connection(id) => OwnedTarget::Connection(id),
    });
    Running {
        job,
        role,
        row: sender.row.map(|slot| delivery.tables.connections.id(slot)),
        is_service: sender.is_service,
        mailbox: sender.mailbox,
        ack: envelope.ack,
        reliable: envelope.reliable,
        echo: envelope.echo,
        to,
        expires_in_ms: envelope.expires_in_ms,
        memory: None,
        relayed: Published::default(),
    }
}

fn row_of(delivery: &Delivery, running: &Running) -> Option<u32> {
    open_row(delivery, running.row?)
}

/// Where a handler's answers go: to the sender, or if that is gone, to who has sent the message again and waits.
fn row_to_answer(delivery: &Delivery, running: &Running) -> Option<u32> {
    let waiting = running.memory.map_or(&[][..], |memory| delivery.tables.dedup.waiting(memory));
    row_of(delivery, running).or_else(|| waiting.iter().find_map(|&connection| open_row(delivery, connection)))
}

/// A handler has ended: who asked gets its `ack`, and so does who has sent the message again meanwhile.
fn answer_done(delivery: &mut Delivery, running: &Running) {
    let published = running.relayed;
    let again = running.memory.map_or(Vec::new(), |memory| remember_published(delivery, memory, published));
    let first = running.row.filter(|_| running.ack != Ack::Nothing);
    for connection in first.into_iter().chain(again) {
        if let Some(slot) = open_row(delivery, connection) {
            delivery.answer_published(slot, &running.job.message.id, running.ack, published, None);
        }
    }
    abandon(delivery, published);
}

/// Who is to be told of the outcome is known.
fn abandon(delivery: &mut Delivery, published: Published) {
    if let Some(outcome) = published.outcome {
        delivery.tables.in_flight.outcomes.abandon(outcome);
    }
}

fn answer_error(delivery: &mut Delivery, running: &Running, error: &ProtocolError) {
    abandon(delivery, running.relayed);
    let again = running.memory.map_or(Vec::new(), |memory| delivery.tables.dedup.forget(memory));
    for connection in running.row.into_iter().chain(again) {
        if let Some(slot) = open_row(delivery, connection) {
            delivery.send_error(slot, Some(&running.job.message.id), error);
        }
    }
}

fn publication_of<'a>(message: &'a NewMessage, id: &'a str) -> Publication<'a> {
    Publication {
        id,
        kind: &message.kind,
        priority: message.priority,
        from: Author::Server,
        key: message.key.as_deref(),
        reply_to: message.reply_to.as_deref(),
        meta: None,
        expires_in_ms: message.expires_in_ms,
        guarantee: if message.reliable { Guarantee::Retried } else { Guarantee::Once },
        payload: &message.payload,
    }
}
