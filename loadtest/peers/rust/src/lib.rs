//! What the peers in Rust share: the envelope, the sessions, and what a connection does with a message. Their programs in `bin/`
//! differ by the WebSocket library alone.
//!
//! Checked is what every peer checks: `id`, `type`, `payload`, `priority`, `sessionId`. The rest of the protocol (acks, keys,
//! limits of queues, reserved types) is left out.

mod client;
mod envelope;
mod sessions;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

pub use client::Client;
pub use envelope::Envelope;
pub use sessions::Sessions;

/// The subprotocol that every peer names.
pub const SUBPROTOCOL: &str = "hashi.v1";
/// The longest message that is taken.
pub const MAX_MESSAGE_BYTES: usize = 65_536;
/// A connection is pinged this often, and ended when nothing came since the last ping.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

const BACKLOG: u32 = 4096;

/// Serves on the port that the first argument (0 takes a free one) or `PORT` names, on one thread, until SIGTERM. Each connection
/// is a task of its own.
pub fn serve<F: Future<Output = ()> + Send + 'static>(connection: impl Fn(TcpStream) -> F) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut end = signal(SignalKind::terminate())?;
        tokio::select! {
            result = accept(connection) => result,
            _ = end.recv() => Ok(()),
        }
    })
}

async fn accept<F: Future<Output = ()> + Send + 'static>(connection: impl Fn(TcpStream) -> F) -> io::Result<()> {
    let listener = listen(port()?)?;
    println!("listening on {}", listener.local_addr()?.port());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(connection(socket));
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

fn port() -> io::Result<u16> {
    let text = std::env::args().nth(1).or_else(|| std::env::var("PORT").ok()).unwrap_or_default();
    text.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the first argument must be a port"))
}
