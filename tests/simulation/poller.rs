//! A client that polls: one request after the other, each with the cursor of the last answer.

use serde_json::Value;

use super::audit::Claim;
use super::client::{Client, identify};
use super::connection::Reading;
use super::cursor;
use super::doors::{Ticket, target};
use super::http::{self, Exchange, Progress};
use super::poll_audit::{Answer, Arrived};
use super::truth::{Seen, Target};
use super::world::World;

/// So long a poll waits at most.
const POLL_WAIT_NS: u64 = 25_000 * MS;
/// The loop counts in milliseconds.
const MS: u64 = 1_000_000;

type Claims = Vec<(String, Claim)>;

pub struct Poller {
    session: String,
    ticket: Option<Ticket>,
    /// The connection whose `echo: false` counts here, and its number.
    hidden: Option<(String, u32)>,
    pub reading: Reading,
    exchange: Option<Exchange>,
    /// The request under way.
    asked: Option<Asked>,
    /// The server's last answer had this cursor.
    cursor: Option<String>,
    /// The last answer had nothing new.
    pub has_caught_up: bool,
}

/// A poll under way.
struct Asked {
    /// What it claims, if it has a cursor.
    claims: Option<Claims>,
    at_ns: u64,
    /// How many servers there had been before the one that it was sent to.
    life: u64,
}

impl Asked {
    /// Checks that the answer to a poll that has nothing to tell did not come early.
    fn check_wait(&self, world: &World) {
        let wait_ns = POLL_WAIT_NS.min(world.config.message_expiry_ms * MS / 2);
        let may_be_early = world.ending_since_ns.is_some() || world.figures.restarts != self.life;
        let is_early = world.now_ns() + MS < self.at_ns + wait_ns;
        assert!(self.claims.is_none() || may_be_early || !is_early, "a poll did not wait");
    }
}

impl Poller {
    pub const fn new(session: String, ticket: Option<Ticket>, hidden: Option<(String, u32)>) -> Self {
        Self {
            session,
            ticket,
            hidden,
            reading: Reading::Greedy,
            exchange: None,
            asked: None,
            cursor: None,
            has_caught_up: false,
        }
    }

    pub fn link(&self) -> Option<usize> {
        self.exchange.as_ref().map(|exchange| exchange.link)
    }

    pub const fn is_idle(&self) -> bool {
        self.asked.is_none()
    }

    /// Where it stands after the last answer.
    pub fn stands(&self, user: &str) -> Claims {
        cursor::read(self.cursor.as_deref().unwrap_or_default(), user)
    }

    fn request(&self, user: &str, claims: Option<&Claims>, keeps: bool) -> Vec<u8> {
        let mut query = vec![("sessionId", self.session.clone())];
        if let Some(claims) = claims {
            query.push(("cursor", cursor::write(claims, user)));
        }
        if let Some(ticket) = &self.ticket {
            query.push(("ticket", ticket.code.clone()));
        }
        if let Some((id, _)) = &self.hidden {
            query.push(("connectionId", id.clone()));
        }
        let user = self.ticket.is_none().then_some(user);
        let connection = if keeps { "keep-alive" } else { "close" };
        http::request("GET", &target("poll", &query), user, &[("Connection", connection)], "")
    }
}

impl Client {
    /// Sends the next poll, if none is under way: from the last answer's cursor, or from what the client knows itself.
    pub fn ask_again(&mut self, world: &mut World) {
        let Some(poller) = self.poller.as_ref().filter(|poller| poller.is_idle()) else {
            return;
        };
        let stands = poller.stands(&self.user);
        let own = |(name, claim): &(String, Claim)| {
            let place = self.places.get(name).filter(|place| place.epoch == claim.epoch);
            (name.clone(), place.map_or(claim.clone(), |place| Claim { seq: place.position, ..claim.clone() }))
        };
        let claims = if world.dice.chance(30) { stands.iter().map(own).collect() } else { stands };
        self.ask(world, Some(claims).filter(|claims| !claims.is_empty()));
    }

    pub fn ask(&mut self, world: &mut World, claims: Option<Claims>) {
        let capacity = self.capacity(world);
        let Some(poller) = &mut self.poller else {
            return;
        };
        let request = poller.request(&self.user, claims.as_ref(), world.dice.chance(50));
        let index = self.index;
        world.note(|| format!("client {index} polls {claims:?} {}", String::from_utf8_lossy(&request)));
        match &mut poller.exchange {
            Some(exchange) => exchange.ask(request),
            None => poller.exchange = Some(Exchange::new(world.network().connect(capacity), request)),
        }
        poller.asked = Some(Asked { claims, at_ns: world.now_ns(), life: world.figures.restarts });
    }

    /// Sends and reads what the poll under way needs.
    pub fn step_poller(&mut self, world: &mut World) {
        let Some(poller) = &mut self.poller else {
            return;
        };
        let appetite = poller.reading.appetite(world.now_ns());
        let Some(exchange) = &mut poller.exchange else {
            return;
        };
        let progress = exchange.step(&mut world.network(), appetite);
        match progress {
            Progress::Waiting => {}
            Progress::Lost => {
                (poller.exchange, poller.has_caught_up) = (None, false);
                if poller.asked.take().is_some() {
                    self.ask_again(world);
                }
            }
            Progress::Answered(head, body) => {
                if head.header("Connection") != Some("keep-alive") {
                    world.network().finish(exchange.link);
                    poller.exchange = None;
                }
                let asked = poller.asked.take().expect("an answer to a poll that was not sent");
                self.take_poll_answer(world, head.status, &body, asked);
                if world.dice.chance(75) {
                    self.ask_again(world);
                }
            }
        }
    }

