//! The real sockets: mio's poll, listeners and streams, by row.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
#[cfg(not(target_os = "linux"))]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};

use super::net::{Clock, Net, Ready};
use crate::config::limits::{LISTEN_BACKLOG, NOT_SENT_LOW_WATER_BYTES, READS_PER_TICK};
use crate::delivery::Moment;
use crate::tables::connections::Address;

/// How often an ephemeral port that is free on all addresses is looked for.
const EPHEMERAL_TRIES: usize = 8;
/// Tokens of rows are their slots; the others come from the top.
const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// Listeners, the poll, and one stream per row.
pub struct MioNet {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    streams: Vec<Option<TcpStream>>,
    waker: Arc<Waker>,
    /// Given up to answer one connection when the process is out of file descriptors.
    reserve: Option<File>,
}

impl MioNet {
    /// Listens on all of `addresses`. With port 0, all listen on the port that the first one gets.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let is_ephemeral = addresses.first().is_some_and(|address| address.port() == 0);
        let mut result = Self::try_bind(addresses);
        for _ in 0..EPHEMERAL_TRIES {
            match &result {
                // The port that the first address got is taken on another one.
                Err(error) if is_ephemeral && error.kind() == ErrorKind::AddrInUse => {
                    result = Self::try_bind(addresses);
                }
                _ => break,
            }
        }
        result
    }

    fn try_bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut listeners: Vec<TcpListener> = Vec::new();
        for &address in addresses {
            let port = match listeners.first() {
                Some(first) => first.local_addr()?.port(),
                None => address.port(),
            };
            match listen(SocketAddr::new(address.ip(), port)) {
                Ok(listener) => listeners.push(listener),
                // A machine without IPv6 still has 127.0.0.1.
                Err(error) if !listeners.is_empty() && error.kind() != ErrorKind::AddrInUse => {
                    log::warn!("not listening on {}: {error}", address.ip());
                }
                Err(error) => return Err(error),
            }
        }
        for listener in &mut listeners {
            poll.registry().register(listener, LISTENER, Interest::READABLE)?;
        }
        let events = Events::with_capacity(2 * READS_PER_TICK);
        Ok(Self { poll, events, listeners, streams: Vec::new(), waker, reserve: reserve() })
    }

    /// The addresses listened on.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Interrupts the wait from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    fn stream(&mut self, slot: u32) -> io::Result<&mut TcpStream> {
        self.streams.get_mut(slot as usize).and_then(Option::as_mut).ok_or(ErrorKind::NotConnected.into())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    set_options(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

fn ready_of(event: &Event) -> Ready {
    match event.token() {
        WAKER => Ready::Wake,
        LISTENER => Ready::Accept,
        Token(slot) => Ready::Socket {
            slot: slot as u32, // ok because rows are registered by their slots
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable(),
            hung_up: event.is_read_closed() || event.is_error(),
        },
    }
}

fn address_of(address: SocketAddr) -> Address {
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    Address { ip: ip.octets(), port: address.port() }
}

/// Calls `operation` again while a signal interrupts it.
fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Net for MioNet {
    type Socket = TcpStream;

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => other?,
        }
        ready.extend(self.events.iter().map(ready_of));
        Ok(())
    }

    fn accept(&mut self) -> io::Result<(TcpStream, Address)> {
        let mut result = Err(ErrorKind::WouldBlock.into());
        for listener in &self.listeners {
            result = uninterrupted(|| listener.accept()).map(|(stream, address)| (stream, address_of(address)));
            match &result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        result
    }

    fn attach(&mut self, slot: u32, mut socket: TcpStream) -> io::Result<()> {
        // On Linux an accepted socket has the listener's options: two system calls fewer for each connection.
        #[cfg(not(target_os = "linux"))]
        set_options(&SockRef::from(&socket))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, Token(slot as usize), interest)?;
        if self.streams.len() <= slot as usize {
            self.streams.resize_with(slot as usize + 1, || None);
        }
        self.streams[slot as usize] = Some(socket);
        Ok(())
    }

    fn refuse(&mut self, mut socket: TcpStream, answer: &[u8]) {
        let mut unread = [0; 4096];
        // Reading what came first keeps the close from becoming a reset that would lose the answer.
        let _ = socket.read(&mut unread);
        let _ = socket.write(answer);
        let _ = socket.shutdown(Shutdown::Write);
        let _ = socket.read(&mut unread);
    }

    fn refuse_without_descriptor(&mut self, answer: &[u8]) {
        drop(self.reserve.take());
        if let Ok((socket, _)) = self.accept() {
            self.refuse(socket, answer);
        }
        self.reserve = reserve();
    }

    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = self.stream(slot)?;
        uninterrupted(|| stream.read(buffer))
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.stream(slot)?;
        uninterrupted(|| stream.write(bytes))
    }

    fn write_vectored(&mut self, slot: u32, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = self.stream(slot)?;
        uninterrupted(|| stream.write_vectored(slices))
    }

    fn shutdown_write(&mut self, slot: u32) {
        if let Ok(stream) = self.stream(slot) {
            let _ = stream.shutdown(Shutdown::Write); // a peer that is gone is found by the next read
        }
    }

    fn close(&mut self, slot: u32) {
        // The poll forgets a socket that is closed: nobody else holds its descriptor.
        if let Some(stream) = self.streams.get_mut(slot as usize) {
            *stream = None;
        }
    }
}

/// Small messages leave at once, and `high` waits for one batch and what the network has in flight, not for megabytes in
/// the kernel.
fn set_options(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER_BYTES)?;
    Ok(())
}

/// The machine's clocks.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { ns: self.now_ns(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    fn now_ns(&mut self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The addresses of a host: `localhost` is both loopback addresses, anything else is looked up.
///
/// # Errors
/// When the name is not found.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host == "localhost" {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let addresses: Vec<SocketAddr> = std::net::ToSocketAddrs::to_socket_addrs(&(host, port))?.collect();
    if addresses.is_empty() { Err(ErrorKind::AddrNotAvailable.into()) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_have_the_options() {
        let mut net = MioNet::bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).unwrap();
        let _client = Client::connect(net.local_addresses()[0]).unwrap();
        net.poll(None, &mut Vec::new()).unwrap();
        let (socket, _) = net.accept().unwrap();
        net.attach(0, socket).unwrap();
        let options = SockRef::from(&*net.stream(0).unwrap());
        assert!(options.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(options.tcp_notsent_lowat().unwrap(), NOT_SENT_LOW_WATER_BYTES);
    }
}
