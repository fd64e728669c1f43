//! Peer: tokio-tungstenite on one thread of tokio.
//!
//! Fast settings: what is queued for a connection is fed to the library and flushed once; a message of a fan-out is one shared
//! buffer; the read buffer is smaller than the library's 128 KiB, which it allocates for each connection at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{self, Instant};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::client::Client;
use crate::sessions::Sessions;
use crate::{HEARTBEAT, MAX_MESSAGE_BYTES, SUBPROTOCOL};

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;
type Stream = SplitStream<WebSocketStream<TcpStream>>;

const READ_BUFFER: usize = 16 * 1024;

/// Serves until accepting fails. A connection that breaks concerns nobody else.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let sessions = Sessions::default();
    loop {
        tokio::spawn(connection(crate::accept(&listener).await?, sessions.clone()));
    }
}

async fn connection(socket: TcpStream, sessions: Sessions<Message>) -> Result<(), Error> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).max_message_size(Some(MAX_MESSAGE_BYTES));
    let (sink, stream) = accept_hdr_async_with_config(socket, name_subprotocol, Some(config)).await?.split();
    let (outbox, queue) = unbounded_channel();
    let heard = Arc::new(AtomicBool::new(true));
    tokio::spawn(write(sink, queue, heard.clone()));
    let client = Client::new(sessions, outbox.clone(), Message::text);
    tokio::select! {
        result = read(stream, client, &heard) => result,
        // The writer has given up.
        () = outbox.closed() => Ok(()),
    }
}

async fn read(mut stream: Stream, mut client: Client<Message>, heard: &AtomicBool) -> Result<(), Error> {
    while let Some(message) = stream.next().await {
        heard.store(true, Ordering::Relaxed);
        match message? {
            Message::Text(text) => client.take(serde_json::from_str(&text)),
            Message::Binary(_) => break,
            // The library answers pings and closes by itself.
            _ => {}
        }
    }
    Ok(())
}

// The size of the library's error response is its own affair.
#[allow(clippy::result_large_err)]
fn name_subprotocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Writes what is queued, until the reader has gone or nothing was heard since the last ping.
async fn write(mut sink: Sink, mut queue: UnboundedReceiver<Message>, heard: Arc<AtomicBool>) -> Result<(), Error> {
    let mut beats = time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        tokio::select! {
            biased;
            message = queue.recv() => match message {
                Some(message) => write_all(&mut sink, message, &mut queue).await?,
                None => return Ok(()),
            },
            _ = beats.tick() => match heard.swap(false, Ordering::Relaxed) {
                true => sink.send(Message::Ping(Bytes::new())).await?,
                false => return Ok(()),
            },
        }
    }
}

/// Writes one message and all that are queued behind it, with one flush.
async fn write_all(sink: &mut Sink, first: Message, queue: &mut UnboundedReceiver<Message>) -> Result<(), Error> {
    sink.feed(first).await?;
    while let Ok(next) = queue.try_recv() {
        sink.feed(next).await?;
    }
    sink.flush().await
}
