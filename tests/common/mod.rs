//! What the black-box tests share: a server under test, raw clients, and the row of `shared/BAD_INPUT.md`.
//!
//! Every wait has a deadline and every thread and process is stopped by its owner. Each test file uses a part of
//! this, so what one file leaves unused is no warning.
#![allow(dead_code)]

pub mod client;
pub mod control;
pub mod flood;
pub mod frame;
pub mod http;
pub mod json;
pub mod policy;
pub mod proc;
pub mod process;
pub mod row;
pub mod server;
pub mod status;
pub mod steps;
pub mod tcp;
pub mod wait;
pub mod websocket;

/// Where clients that speak the message protocol connect.
pub const WS_PATH: &str = "/ws";

/// Where the raw echo endpoint is: `TestServer` opens it on every server.
pub const ECHO_PATH: &str = "/echo";
