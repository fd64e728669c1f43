//! How a client comes to the server: by WebSocket, by a stream or by polls, with its token or with a ticket. It carries its
//! positions from one to the other.

use super::actions::{Honesty, SESSIONS};
use super::audit::Claim;
use super::client::Client;
use super::connection::{Connection, Farewell};
use super::cursor;
use super::http;
use super::poller::Poller;
use super::socket::Socket;
use super::stream::Stream;
use super::world::World;

/// A ticket is valid so long if it is not used (docs/PROTOCOL.md, "Tickets").
const TICKET_OPEN_NS: u64 = 60_000_000_000;
/// None is given up before so many were made.
const TICKETS_KEPT: u64 = 16;
/// A target that names more would be too long.
const PLACES_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    WebSocket,
    Stream,
    Poll,
}

#[derive(Clone, Debug)]
pub struct Ticket {
    pub code: String,
    pub session: String,
    /// When it was asked for, and of which server.
    pub asked_ns: u64,
    pub life: u64,
}

impl Ticket {
    /// Whether the server must take it.
    pub fn is_surely_valid(&self, world: &World) -> bool {
        let is_young = world.now_ns() < self.asked_ns + TICKET_OPEN_NS;
        is_young && self.life == world.figures.restarts && world.tickets <= TICKETS_KEPT
    }
}

/// What an `EventSource` knows. It asks for the same again when its stream has broken off.
#[derive(Clone, Debug)]
pub struct Source {
    target: String,
    pub ticket: Option<Ticket>,
    wants_positions: bool,
    confirms: bool,
    /// The connection that the target says it goes on for.
    old_id: Option<String>,
    /// What the target claims.
    claims: Vec<(String, Claim)>,
    pub last_id: String,
}

impl Source {
    /// What it goes on with: the last id before that of the target.
    fn claims(&self, user: &str) -> Vec<(String, Claim)> {
        if self.last_id.is_empty() { self.claims.clone() } else { cursor::read(&self.last_id, user) }
    }

    fn request(&self, user: &str) -> Vec<u8> {
        let user = self.ticket.is_none().then_some(user);
        let headers = [("Accept", "text/event-stream"), ("Last-Event-ID", &*self.last_id)];
        let count = if self.last_id.is_empty() { 1 } else { 2 };
        http::request("GET", &self.target, user, &headers[..count], "")
    }
}

impl Client {
    /// Comes in by any door.
    pub fn come(&mut self, world: &mut World, honesty: Honesty, strangers: &[String]) {
        let door = world.dice.weighted(&[(6, Door::WebSocket), (3, Door::Stream), (2, Door::Poll)]);
        if self.door.replace(door).is_some_and(|last| last != door) {
            world.figures.switches += 1;
        }
        match door {
            Door::WebSocket => self.connect(world),
            Door::Stream => self.listen(world, honesty, strangers),
            Door::Poll => self.poll(world, honesty),
        }
    }

    /// Opens a stream, or lets the last one's `EventSource` do it.
    fn listen(&mut self, world: &mut World, honesty: Honesty, strangers: &[String]) {
        let again = self.source.take().filter(|_| world.dice.chance(50));
        let is_lying = again.is_none() && honesty == Honesty::Lying;
        let (source, inheritance) = match again {
            Some(source) => (source, None),
            None => self.new_source(world, honesty, strangers),
        };
        let capacity = self.capacity(world);
        let link = world.network().connect(capacity);
        self.connections += 1;
        world.figures.connections += 1;
        let stream = Stream::open(link, source.request(&self.user));
        self.enter(world, &source.claims(&self.user), source.old_id.as_deref(), is_lying);
        let mut connection = Connection::new(Socket::Stream(stream), self.connections, world.figures.restarts);
        connection.wants_positions = source.wants_positions;
        (connection.confirms, connection.diligence) = (source.confirms, world.dice.pick(&[100, 60, 0]));
        connection.has_asked = true;
        connection.claims = source.claims(&self.user);
        connection.inheritance = inheritance;
        let (index, target, last_id) = (self.index, &source.target, &source.last_id);
        world.note(|| format!("client {index} listens, link {link}: {target} after {last_id:?}"));
        connection.bound_to = source.ticket.as_ref().map(|ticket| ticket.session.clone());
        connection.ticket.clone_from(&source.ticket);
        connection.source = Some(source);
        self.connection = Some(connection);
    }

