//! Handlers: the code of an application that runs when a message comes. The one place with threads.
//!
//! The loop owns [`Handlers`]; worker threads take jobs from one bounded channel and send what they have to say back over
//! one bounded channel, together with the commands of every [`Handle`].

mod handle;
mod message;
mod registry;
mod repeat;
mod route;
mod submit;
mod workers;

pub use handle::{Closed, Command, Handle, Inbox, NewMessage, Receipt, Recipient, channel};
pub use message::{Context, Message, MessageOptions};
pub use registry::{HandlerFn, HandlerId, Registry, Role};
pub use route::Sender;
pub use submit::{Handlers, Outcome};
