//! Talking to the loop from other threads: commands, receipts, and the bounded channel with its waker.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde::Serialize;

use super::message::{Context, Message, MessageOptions};
use super::registry::{HandlerFn, HandlerId, Role};
use crate::config::limits::{COMMANDS_MAX, ID_BYTES_MAX, KEY_BYTES_MAX, PAYLOAD_DEPTH_MAX};
use crate::delivery::Published;
use crate::message::decode::{BAD_EXPIRES_IN, depth_of};
use crate::message::kind::{OPERATION_PREFIX, is_reserved, is_type_name};
use crate::message::names::{is_session_name, is_user_id};
use crate::message::{ErrorCode, Priority, ProtocolError};

/// The server has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Where a message goes.
#[derive(Clone, Debug)]
pub enum Recipient {
    /// Every member of a session.
    Session(String),
    /// Every connection of a user.
    User(String),
    /// One connection, by its public id.
    Connection(u128),
}

/// A checked message that is not published yet.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) priority: Priority,
    pub(crate) session_id: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) expires_in_ms: Option<u64>,
    pub(crate) reliable: bool,
    pub(crate) payload: Vec<u8>,
}

/// What other threads ask of the loop.
pub enum Command {
    /// Publish a message.
    Publish {
        /// Where to.
        recipient: Recipient,
        /// What.
        message: NewMessage,
        /// Whom to tell.
        receipt: ReceiptSender,
    },
    /// Answer the sender of the message that a job handles.
    Reply {
        /// The job.
        job: u64,
        /// The answer.
        message: NewMessage,
    },
    /// Publish the message that a job handles.
    Relay {
        /// The job.
        job: u64,
        /// Whom to tell.
        receipt: ReceiptSender,
    },
    /// A job ended.
    Done {
        /// The job.
        job: u64,
        /// Whether its handler panicked.
        panicked: bool,
    },
    /// Register a handler or observer.
    Register {
        /// Its id, given out already.
        id: HandlerId,
        /// The type it is for.
        kind: String,
        /// Handler or observer.
        role: Role,
        /// The code.
        run: HandlerFn,
    },
    /// Forget a handler or observer.
    Unregister(HandlerId),
    /// Stop gracefully.
    Shutdown,
}

/// The loop's end of the channel.
///
/// When it is dropped, what still waits is dropped with it, so that every receipt is answered: a bounded channel alone
/// keeps its messages as long as anybody may send.
pub struct Inbox {
    commands: Receiver<Command>,
    is_awake: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
        discard(&self.commands);
    }
}

fn discard(commands: &Receiver<Command>) {
    while commands.try_recv().is_ok() {}
}

impl Inbox {
    /// Before commands are taken: who sends one from now on wakes the loop again, so that none waits unseen.
    pub fn expect_wakes(&self) {
        self.is_awake.store(false, Ordering::SeqCst);
    }

    /// Takes the oldest command.
    pub fn next(&self) -> Option<Command> {
        self.commands.try_recv().ok()
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        self.commands.len()
    }
}

/// A way to talk to a running server from any thread. Cloning it is cheap.
///
/// Its calls wait while the channel to the loop is full. They must not be made from a
/// [`Policy`](crate::Policy), which runs inside the loop.
#[derive(Clone)]
pub struct Handle {
    commands: Sender<Command>,
    /// The other end, to discard what was sent while the server stopped.
    waiting: Receiver<Command>,
    is_closed: Arc<AtomicBool>,
    is_awake: Arc<AtomicBool>,
    wake: Arc<dyn Fn() -> io::Result<()> + Send + Sync>,
    next_handler: Arc<AtomicU64>,
}

/// Makes the channel between the loop and everybody else. `wake` interrupts the loop's wait.
pub fn channel(wake: Arc<dyn Fn() -> io::Result<()> + Send + Sync>) -> (Handle, Inbox) {
    let (sender, receiver) = bounded(COMMANDS_MAX);
    let is_awake = Arc::new(AtomicBool::new(false));
    let is_closed = Arc::new(AtomicBool::new(false));
    let inbox =
        Inbox { commands: receiver.clone(), is_awake: Arc::clone(&is_awake), is_closed: Arc::clone(&is_closed) };
    let next_handler = Arc::new(AtomicU64::new(1));
    (Handle { commands: sender, waiting: receiver, is_closed, is_awake, wake, next_handler }, inbox)
}

