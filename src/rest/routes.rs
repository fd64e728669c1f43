//! Which route a request is for, and what must hold before its body is read.

use super::listen::{self, Listener};
use super::publish::Caller;
use super::response::{Response, problem, refusal};
use super::wait::patience;
use super::{Services, access, operation, poll, publish, ticket, views};
use crate::auth::Identity;
use crate::config::limits::ID_BYTES_MAX;
use crate::message::{Decoder, ErrorCode, ProtocolError};
use crate::tables::polls::Poll;
use crate::tables::waits::Wait;
use crate::wire::http::{BodyLength, Head, percent_decode};

/// The routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /`
    Index,
    /// `GET /healthz`
    Health,
    /// `GET /readyz`
    Ready,
    /// `GET /metrics`
    Metrics,
    /// `GET /ws-api/status`
    Status,
    /// `POST /ws-api/send`
    Send,
    /// `POST /ws-api/broadcast`
    Broadcast,
    /// `POST /ws-api/notify/operation`
    NotifyOperation,
    /// `POST /ws-api/ticket`
    Ticket,
    /// `GET /ws-api/events`
    Events,
    /// `GET /ws-api/poll`
    Poll,
    /// `GET /ws-api/connections/session/:sessionId`
    SessionConnections(String),
}

/// Paths with a fixed name.
const FIXED: [(&str, Route); 11] = [
    ("/", Route::Index),
    ("/healthz", Route::Health),
    ("/readyz", Route::Ready),
    ("/metrics", Route::Metrics),
    ("/ws-api/status", Route::Status),
    ("/ws-api/send", Route::Send),
    ("/ws-api/broadcast", Route::Broadcast),
    ("/ws-api/notify/operation", Route::NotifyOperation),
    ("/ws-api/ticket", Route::Ticket),
    ("/ws-api/events", Route::Events),
    ("/ws-api/poll", Route::Poll),
];
const SESSION_CONNECTIONS: &str = "/ws-api/connections/session/";

impl Route {
    fn find(path: &str) -> Option<Self> {
        if let Some((_, route)) = FIXED.iter().find(|(fixed, _)| *fixed == path) {
            return Some(route.clone());
        }
        let session = path.strip_prefix(SESSION_CONNECTIONS)?;
        // What cannot be decoded cannot be a name, as the empty one cannot.
        Some(Self::SessionConnections(percent_decode(session).unwrap_or_default().into_owned()))
    }

    const fn takes_body(&self) -> bool {
        matches!(self, Self::Send | Self::Broadcast | Self::NotifyOperation | Self::Ticket)
    }

    const fn methods(&self) -> &'static str {
        if self.takes_body() { "POST, OPTIONS" } else { "GET, HEAD, OPTIONS" }
    }

    fn needs_token(&self, from_loopback: bool) -> bool {
        match self {
            Self::Index | Self::Health | Self::Ready | Self::Status => false,
            Self::Events | Self::Poll => false, // a ticket may stand for it
            Self::Metrics => !from_loopback,
            _ => true,
        }
    }
}

/// What a head leads to.
pub enum Plan {
    /// An answer at once, whatever the body is.
    Answer(Response),
    /// The route, once its body of at most so many bytes is there.
    Read {
        /// Largest body in bytes.
        body_bytes_max: usize,
    },
}

/// A request with its body.
pub struct Request<'a> {
    /// The head.
    pub head: &'a Head<'a>,
    /// The whole body.
    pub body: &'a [u8],
}

/// What a whole request leads to.
pub enum Reply {
    /// An answer.
    Now(Response),
    /// The connection becomes a stream of events.
    Stream(Box<Listener>),
    /// An answer once a message comes.
    Poll(Poll),
    /// An answer once it is known how a message was confirmed.
    Wait(Wait),
}

/// Decides from the head alone.
pub fn examine(services: &mut Services<'_>, head: &Head<'_>) -> Plan {
    let plan = find_route(services, head).and_then(|route| check(services, head, &route));
    match plan {
        Ok(body_bytes_max) => Plan::Read { body_bytes_max },
        Err(response) => Plan::Answer(with_cors(services, head, *response)),
    }
}

