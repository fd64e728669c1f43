//! What clients do: each action is a throw of the dice for the details, and bytes for the server.

use std::collections::BTreeSet;

use hashi::Priority;
use serde_json::{Value, json};

use super::audit::Claim;
use super::client::Client;
use super::connection::{Connection, Phase, Reading, Request};
use super::doors::Ticket;
use super::errand::Errand;
use super::letter::Letter;
use super::sent::Wish;
use super::socket::Socket;
use super::truth::{Sent, Target};
use super::web_socket::WebSocket;
use super::world::World;

/// Sessions that clients join and publish to.
pub const SESSIONS: [&str; 4] = ["red", "green", "blue", "white"];
/// The last two are debounced where they have a key.
const KINDS: [&str; 5] = ["note", "tick", "custom", "operation_progress", "selection_update"];
const KEYS: [&str; 3] = ["a", "b", "c"];
/// Bytes that the kernel takes for a client that does not read.
const DOWN_CAPACITIES: [usize; 4] = [600, 1_500, 4_000, 100_000];

/// What a client says about where it stood when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty {
    /// Its positions and its last connection.
    Honest,
    /// Nothing: it begins anew.
    Forgetful,
    /// Anything.
    Lying,
}

impl Client {
    /// Opens a connection. It authenticates as soon as the handshake is done.
    pub fn connect(&mut self, world: &mut World) {
        let capacity = self.capacity(world);
        let link = world.network().connect(capacity);
        let ticket = self.some_ticket(world);
        self.connections += 1;
        world.figures.connections += 1;
        let (index, number) = (self.index, self.connections);
        world.note(|| format!("client {index} connects, link {link}, {capacity} bytes"));
        let socket = WebSocket::open(link, ticket.as_ref().map(|ticket| &*ticket.code));
        let mut connection = Connection::new(Socket::WebSocket(socket), number, world.figures.restarts);
        connection.ticket = ticket;
        connection.wants_positions = world.dice.chance(80);
        connection.takes_arrays = world.dice.chance(30);
        connection.confirms = world.dice.chance(60);
        connection.diligence = world.dice.pick(&[100, 60, 0]);
        self.connection = Some(connection);
    }

