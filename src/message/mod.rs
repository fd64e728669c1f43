//! What travels: the envelope, its types and priorities, errors and timestamps.
//!
//! Bytes come in, checked values and encoded bytes go out. Nothing here reads a clock, a socket or a
//! configuration variable.

pub mod decode;
pub mod encode;
pub mod envelope;
pub mod error;
pub mod guarantee;
pub mod kind;
pub mod names;
pub mod system;
pub mod timestamp;

pub use decode::Decoder;
pub use encode::Outgoing;
pub use envelope::{Envelope, Target};
pub use error::{Close, ErrorCode, ProtocolError};
pub use guarantee::{Ack, Guarantee};
pub use kind::{MessageType, Priority};