/// Answers a request that [`examine`] let pass.
pub fn answer(services: &mut Services<'_>, decoder: &mut Decoder, request: &Request<'_>) -> Reply {
    let head = request.head;
    let reply = match find_route(services, head) {
        Ok(route) => run(services, decoder, request, &route),
        Err(response) => Ok(Reply::Now(*response)),
    };
    match reply.unwrap_or_else(|error| Reply::Now(refusal(services.delivery, &error))) {
        Reply::Now(response) => Reply::Now(with_cors(services, head, response)),
        later => later,
    }
}

fn find_route(services: &mut Services<'_>, head: &Head<'_>) -> Result<Route, Box<Response>> {
    let development = services.policy.is_development();
    let refused = access::check_host(services.config, development, head)
        .and_then(|()| access::check_origin(services.config, development, head).map(|_| ()))
        .err();
    if let Some(error) = refused {
        return Err(Box::new(refusal(services.delivery, &error)));
    }
    Route::find(head.path).ok_or_else(|| Box::new(problem(404, &ErrorCode::NotFound.into())))
}

fn check(services: &mut Services<'_>, head: &Head<'_>, route: &Route) -> Result<usize, Box<Response>> {
    check_method(head, route)?;
    if head.content_encoded {
        return Err(unsupported("Encoded bodies are not read."));
    }
    if matches!(route, Route::Events | Route::Poll) {
        listen::check_listener(services, head).map_err(|error| Box::new(refusal(services.delivery, &error)))?;
    }
    let mut limit = services.config.max_message_bytes;
    if route.needs_token(services.from_loopback) {
        let identity = access::authenticate(services.policy, head)
            .map_err(|error| Box::new(refusal(services.delivery, &error)))?;
        if *route == Route::Metrics && !identity.is_service {
            return Err(Box::new(problem(403, &ErrorCode::Forbidden.into())));
        }
        if identity.is_service {
            limit = services.config.max_service_message_bytes;
        }
    }
    if route.takes_body() && !is_json(head) {
        return Err(unsupported("The body must be application/json."));
    }
    Ok(limit as usize)
}

fn check_method(head: &Head<'_>, route: &Route) -> Result<(), Box<Response>> {
    match (head.method, route.takes_body()) {
        ("GET" | "HEAD", false) | ("POST", true) => Ok(()),
        ("OPTIONS", _) => Err(Box::new(Response::empty(204).with("Allow", route.methods()))),
        _ => {
            let error = ProtocolError::with_message(ErrorCode::BadMessage, "This method is not for this path.");
            Err(Box::new(problem(405, &error).with("Allow", route.methods())))
        }
    }
}

fn unsupported(message: &'static str) -> Box<Response> {
    Box::new(problem(415, &ProtocolError::with_message(ErrorCode::BadMessage, message)))
}

/// Whether the body says it is JSON. A body of no bytes says nothing and is judged by its shape.
fn is_json(head: &Head<'_>) -> bool {
    let essence = |value: &[u8]| value.split(|b| *b == b';').next().unwrap_or(b"").trim_ascii().to_ascii_lowercase();
    match head.header("Content-Type") {
        Some(value) => essence(value) == b"application/json",
        None => matches!(head.body, BodyLength::None | BodyLength::Sized(0)),
    }
}

