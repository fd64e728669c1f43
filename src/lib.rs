//! Hashi: real-time messages over WebSocket and REST, one event loop over plain tables.
//!
//! This is the library to embed. `docs/PROTOCOL.md` says what clients see, `docs/ARCHITECTURE.md` how it works inside.
//!
//! ```no_run
//! use hashi::{Config, Server};
//!
//! let server = Server::builder(Config::default())
//!     .on("greet", |message, context| {
//!         let _ = context.reply("greeting", &format!("hello {}", message.from));
//!     })
//!     .bind()?;
//! server.run()?;
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod auth;
pub mod config;
#[doc(hidden)]
pub mod delivery;
#[doc(hidden)]
pub mod handlers;
#[doc(hidden)]
pub mod message;
#[doc(hidden)]
pub mod observe;
#[doc(hidden)]
pub mod reactor;
#[doc(hidden)]
pub mod rest;
mod server;
#[doc(hidden)]
pub mod tables;
#[doc(hidden)]
pub mod wire;

pub use auth::{Identity, Policy, Principal};
pub use config::Config;
pub use delivery::Published;
pub use handlers::{Context, Handle, HandlerId, Message, MessageOptions, NewMessage, Receipt};
pub use message::{ErrorCode, MessageType, Priority, ProtocolError};
pub use server::{Server, ServerBuilder, Signals};