impl Handle {
    /// Makes a message to send.
    ///
    /// # Errors
    /// `reserved_type` for a type of the server's own; `bad_message` or `too_deep` for what the protocol forbids.
    pub fn create_message(
        &self,
        kind: &str,
        payload: &impl Serialize,
        options: MessageOptions,
    ) -> Result<NewMessage, ProtocolError> {
        check_kind(kind)?;
        check_options(&options)?;
        let value = serde_json::to_value(payload).map_err(|_| BAD_PAYLOAD)?;
        if depth_of(&value) > PAYLOAD_DEPTH_MAX {
            return Err(ProtocolError::new(ErrorCode::TooDeep).in_field("payload"));
        }
        let operation_id = value.get("operationId").and_then(|id| id.as_str());
        let own_key = operation_id.filter(|id| kind.starts_with(OPERATION_PREFIX) && is_key(id)).map(str::to_owned);
        let payload = serde_json::to_vec(payload).map_err(|_| BAD_PAYLOAD)?;
        Ok(NewMessage {
            id: options.id,
            kind: kind.to_owned(),
            priority: options.priority,
            session_id: options.session_id,
            key: options.key.or(own_key),
            reply_to: options.reply_to,
            expires_in_ms: options.expires_in.map(whole_ms),
            reliable: options.reliable,
            payload,
        })
    }

    /// Publishes to every member of a session.
    pub fn broadcast_to_session(&self, session_id: &str, message: NewMessage) -> Receipt {
        self.publish(Recipient::Session(session_id.to_owned()), message)
    }

    /// Publishes to the session that the message's options name.
    pub fn broadcast(&self, mut message: NewMessage) -> Receipt {
        match message.session_id.take() {
            Some(session_id) => self.publish(Recipient::Session(session_id), message),
            None => Receipt::failed(ErrorCode::NoSession.into()),
        }
    }

    /// Publishes to every connection of a user.
    pub fn send_to_user(&self, user_id: &str, message: NewMessage) -> Receipt {
        self.publish(Recipient::User(user_id.to_owned()), message)
    }

    /// Sends to one connection, by its public id.
    pub fn send_to_connection(&self, connection_id: &str, message: NewMessage) -> Receipt {
        match crate::message::names::parse_connection_id(connection_id) {
            Some(id) => self.publish(Recipient::Connection(id), message),
            None => Receipt::failed(ErrorCode::NotFound.into()),
        }
    }

    /// Registers a handler that consumes messages of type `kind`. The newest one of a type counts.
    pub fn register_message_handler(
        &self,
        kind: &str,
        handler: impl Fn(&Message, &Context<'_>) + Send + Sync + 'static,
    ) -> HandlerId {
        self.register(kind, Role::Handler, Arc::new(handler))
    }

    /// Registers an observer: it sees messages of type `kind` without consuming them.
    pub fn register_observer(
        &self,
        kind: &str,
        observer: impl Fn(&Message, &Context<'_>) + Send + Sync + 'static,
    ) -> HandlerId {
        self.register(kind, Role::Observer, Arc::new(observer))
    }

    /// Forgets a handler or observer. What it is running, it ends.
    pub fn unregister(&self, id: HandlerId) {
        let _ = self.send(Command::Unregister(id)); // a server that has stopped runs no handlers
    }

    /// Asks the server to end: it announces it, flushes, and closes within `HASHI_DRAIN_MS`.
    pub fn shutdown(&self) {
        let _ = self.send(Command::Shutdown); // a server that has stopped need not
    }

    /// An id that no other registration has.
    pub(crate) fn new_handler_id(&self) -> HandlerId {
        HandlerId(self.next_handler.fetch_add(1, Ordering::Relaxed))
    }

    fn register(&self, kind: &str, role: Role, run: HandlerFn) -> HandlerId {
        let id = self.new_handler_id();
        let _ = self.send(Command::Register { id, kind: kind.to_owned(), role, run });
        id
    }

    pub(super) fn send(&self, command: Command) -> Result<(), Closed> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(Closed);
        }
        self.commands.send(command).map_err(|_| Closed)?;
        if self.is_closed.load(Ordering::SeqCst) {
            discard(&self.waiting); // it came after the loop had looked for the last time
            return Err(Closed);
        }
        if !self.is_awake.swap(true, Ordering::SeqCst)
            && let Err(error) = (self.wake)()
        {
            log::error!("cannot wake the loop: {error}");
        }
        Ok(())
    }

    fn publish(&self, recipient: Recipient, message: NewMessage) -> Receipt {
        if !is_recipient(&recipient) {
            return Receipt::failed(ProtocolError::with_message(
                ErrorCode::BadMessage,
                "The recipient's name is not valid.",
            ));
        }
        let (receipt, sender) = Receipt::pair();
        // When the server has stopped the command is dropped, and its receipt says so.
        let _ = self.send(Command::Publish { recipient, message, receipt: sender });
        receipt
    }
}

/// The loop's end of a receipt.
pub struct ReceiptSender(Sender<Result<Published, ProtocolError>>);