fn run(
    services: &mut Services<'_>,
    decoder: &mut Decoder,
    request: &Request<'_>,
    route: &Route,
) -> Result<Reply, ProtocolError> {
    let head = request.head;
    let response = match route {
        Route::Events => return Ok(Reply::Stream(Box::new(listen::listener(services, head)?))),
        Route::Poll => return poll::poll(services, head),
        Route::Send => {
            let caller = publishing(services, request)?;
            return publish::publish(services, decoder, &caller, request.body, publish::SEND);
        }
        Route::Broadcast => {
            let patience = patience(services, head)?;
            let caller = Caller { patience, ..publishing(services, request)? };
            return publish::publish(services, decoder, &caller, request.body, publish::BROADCAST);
        }
        Route::NotifyOperation => {
            let caller = publishing(services, request)?;
            return operation::notify(services, decoder, &caller, request.body);
        }
        Route::Ticket => ticket::make(services, decoder, access::authenticate(services.policy, head)?, request.body)?,
        Route::SessionConnections(name) => {
            views::session_connections(services, &access::authenticate(services.policy, head)?, name)?
        }
        Route::Ready if services.draining => return Err(ErrorCode::Draining.into()),
        Route::Ready => Response::text(200, "ready\n"),
        Route::Index => views::index(services),
        Route::Health => Response::text(200, "ok\n"),
        Route::Metrics => views::metrics(services),
        Route::Status => views::status(services, head),
    };
    Ok(Reply::Now(response))
}

fn publishing(services: &Services<'_>, request: &Request<'_>) -> Result<Caller, ProtocolError> {
    let identity = access::authenticate(services.policy, request.head)?;
    let row = own_connection(services, request.head, &identity)?;
    let own_id = idempotency_key(request.head)?;
    Ok(Caller { identity, row, own_id, patience: None })
}

/// The id of a message that has none of its own.
fn idempotency_key(head: &Head<'_>) -> Result<Option<String>, ProtocolError> {
    const BAD_KEY: ProtocolError =
        ProtocolError::bad_field("Idempotency-Key", "Idempotency-Key must be one header of 1 to 128 bytes.");
    let key = head.single_header("Idempotency-Key").map_err(|_| BAD_KEY)?;
    let is_id = |key: &str| (1..=ID_BYTES_MAX).contains(&key.len());
    key.map(|key| if is_id(key) { Ok(key.to_owned()) } else { Err(BAD_KEY) }).transpose()
}

fn own_connection(services: &Services<'_>, head: &Head<'_>, identity: &Identity) -> Result<Option<u32>, ProtocolError> {
    const UNKNOWN: ProtocolError =
        ProtocolError::with_message(ErrorCode::BadMessage, "This is not an open connection of yours.")
            .in_field("Hashi-Connection");
    let Some(value) = head.header("Hashi-Connection") else {
        return Ok(None);
    };
    let tables = &services.delivery.tables;
    let id = std::str::from_utf8(value).ok().and_then(crate::message::names::parse_connection_id).ok_or(UNKNOWN)?;
    let slot = tables.connections.find(id).ok_or(UNKNOWN)?;
    let is_open = tables.connections.state(slot).is_open();
    let owner = tables.connections.profile(slot).personal.filter(|_| is_open);
    let is_own = owner.and_then(|personal| tables.sessions.user_of(personal)) == Some(&identity.user_id);
    if is_own { Ok(Some(slot)) } else { Err(UNKNOWN) }
}

/// Lets pages of allowed origins read the answer, and tells them what they may send.
pub fn with_cors(services: &Services<'_>, head: &Head<'_>, response: Response) -> Response {
    let development = services.policy.is_development();
    let Ok(Some(origin)) = access::check_origin(services.config, development, head) else {
        return response;
    };
    let response = allow_origin(response, origin);
    if head.method != "OPTIONS" {
        return response;
    }
    response
        .with("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
        .with(
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Hashi-Connection",
        )
        .with("Access-Control-Max-Age", "600")
}

/// Lets the page of an allowed origin read the answer.
pub fn allow_origin(response: Response, origin: &str) -> Response {
    response
        .with("Access-Control-Allow-Origin", origin)
        .with("Access-Control-Expose-Headers", "Retry-After")
        .with("Vary", "Origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_and_decoded() {
        assert_eq!(Route::find("/ws-api/status"), Some(Route::Status));
        assert_eq!(Route::find("/ws-api/status/"), None);
        let session = Route::find("/ws-api/connections/session/a%2Fb%20c");
        assert_eq!(session, Some(Route::SessionConnections("a/b c".into())));
        assert_eq!(Route::find("/ws-api/connections/session/%zz"), Some(Route::SessionConnections(String::new())));
    }
}