    /// Sends the authentication, with what it wants to go on with. `strangers` are ids of other connections.
    pub fn authenticate(&mut self, world: &mut World, honesty: Honesty, strangers: &[String]) {
        let claims = self.claims(world, honesty);
        let old_id = self.old_id(world, honesty, strangers);
        self.enter(world, &claims, old_id.as_deref(), honesty == Honesty::Lying);
        let Some(connection) = &mut self.connection else {
            return;
        };
        let ticket = connection.ticket.as_ref().filter(|_| world.dice.chance(70));
        connection.bound_to = ticket.map(|ticket| ticket.session.clone());
        let mut payload = credentials(world, &self.user, connection.bound_to.as_deref());
        let (wants_positions, takes_arrays) = (connection.wants_positions, connection.takes_arrays);
        let features = [("resume", wants_positions), ("batch", takes_arrays), ("ack", connection.confirms)];
        let wanted: Vec<&str> = features.iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| *name).collect();
        payload["features"] = wanted.into();
        if !claims.is_empty() || old_id.is_some() {
            let positions: Vec<Value> = claims.iter().map(position_of).collect();
            payload["resume"] = json!({ "positions": positions });
            if let Some(old_id) = old_id {
                payload["resume"]["connectionId"] = old_id.into();
            }
        }
        (connection.claims, connection.has_asked) = (claims, true);
        connection.inheritance = (honesty == Honesty::Honest).then(|| self.farewell.take()).flatten();
        self.say(world, "authentication", payload, None);
    }

    /// The connection that it says it goes on for.
    pub fn old_id(&self, world: &mut World, honesty: Honesty, strangers: &[String]) -> Option<String> {
        match honesty {
            Honesty::Forgetful => None,
            Honesty::Honest => self.last_id.clone(),
            Honesty::Lying if world.dice.chance(50) && !strangers.is_empty() => {
                let coveted = strangers[world.dice.below(strangers.len())].clone();
                world.coveted.insert(coveted.clone());
                Some(coveted)
            }
            Honesty::Lying => Some("00000000000000000000000000000007".to_owned()),
        }
    }

    /// Bytes that the kernel takes for it.
    pub fn capacity(&self, world: &mut World) -> usize {
        world.dice.pick(&DOWN_CAPACITIES)
    }

    /// What it claims of each session it knows.
    pub fn claims(&mut self, world: &mut World, honesty: Honesty) -> Vec<(String, Claim)> {
        let known = self.places.iter().map(|(name, place)| (name.clone(), place.epoch.clone(), place.position));
        let mut claims = Vec::new();
        for (name, epoch, position) in known {
            match honesty {
                Honesty::Forgetful => {}
                Honesty::Honest => claims.push((name, Claim { epoch, seq: position })),
                Honesty::Lying => claims.extend(lie(world, name, Claim { epoch, seq: position })),
            }
        }
        let mut names = BTreeSet::new();
        claims.retain(|(name, _)| names.insert(name.clone()));
        claims
    }

    pub fn join(&mut self, world: &mut World, honesty: Honesty) {
        let name = world.dice.pick(&SESSIONS).to_owned();
        let known = self.places.get(&name).map(|place| Claim { epoch: place.epoch.clone(), seq: place.position });
        let claim = match (honesty, known) {
            (Honesty::Honest, Some(claim)) => Some(claim),
            (Honesty::Lying, Some(claim)) => {
                self.lied_about.insert(name.clone());
                lie(world, name.clone(), claim).map(|(_, claim)| claim)
            }
            _ => None,
        };
        let mut payload = json!({ "sessionId": name });
        if let Some(claim) = &claim {
            payload["resume"] = json!({ "epoch": claim.epoch, "seq": claim.seq });
        }
        self.say(world, "hashi:join", payload, Some(Request::Join { name, claim }));
    }

    pub fn leave(&mut self, world: &mut World) {
        let name = world.dice.pick(&SESSIONS).to_owned();
        let payload = json!({ "sessionId": name });
        self.say(world, "hashi:leave", payload, Some(Request::Leave { name }));
    }

    /// Publishes a message to a session, a user or a connection.
    pub fn publish(&mut self, world: &mut World, users: &[String], connections: &[String]) {
        let target = match world.dice.below(10) {
            0 => Target::Session(format!("@{}", users[world.dice.below(users.len())])),
            1 if !connections.is_empty() => {
                Target::Connection(connections[world.dice.below(connections.len())].clone())
            }
            _ => Target::Session(world.dice.pick(&SESSIONS).to_owned()),
        };
        let mut sent = self.compose(world, target);
        if matches!(sent.target, Target::Connection(_)) && sent.wish == Wish::Nothing {
            sent.wish = Wish::Published;
        }
        let number = world.truth.send(sent);
        self.send_numbered(world, number);
    }

    /// Sends a message over REST, whether it is connected or not.
    pub fn post(&mut self, world: &mut World) -> Letter {
        let name = world.dice.pick(&SESSIONS).to_owned();
        let mut sent = self.compose(world, Target::Session(name));
        sent.is_posted = true;
        // Sent as of its connection, it may keep the message from it.
        let via = self.connection.as_ref().and_then(|connection| connection.id.clone());
        let via = via.filter(|_| world.dice.chance(50));
        sent.echo |= via.is_none();
        let number = world.truth.send(sent);
        self.write_letter(world, number, via)
    }

    /// Asks for a ticket.
    pub fn ask_for_ticket(&mut self, world: &mut World) -> Errand {
        let session = world.dice.pick(&SESSIONS).to_owned();
        world.tickets += 1;
        let (asked_ns, life) = (world.now_ns(), world.figures.restarts);
        let ticket = Ticket { code: String::new(), session, asked_ns, life };
        let index = self.index;
        world.note(|| format!("client {index} asks for a ticket for {}", ticket.session));
        Errand::new(&mut world.shared.borrow_mut(), index, &self.user, ticket)
    }

    fn compose(&mut self, world: &mut World, target: Target) -> Sent {
        let kind = world.dice.pick(&KINDS);
        // Without a key, a selection would get its user as one.
        let is_keyed = kind == "selection_update" || world.dice.chance(30);
        Sent {
            id: self.new_id(),
            author: (self.index, self.connections),
            user: self.user.clone(),
            target,
            kind,
            priority: world.dice.weighted(&[(2, Priority::High), (5, Priority::Normal), (3, Priority::Low)]),
            key: is_keyed.then(|| world.dice.pick(&KEYS)),
            echo: world.dice.chance(80),
            wish: world.dice.weighted(&[(6, Wish::Nothing), (3, Wish::Published), (2, Wish::Delivered)]),
            reliable: world.dice.chance(15),
            expires_in_ms: world.dice.chance(10).then(|| world.dice.between(1, world.config.message_expiry_ms)),
            padding: padding(world),
            is_posted: false,
            is_repeated: false,
        }
    }

    /// Something that is wrong, or that changes nothing.
    pub fn talk_nonsense(&mut self, world: &mut World) {
        let (kind, payload) = world.dice.pick(&[
            ("heartbeat", "{}"),
            ("hashi:unknown", "{}"),
            ("error", "{}"),
            ("ack", r#"{"ids":["m1"]}"#),
            ("hashi:join", r#"{"sessionId":"@somebody"}"#),
            ("hashi:leave", r#"{"sessionId":"nowhere"}"#),
        ]);
        let payload = serde_json::from_str(payload).expect("ok because it is JSON");
        self.say(world, kind, payload, Some(Request::Nonsense));
    }

    pub fn say(&mut self, world: &mut World, kind: &str, payload: Value, request: Option<Request>) {
        let id = self.new_id();
        self.send(world, &id, json!({ "id": id, "type": kind, "payload": payload }), request);
    }

    pub fn send(&mut self, world: &mut World, id: &str, envelope: Value, request: Option<Request>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if let Some(request) = request {
            connection.requests.entry(id.to_owned()).or_default().push_back(request);
        }
        let text = envelope.to_string();
        connection.socket.send_text(&text, &mut world.dice);
        let index = self.index;
        world.note(|| format!("client {index} > {text}"));
    }

    fn new_id(&mut self) -> String {
        self.names_made += 1;
        format!("c{}-{}", self.index, self.names_made)
    }

    /// Changes how it reads.
    pub fn change_reading(&mut self, world: &mut World) {
        let until_ns = world.now_ns() + world.dice.between(10, 4_000) * 1_000_000;
        let reading = match world.dice.below(4) {
            0 => Reading::Greedy,
            1 => Reading::Drip(1),
            2 => Reading::Drip(40),
            _ => Reading::Stalled(until_ns),
        };
        let index = self.index;
        world.note(|| format!("client {index} reads {reading:?}"));
        if let Some(connection) = &mut self.connection {
            connection.read_by(reading, world.shared.borrow().now_ns());
        }
        if let Some(poller) = &mut self.poller {
            poller.reading = reading;
        }
    }

    /// Ends its connection: by a reset, by half, by a close frame, or by leaving it as it is.
    pub fn part(&mut self, world: &mut World) {
        let index = self.index;
        let Some(connection) = &mut self.connection else {
            return;
        };
        let link = connection.socket.link();
        match world.dice.below(5) {
            0 if connection.phase == Phase::Open && !connection.socket.is_stream() => {
                world.note(|| format!("client {index} closes"));
                connection.socket.send_close();
                connection.phase = Phase::Closing;
            }
            1 => {
                world.note(|| format!("client {index} sends no more"));
                world.network().finish(link);
                connection.phase = Phase::Closing;
            }
            way => {
                let sessions = self.auditor.joined().map(str::to_owned).collect();
                // What it has not read may say that the server has closed it.
                let has_read = world.network().is_quiet(link);
                let farewell = connection.farewell(world.now_ns(), sessions).filter(|_| has_read);
                if way == 2 {
                    world.ghosts.push(link);
                } else {
                    world.network().reset(link);
                }
                self.disconnected(world);
                if way == 2 {
                    world.confirmations.haunt(self.holder());
                }
                self.farewell = farewell;
            }
        }
    }
}

impl Client {
    /// The last thing it does.
    pub fn leave_for_good(&mut self, world: &mut World) {
        if let Some(connection) = &self.connection {
            world.network().reset(connection.socket.link());
            self.disconnected(world);
        }
        self.stop_polling(world);
    }
}

/// Who it is and what session it wants to be in. A ticket says both.
fn credentials(world: &mut World, user: &str, bound_to: Option<&str>) -> Value {
    let mut payload = if bound_to.is_some() { json!({}) } else { json!({ "token": user }) };
    if world.dice.chance(60) {
        payload["sessionId"] = bound_to.unwrap_or(world.dice.pick(&SESSIONS)).into();
    }
    payload
}

/// Bytes that make a message longer.
pub fn padding(world: &mut World) -> usize {
    world.dice.weighted(&[(20, 0), (20, 50), (10, 300), (2, 5_000)])
}

/// Another claim in place of the true one, or none.
fn lie(world: &mut World, name: String, truth: Claim) -> Option<(String, Claim)> {
    let claim = match world.dice.below(6) {
        0 => return None,
        1 => Claim { seq: world.dice.between(0, truth.seq), ..truth },
        2 => Claim { seq: truth.seq + world.dice.between(1, 3), ..truth },
        3 => Claim { seq: truth.seq + 1_000_000, ..truth },
        4 => Claim { epoch: "0".to_owned(), ..truth },
        _ => return Some((format!("not-{name}"), truth)),
    };
    Some((name, claim))
}

fn position_of((name, claim): &(String, Claim)) -> Value {
    json!({ "sessionId": name, "epoch": claim.epoch, "seq": claim.seq })
}