impl ReceiptSender {
    /// Tells what became of the message. Nobody may be waiting.
    pub fn send(&self, result: Result<Published, ProtocolError>) {
        let _ = self.0.try_send(result);
    }
}

/// What became of a message: wait for it, or drop it.
#[derive(Debug)]
pub struct Receipt(Receiver<Result<Published, ProtocolError>>);

impl Receipt {
    pub(super) fn pair() -> (Self, ReceiptSender) {
        let (sender, receiver) = bounded(1);
        (Self(receiver), ReceiptSender(sender))
    }

    fn failed(error: ProtocolError) -> Self {
        let (receipt, sender) = Self::pair();
        sender.send(Err(error));
        receipt
    }

    /// Waits until the loop has published the message.
    ///
    /// # Errors
    /// Why it was not published; `draining` when the server stopped, `timeout` after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<Published, ProtocolError> {
        match self.0.recv_timeout(timeout) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(ErrorCode::Timeout.into()),
            Err(RecvTimeoutError::Disconnected) => Err(ErrorCode::Draining.into()),
        }
    }
}

const BAD_PAYLOAD: ProtocolError = ProtocolError::bad_field("payload", "payload cannot be written as JSON.");

fn check_kind(kind: &str) -> Result<(), ProtocolError> {
    if is_reserved(kind) {
        return Err(ErrorCode::ReservedType.into());
    }
    if !is_type_name(kind) {
        return Err(ProtocolError::bad_field("type", "type must be 1 to 64 of A-Z a-z 0-9 _ . : / -."));
    }
    Ok(())
}

fn check_options(options: &MessageOptions) -> Result<(), ProtocolError> {
    let is_id = |id: &String| (1..=ID_BYTES_MAX).contains(&id.len());
    if !options.id.as_ref().is_none_or(is_id) {
        return Err(ProtocolError::bad_field("id", "id must be 1 to 128 bytes."));
    }
    if !options.reply_to.as_ref().is_none_or(is_id) {
        return Err(ProtocolError::bad_field("replyTo", "replyTo must be 1 to 128 bytes."));
    }
    if !options.key.as_deref().is_none_or(is_key) {
        return Err(ProtocolError::bad_field("key", "key must be 1 to 128 bytes."));
    }
    if options.expires_in.is_some_and(|time| whole_ms(time) == 0) {
        return Err(BAD_EXPIRES_IN);
    }
    Ok(())
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn is_key(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len())
}

fn is_recipient(recipient: &Recipient) -> bool {
    match recipient {
        Recipient::Session(name) => is_session_name(name),
        Recipient::User(user_id) => is_user_id(user_id),
        Recipient::Connection(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn handle() -> (Handle, Inbox) {
        channel(Arc::new(|| Ok(())))
    }

    #[test]
    fn messages_are_checked_when_they_are_made() {
        let (handle, _inbox) = handle();
        let code =
            |kind: &str, options: MessageOptions| handle.create_message(kind, &json!({}), options).unwrap_err().code;
        assert_eq!(code("ack", MessageOptions::default()), ErrorCode::ReservedType);
        assert_eq!(code("hashi:x", MessageOptions::default()), ErrorCode::ReservedType);
        assert_eq!(code("a b", MessageOptions::default()), ErrorCode::BadMessage);
        assert_eq!(code("t", MessageOptions { id: Some(String::new()), ..Default::default() }), ErrorCode::BadMessage);
        let deep = (0..33).fold(json!(1), |value, _| json!([value]));
        assert_eq!(handle.create_message("t", &deep, Default::default()).unwrap_err().code, ErrorCode::TooDeep);
        let message = handle.create_message("operation_progress", &json!({"operationId": "op"}), Default::default());
        assert_eq!(message.unwrap().key.as_deref(), Some("op"));
    }

    #[test]
    fn wakes_are_coalesced_until_the_inbox_is_looked_at() {
        let wakes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&wakes);
        let (handle, inbox) = channel(Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }));
        handle.shutdown();
        handle.shutdown();
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        inbox.expect_wakes();
        assert!(inbox.next().is_some() && inbox.waiting() == 1);
        handle.shutdown();
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_receipt_says_when_the_server_is_gone() {
        let (handle, inbox) = handle();
        drop(inbox);
        let message = handle.create_message("t", &1, Default::default()).unwrap();
        let result = handle.broadcast_to_session("s", message.clone()).wait(Duration::from_secs(5));
        assert_eq!(result.unwrap_err().code, ErrorCode::Draining);
        let result = handle.broadcast_to_session("@s", message).wait(Duration::from_secs(5));
        assert_eq!(result.unwrap_err().code, ErrorCode::BadMessage);
    }
}
