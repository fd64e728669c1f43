//! The dialect of Socket.IO 5 over Engine.IO 4, WebSocket only: packets are text messages that begin with their types as digits. Text
//! in, what it means out. An envelope is the one argument of the event `message`, both ways.

/// Where its servers listen.
pub const PATH: &str = "/socket.io/?EIO=4&transport=websocket";
/// Asks to be connected to the default namespace: an Engine.IO message (4) that holds a Socket.IO connect (0).
pub const CONNECT: &[u8] = b"40";
/// Answers a ping of Engine.IO.
pub const PONG: &[u8] = b"3";
/// What stands before and behind an envelope in an event.
pub const AROUND: [&[u8]; 2] = [br#"42["message","#, b"]"];

/// What a server's packet means for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// The transport is open.
    Open,
    /// The default namespace is joined.
    Connected,
    Ping,
    /// Anything else; events are searched for what they hold.
    Other,
}

/// Tells a packet by its first bytes.
pub fn packet(text: &[u8]) -> Packet {
    match text {
        [b'0', ..] => Packet::Open,
        [b'4', b'0', ..] => Packet::Connected,
        [b'2', ..] => Packet::Ping,
        _ => Packet::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(packet(br#"0{"sid":"a","pingInterval":25000}"#), Packet::Open);
        assert_eq!(packet(br#"40{"sid":"b"}"#), Packet::Connected);
        assert_eq!(packet(b"2"), Packet::Ping);
        assert_eq!(packet(br#"42["message",{}]"#), Packet::Other);
        assert_eq!(packet(b""), Packet::Other);
    }
}
