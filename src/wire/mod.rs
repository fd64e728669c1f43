//! Bytes to frames and requests, and back. No I/O, no clock.

pub mod assembly;
pub mod cursor;
pub mod events;
pub mod http;
pub mod http_body;
pub mod http_response;
pub mod query;
pub mod upgrade;
pub mod utf8;
pub mod websocket;
