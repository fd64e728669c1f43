//! Peer: fastwebsockets on one thread of tokio, upgraded by hyper.
//!
//! Fast settings: what is queued for a connection is gathered in a buffer and flushed once (the library itself writes each frame
//! at once); a message of a fan-out is one shared buffer.

use std::convert::Infallible;
use std::future::{self, Ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, WebSocketWrite};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{BufWriter, ReadHalf, WriteHalf};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{self, Instant};

use crate::client::Client;
use crate::sessions::Sessions;
use crate::{HEARTBEAT, MAX_MESSAGE_BYTES, SUBPROTOCOL};

/// A frame to send; a clone shares its bytes.
#[derive(Debug, Clone)]
struct Outgoing {
    opcode: OpCode,
    payload: Bytes,
}

const PING: Outgoing = Outgoing { opcode: OpCode::Ping, payload: Bytes::new() };

/// Holds what a fan-out with 32 messages in flight queues.
const WRITE_BUFFER: usize = 16 * 1024;

type Reader = FragmentCollectorRead<ReadHalf<TokioIo<Upgraded>>>;
type Writer = WebSocketWrite<BufWriter<WriteHalf<TokioIo<Upgraded>>>>;

/// Serves until accepting fails. A connection that breaks concerns nobody else.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let sessions = Sessions::default();
    loop {
        let socket = crate::accept(&listener).await?;
        let sessions = sessions.clone();
        let service = service_fn(move |request| future::ready(answer(request, &sessions)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service).with_upgrades());
    }
}

fn answer(mut request: Request<Incoming>, sessions: &Sessions<Outgoing>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let Ok((mut response, upgraded)) = upgrade(&mut request) else {
        let mut refusal = Response::new(Empty::new());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refusal);
    };
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    tokio::spawn(connection(upgraded, sessions.clone()));
    Ok(response)
}

async fn connection(upgraded: UpgradeFut, sessions: Sessions<Outgoing>) -> Result<(), WebSocketError> {
    let mut socket = upgraded.await?;
    socket.set_max_message_size(MAX_MESSAGE_BYTES);
    let (reader, writer) = socket.split(|stream| {
        let (reader, writer) = tokio::io::split(stream);
        (reader, BufWriter::with_capacity(WRITE_BUFFER, writer))
    });
    let (outbox, queue) = unbounded_channel();
    let heard = Arc::new(AtomicBool::new(true));
    tokio::spawn(write(writer, queue, heard.clone()));
    let client = Client::new(sessions, outbox.clone(), text);
    tokio::select! {
        result = read(FragmentCollectorRead::new(reader), client, &outbox, &heard) => result,
        // The writer has given up.
        () = outbox.closed() => Ok(()),
    }
}

async fn read(
    mut reader: Reader,
    mut client: Client<Outgoing>,
    outbox: &UnboundedSender<Outgoing>,
    heard: &AtomicBool,
) -> Result<(), WebSocketError> {
    loop {
        let frame = reader.read_frame(&mut |frame| answer_control(&frame, outbox)).await?;
        heard.store(true, Ordering::Relaxed);
        match frame.opcode {
            OpCode::Text => client.take(serde_json::from_slice(&frame.payload)),
            OpCode::Binary | OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

fn text(text: String) -> Outgoing {
    Outgoing { opcode: OpCode::Text, payload: text.into() }
}

/// Queues what the library wants to be sent: pongs, and answers to closes.
fn answer_control(frame: &Frame, outbox: &UnboundedSender<Outgoing>) -> Ready<Result<(), WebSocketError>> {
    // A connection that is ending sends nothing more.
    let _ = outbox.send(Outgoing { opcode: frame.opcode, payload: Bytes::copy_from_slice(&frame.payload) });
    future::ready(Ok(()))
}

/// Writes what is queued, until the reader has gone or nothing was heard since the last ping.
async fn write(
    mut writer: Writer,
    mut queue: UnboundedReceiver<Outgoing>,
    heard: Arc<AtomicBool>,
) -> Result<(), WebSocketError> {
    let mut beats = time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        tokio::select! {
            biased;
            message = queue.recv() => match message {
                Some(message) => write_all(&mut writer, message, &mut queue).await?,
                None => return Ok(()),
            },
            _ = beats.tick() => match heard.swap(false, Ordering::Relaxed) {
                true => write_all(&mut writer, PING, &mut queue).await?,
                false => return Ok(()),
            },
        }
    }
}

/// Writes one message and all that are queued behind it, with one flush.
async fn write_all(
    writer: &mut Writer,
    first: Outgoing,
    queue: &mut UnboundedReceiver<Outgoing>,
) -> Result<(), WebSocketError> {
    let mut next = Some(first);
    while let Some(Outgoing { opcode, payload }) = next {
        writer.write_frame(Frame::new(true, opcode, None, Payload::Borrowed(&payload))).await?;
        next = queue.try_recv().ok();
    }
    writer.flush().await
}
