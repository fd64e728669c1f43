//! A client's end of a connection that it receives by: a WebSocket or a stream of events.

use super::dice::Dice;
use super::network::{LinkId, Network};
use super::stream::Stream;
use super::web_socket::WebSocket;

pub enum Event {
    /// The server has taken the request.
    Upgraded,
    /// It has not, with this status.
    Refused(u16),
    Text(String),
    /// Where a stream would be taken up again from here on.
    Cursor(String),
    /// The server closes, with this code if it named one.
    Closed(Option<u16>),
    /// The connection is over: refused, ended or broken.
    Over,
}

pub enum Socket {
    WebSocket(WebSocket),
    Stream(Stream),
}

impl Socket {
    pub const fn link(&self) -> LinkId {
        match self {
            Self::WebSocket(socket) => socket.link,
            Self::Stream(stream) => stream.link,
        }
    }

    pub const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Sends a text, which only a WebSocket can.
    pub fn send_text(&mut self, text: &str, dice: &mut Dice) {
        match self {
            Self::WebSocket(socket) => socket.send_text(text, dice),
            Self::Stream(_) => unreachable!("nothing is sent over a stream"),
        }
    }

    pub fn send_close(&mut self) {
        if let Self::WebSocket(socket) = self {
            socket.send_close();
        }
    }

    /// Hands the network what it takes.
    pub fn flush(&mut self, network: &mut Network) {
        match self {
            Self::WebSocket(socket) => socket.flush(network),
            Self::Stream(stream) => stream.flush(network),
        }
    }

    pub const fn is_flushed(&self) -> bool {
        match self {
            Self::WebSocket(socket) => socket.is_flushed(),
            Self::Stream(stream) => stream.is_flushed(),
        }
    }

    /// Reads at most `bytes_max` bytes; what they bring.
    pub fn receive(&mut self, network: &mut Network, bytes_max: usize) -> Vec<Event> {
        match self {
            Self::WebSocket(socket) => socket.receive(network, bytes_max),
            Self::Stream(stream) => stream.receive(network, bytes_max),
        }
    }
}
