//! Why a run ends early. A failed check is no error: the run goes on, and its report says so.

use std::{fmt, io};

use crate::frame::FrameError;

/// What ended a run.
#[derive(Debug)]
pub enum LoadError {
    /// The settings make no sense.
    Settings(String),
    /// A call of the system failed.
    System(&'static str, io::Error),
    /// A server of a comparison did not start: its name and why.
    Peer(&'static str, String),
    /// The process was asked to end.
    Interrupted,
    /// A connection failed, with its number.
    Connection(usize, ConnectionError),
}

/// Why a connection failed.
#[derive(Debug)]
pub enum ConnectionError {
    Connect(io::Error),
    Upgrade(String),
    /// The server's answer to `authentication`.
    Refused(String),
    Io(io::Error),
    Frame(FrameError),
    /// What is wrong with an HTTP answer.
    Http(String),
    /// The server sent a close frame: code and reason.
    Closed(u16, String),
    /// The server ended the stream without a close frame.
    Ended,
    /// Not open (or not closed) in time; what it was waiting for.
    Timeout(&'static str),
}

pub type Result<T> = std::result::Result<T, LoadError>;

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(text) => write!(f, "{text}"),
            Self::System(what, error) => write!(f, "{what}: {error}"),
            Self::Peer(name, why) => write!(f, "{name}: {why}\n`make peers` builds and installs all peers"),
            Self::Interrupted => write!(f, "interrupted"),
            Self::Connection(conn, error) => write!(f, "connection {conn}: {error}"),
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Upgrade(text) | Self::Http(text) => write!(f, "{text}"),
            Self::Refused(text) => write!(f, "authentication was refused: {text}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Frame(error) => {
                write!(f, "the server sent a frame that is not accepted: {error}")
            }
            Self::Closed(code, reason) => write!(f, "closed by the server: {code} {reason}"),
            Self::Ended => write!(f, "the server ended it without a close frame"),
            Self::Timeout(what) => write!(f, "no {what} in time"),
        }
    }
}

impl std::error::Error for LoadError {}
impl std::error::Error for ConnectionError {}

impl From<FrameError> for ConnectionError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}