    fn take_poll_answer(&mut self, world: &mut World, status: u16, body: &str, asked: Asked) {
        let index = self.index;
        world.note(|| format!("client {index} < poll {status} {body}"));
        if status != 200 {
            let poller = self.poller.take().expect("ok because it has polled");
            if let Some(link) = poller.link() {
                world.network().finish(link);
            }
            return self.take_refusal(world, status, poller.ticket.as_ref());
        }
        self.refusals = 0;
        let answer: Value = serde_json::from_str(body).expect("the server sends JSON");
        let text = answer["cursor"].as_str().expect("an answer has a cursor");
        let (places, is_recovered) = (cursor::read(text, &self.user), answer["recovered"] == true);
        let messages = self.arrivals(world, &answer["messages"], &places);
        let poller = self.poller.as_mut().expect("ok because it has polled");
        poller.cursor = Some(text.to_owned());
        poller.has_caught_up = messages.is_empty();
        if messages.is_empty() && is_recovered {
            asked.check_wait(world);
        }
        let claims = asked.claims.unwrap_or_default();
        let is_complete = self.check_names(world, &claims, &places, is_recovered);
        let answer = Answer { places, messages, is_complete, is_recovered };
        self.auditor.take_poll(&world.truth, world.now_ns(), &claims, &answer);
        self.move_places(&claims, &answer);
        // Where it was not led on from its own positions, they may have passed what its old connection has not confirmed.
        let is_led = |name: &String| claims.iter().any(|(claimed, _)| claimed == name);
        if !is_recovered || !answer.places.iter().all(|(name, _)| is_led(name)) {
            (self.last_id, self.farewell) = (None, None);
        }
    }

    /// The messages of an answer. Each is what its author sent, and for this client.
    fn arrivals(&mut self, world: &mut World, messages: &Value, places: &Claims) -> Vec<Arrived> {
        let hidden = self.poller.as_ref().and_then(|poller| poller.hidden.as_ref()).map(|(_, number)| *number);
        let mut arrived = Vec::new();
        for envelope in messages.as_array().expect("an answer has messages") {
            let (number, sent) = identify(world, envelope);
            let Target::Session(name) = &sent.target else {
                panic!("a poll got a message to a connection: {envelope}");
            };
            assert_eq!(envelope["sessionId"], **name);
            let is_own = sent.author.0 == self.index && Some(sent.author.1) == hidden;
            assert!(sent.echo || !is_own || sent.is_repeated, "client {} polled its own message {number}", self.index);
            let seq = envelope["seq"].as_u64().expect("a message of a session has a position");
            let place = places.iter().find(|(other, _)| other == name);
            let (_, place) = place.unwrap_or_else(|| panic!("{name} is not in the cursor: {envelope}"));
            let now_ns = world.now_ns();
            world.truth.note(name, &place.epoch, seq, Seen::come(envelope, now_ns));
            arrived.push(Arrived { name: name.clone(), seq, sent });
        }
        arrived
    }

    /// An answer names the session asked for, the personal one, and of the cursor's no others than it came with. Whether
    /// it names all of them.
    fn check_names(&self, world: &World, claims: &Claims, places: &Claims, is_recovered: bool) -> bool {
        let poller = self.poller.as_ref().expect("ok because it has polled");
        let names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
        let must = [poller.session.clone(), cursor::personal(&self.user)];
        for name in &names {
            let is_asked = must.iter().any(|must| must == name);
            let is_claimed = poller.ticket.is_none() && claims.iter().any(|(claimed, _)| claimed == name);
            assert!(is_asked || is_claimed, "nobody asked for {name}");
        }
        let is_there = |name: &String| names.contains(&name.as_str());
        let has_asked = must.iter().all(is_there);
        let has_claimed = claims.iter().all(|(name, _)| is_there(name));
        assert!(has_asked || !world.keeps_sessions(), "{must:?} are not all among {names:?}");
        assert!(has_claimed || !is_recovered, "{claims:?} became {names:?}");
        has_asked && has_claimed
    }

    fn move_places(&mut self, claims: &Claims, answer: &Answer) {
        for message in &answer.messages {
            self.places.entry(message.name.clone()).or_default().arrive(message.seq);
        }
        for (name, now) in &answer.places {
            let place = self.places.entry(name.clone()).or_default();
            let goes_on = claims.iter().any(|(claimed, claim)| claimed == name && claim.epoch == now.epoch);
            if goes_on && place.epoch == now.epoch { place.jump(now.seq) } else { place.start(&now.epoch, now.seq) }
        }
    }

    /// Polls no more.
    pub fn stop_polling(&mut self, world: &mut World) {
        if let Some(link) = self.poller.take().and_then(|poller| poller.link()) {
            world.network().reset(link);
        }
    }
}
