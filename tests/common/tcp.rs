//! A raw TCP client in which every wait has a deadline.

use super::wait::PATIENCE;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CHUNK_BYTES: usize = 64 * 1024;

/// What a wait for bytes came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// More bytes are in the buffer.
    Bytes,
    /// The peer closed its side in order.
    End,
    /// The connection was reset.
    Reset,
    /// The deadline passed.
    Nothing,
}

/// A connection and the bytes that arrived but are not yet consumed.
pub struct Tcp {
    stream: TcpStream,
    buffer: Vec<u8>,
    consumed: usize,
    /// How the receiving side ended, once it has.
    ended: Option<Arrival>,
}

impl Tcp {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(stream)
    }

    /// Connects with a receive buffer of about `bytes`, so that the server feels soon that nobody reads.
    #[track_caller]
    pub fn connect_narrow(address: SocketAddr, bytes: usize) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        socket.set_recv_buffer_size(bytes).expect("the kernel takes a buffer size");
        socket
            .connect_timeout(&address.into(), PATIENCE)
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(socket.into())
    }

    /// Connects from this address of the machine: all of 127.0.0.0/8 is loopback.
    #[track_caller]
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap_or_else(|error| panic!("bind to {source}: {error}"));
        socket
            .connect_timeout(&address.into(), PATIENCE)
            .unwrap_or_else(|error| panic!("connect to {address} from {source}: {error}"));
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY on a connected socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout that is not zero");
        Self { stream, buffer: Vec::new(), consumed: 0, ended: None }
    }

    /// Sends all bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.stream.write_all(bytes).unwrap_or_else(|error| panic!("send {} bytes: {error}", bytes.len()));
    }

    /// Sends all bytes unless the server has hung up or takes none for a while: for tests in which it may.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends as much of `bytes` as goes without waiting longer than `patience` and returns how much that was.
    pub fn send_until_blocked(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience)).expect("a write timeout that is not zero");
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout that is not zero");
        sent
    }

    /// The bytes that arrived and are not yet consumed.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.consumed..]
    }

    /// Drops the first `count` of the pending bytes.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.pending().len());
        self.consumed += count;
        if self.consumed == self.buffer.len() {
            self.buffer.clear();
            self.consumed = 0;
        }
    }

    /// Waits for more bytes until `deadline`.
    pub fn fill(&mut self, deadline: Instant) -> Arrival {
        self.fill_at_most(CHUNK_BYTES, deadline)
    }

    /// Waits for more bytes until `deadline` and takes no more than `limit` from the kernel.
    pub fn fill_at_most(&mut self, limit: usize, deadline: Instant) -> Arrival {
        if let Some(ended) = self.ended {
            return ended;
        }
        let arrival = self.read(limit, deadline);
        if matches!(arrival, Arrival::End | Arrival::Reset) {
            self.ended = Some(arrival);
        }
        arrival
    }

    fn read(&mut self, limit: usize, deadline: Instant) -> Arrival {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(timeout)).expect("a read timeout that is not zero");
        let filled = self.buffer.len();
        self.buffer.resize(filled + limit, 0);
        let result = self.stream.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + result.as_ref().map_or(0, |count| *count));
        match result {
            Ok(0) => Arrival::End,
            Ok(_) => Arrival::Bytes,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Arrival::Nothing,
                _ => Arrival::Reset,
            },
        }
    }

    /// Waits until the server hangs up, whatever it sends before, and says whether in order or by a reset.
    #[track_caller]
    pub fn expect_end(&mut self, within: Duration) -> Arrival {
        let deadline = Instant::now() + within;
        loop {
            match self.fill(deadline) {
                Arrival::Bytes => {}
                Arrival::Nothing if Instant::now() < deadline => {}
                Arrival::Nothing => panic!("the connection is still open after {within:?}"),
                ended => return ended,
            }
        }
    }

    /// Ends the sending side; the receiving one stays open.
    pub fn finish_sending(&mut self) {
        // Ok because a connection that the server has reset already has nothing left to finish.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Aborts: the server gets a reset instead of an end in order.
    pub fn abort(self) {
        let socket = Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER on a connected socket");
    }
}
