//! The peers in Rust: `tungstenite` and `fastwebsockets`, which differ by the library alone. They share the envelope, the sessions,
//! and what a connection does with a message.
//!
//! Checked is what every peer checks: `id`, `type`, `payload`, `priority`, `sessionId`. The rest of the protocol (acks, keys,
//! limits of queues, reserved types) is left out.

mod client;
mod envelope;
pub mod fastwebsockets;
mod sessions;
pub mod tungstenite;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

pub use tokio::net::TcpListener;

/// The subprotocol that every peer names.
pub const SUBPROTOCOL: &str = "hashi.v1";
/// The longest message that is taken.
pub const MAX_MESSAGE_BYTES: usize = 65_536;
/// A connection is pinged this often, and ended when nothing came since the last ping.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

const BACKLOG: u32 = 4096;

/// Serves until SIGTERM on the port that the first argument (0 takes a free one) or `PORT` names.
pub fn main<F: Future<Output = io::Result<()>>>(serve: impl FnOnce(TcpListener) -> F) -> io::Result<()> {
    let port = port()?;
    run(port, |listener| async {
        println!("listening on {}", listener.local_addr()?.port());
        let mut end = signal(SignalKind::terminate())?;
        tokio::select! {
            result = serve(listener) => result,
            _ = end.recv() => Ok(()),
        }
    })
}

/// Listens on a port of the loopback address and serves on this thread, where each connection is a task.
pub fn run<F: Future<Output = io::Result<()>>>(port: u16, serve: impl FnOnce(TcpListener) -> F) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { serve(listen(port)?).await })
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn port() -> io::Result<u16> {
    let text = std::env::args().nth(1).or_else(|| std::env::var("PORT").ok()).unwrap_or_default();
    text.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the first argument must be a port"))
}