    fn new_source(&mut self, world: &mut World, honesty: Honesty, strangers: &[String]) -> (Source, Option<Farewell>) {
        let ticket = self.some_ticket(world);
        let claims = self.claims_for(world, honesty, ticket.as_ref());
        let mut query = self.query(world, ticket.as_ref(), &claims);
        let wants_positions = world.dice.chance(80);
        let confirms = world.dice.chance(60);
        let features = [("resume", wants_positions), ("batch", wants_positions), ("ack", confirms)];
        let wanted: Vec<&str> = features.iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| *name).collect();
        query.push(("features", wanted.join(",")));
        let old_id = self.old_id(world, honesty, strangers);
        query.extend(old_id.clone().map(|old_id| ("connectionId", old_id)));
        let target = target("events", &query);
        let inheritance = (honesty == Honesty::Honest).then(|| self.farewell.take()).flatten();
        (Source { target, ticket, wants_positions, confirms, old_id, claims, last_id: String::new() }, inheritance)
    }

    /// Begins to poll.
    fn poll(&mut self, world: &mut World, honesty: Honesty) {
        let ticket = self.some_ticket(world);
        let claims = self.claims_for(world, honesty, ticket.as_ref());
        let has_old = self.last_id.is_some() && world.dice.chance(50);
        let hidden = self.last_id.clone().filter(|_| has_old).map(|id| (id, self.last_number));
        let session = match &ticket {
            Some(ticket) => ticket.session.clone(),
            None => world.dice.pick(&SESSIONS).to_owned(),
        };
        self.poller = Some(Poller::new(session, ticket, hidden));
        let claims = (honesty != Honesty::Forgetful || !claims.is_empty()).then_some(claims);
        self.ask(world, claims.filter(|claims| !claims.is_empty()));
    }

    /// Its ticket, if it has one and uses it now.
    pub fn some_ticket(&self, world: &mut World) -> Option<Ticket> {
        self.ticket.clone().filter(|_| world.dice.chance(60))
    }

    /// What it claims where it comes in. A client knows that a ticket is for one session.
    fn claims_for(&mut self, world: &mut World, honesty: Honesty, ticket: Option<&Ticket>) -> Vec<(String, Claim)> {
        let last_id = self.source.take().map(|source| source.last_id).filter(|last_id| !last_id.is_empty());
        let mut claims = match last_id.filter(|_| honesty == Honesty::Honest && world.dice.chance(50)) {
            Some(last_id) => cursor::read(&last_id, &self.user),
            None => self.claims(world, honesty),
        };
        if let Some(ticket) = ticket.filter(|_| world.dice.chance(80)) {
            let personal = cursor::personal(&self.user);
            claims.retain(|(name, _)| *name == ticket.session || *name == personal);
        }
        claims.truncate(PLACES_MAX);
        claims
    }

    fn query(
        &self,
        world: &mut World,
        ticket: Option<&Ticket>,
        claims: &[(String, Claim)],
    ) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        match ticket {
            Some(ticket) => query.push(("ticket", ticket.code.clone())),
            None if world.dice.chance(80) => query.push(("sessionId", world.dice.pick(&SESSIONS).to_owned())),
            None => {}
        }
        if !claims.is_empty() {
            query.push(("cursor", cursor::write(claims, &self.user)));
        }
        query
    }

    /// The server has refused to open what was asked for.
    pub fn take_refusal(&mut self, world: &World, status: u16, ticket: Option<&Ticket>) {
        match status {
            401 => {
                let ticket = ticket.expect("the token is right");
                assert!(!ticket.is_surely_valid(world), "a ticket was refused: {ticket:?}");
                self.drop_ticket();
            }
            403 => {} // what it takes over has left no room for another session
            503 => self.refusals += 1,
            other => panic!("client {} was refused with {other}", self.index),
        }
    }

    pub fn drop_ticket(&mut self) {
        (self.ticket, self.source) = (None, None);
    }
}

/// A route of the fallback and its query.
pub fn target(route: &str, query: &[(&str, String)]) -> String {
    let members: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", cursor::encode(value))).collect();
    format!("/ws-api/{route}?{}", members.join("&"))
}
