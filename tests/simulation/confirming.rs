//! How clients confirm: at once, later, many at once, twice, not at all, and what they have no right to.

use serde_json::{Value, json};

use super::audit::Claim;
use super::client::Client;
use super::confirmations::{Holder, Stand};
use super::connection::Request;
use super::copies::{Arrival, Publication, Retries};
use super::network::START_UNIX_MS;
use super::slip::Slip;
use super::truth::{Sent, unix_ms_of};
use super::world::World;

/// What the server is given to do what it does at a time, in nanoseconds.
const MARGIN_NS: u64 = 20_000_000;

impl Client {
    /// Which of the clients' connections it has now.
    pub const fn holder(&self) -> Holder {
        (self.index, self.connections)
    }

    /// Its connection asks to be let in, perhaps in the place of another.
    pub fn enter(&mut self, world: &mut World, claims: &[(String, Claim)], old_id: Option<&str>, is_lying: bool) {
        if is_lying {
            self.lied_about.extend(claims.iter().map(|(name, _)| name.clone()));
        }
        let stand = |(name, claim): &(String, Claim)| {
            let place = self.places.get(name).filter(|_| !self.lied_about.contains(name));
            Stand { name: name.clone(), claim: claim.clone(), handled: place.map(|place| place.handled().clone()) }
        };
        let (now_ns, server) = (world.now_ns(), world.truth.server);
        let (who, stands) = ((self.holder(), &*self.user), claims.iter().map(stand).collect());
        world.confirmations.enter(who, server, now_ns, old_id, stands);
    }

    /// A message of a session or without one has come; whether it is new to this connection.
    pub fn take_copy(&mut self, world: &mut World, number: usize, sent: &Sent, envelope: &Value) -> bool {
        if !sent.is_reliable() {
            assert_eq!(envelope["ack"], Value::Null);
            return true;
        }
        assert_eq!(envelope["ack"], true, "a reliable message asks to be confirmed");
        // Published twice in one millisecond without a position, they look like two copies of one.
        if envelope["seq"].is_null() && world.truth.may_be_forgotten(number, &world.config) {
            self.confirm_or_not(world, &sent.id);
            return true;
        }
        let holder = self.holder();
        let now_ns = world.now_ns();
        let publication = (number, unix_ms_of(envelope), envelope["seq"].as_u64().unwrap_or(0));
        let session = envelope["sessionId"].as_str();
        let connection = self.connection();
        let arrival = Arrival { at_ns: now_ns, is_prompt: connection.is_prompt(now_ns) };
        let (text, retries) = (envelope.to_string(), retries(world));
        let is_first = connection.copies.arrive(publication, session, &text, arrival, retries);
        let (confirms, is_replayed) = (connection.confirms, connection.copies.is_replayed(publication));
        assert!(
            is_first || confirms || is_replayed || world.confirmations.has_inherited(holder),
            "message {number} is sent again to a client that does not confirm"
        );
        if is_first && !confirms && self.was_there(publication, envelope) {
            world.confirmations.note_deaf(publication);
        }
        self.confirm_or_not(world, &sent.id);
        is_first
    }

    /// Whether the connection was certainly one of those that the message was for when it was published.
    fn was_there(&self, publication: Publication, envelope: &Value) -> bool {
        let published_ns = (unix_ms_of(envelope) - START_UNIX_MS) * 1_000_000;
        let Some(connection) = &self.connection else {
            return false;
        };
        match envelope["sessionId"].as_str() {
            Some(name) => {
                !connection.copies.is_replayed(publication)
                    && self.auditor.joined_ns(name).is_some_and(|at_ns| at_ns < published_ns)
            }
            None => connection.named_ns < published_ns,
        }
    }

    fn confirm_or_not(&mut self, world: &mut World, id: &str) {
        if !self.is_open() {
            return; // it sends no more
        }
        let connection = self.connection();
        let (confirms, diligence) = (connection.confirms, connection.diligence);
        if world.dice.chance(if confirms { diligence } else { 5 }) {
            self.acknowledge(world, vec![id.to_owned()]);
        } else if confirms && world.dice.chance(50) {
            self.connection().unconfirmed.push(id.to_owned());
        }
    }

    /// Confirms what it has put off, and more.
    pub fn catch_up_confirming(&mut self, world: &mut World) {
        let mut ids = std::mem::take(&mut self.connection().unconfirmed);
        if world.dice.chance(20) {
            ids.extend(ids.clone());
        }
        if world.dice.chance(20) && !world.truth.sent.is_empty() {
            let number = world.dice.below(world.truth.sent.len());
            ids.push(world.truth.sent[number].id.clone());
        }
        if world.dice.chance(20) {
            ids.push("nobody's".to_owned());
        }
        self.acknowledge(world, ids);
    }

    fn acknowledge(&mut self, world: &mut World, ids: Vec<String>) {
        let (holder, user) = (self.holder(), self.user.clone());
        let connection = self.connection();
        if connection.confirms {
            world.confirmations.acknowledge(holder, &ids);
            let named = |(number, ..): &Publication| ids.contains(&world.truth.sent[*number].id);
            connection.on_way.extend(connection.copies.all().filter(named));
        }
        if let (true, Some(id)) = (connection.socket.is_stream(), &connection.id) {
            // What is told by a stream may be read before the server counts it as written: nothing is sure of it.
            connection.on_way.clear();
            world.slips.push(Slip::new(&mut world.shared.borrow_mut(), &user, id, &ids));
            return;
        }
        self.say(world, "ack", json!({ "ids": ids }), Some(Request::Nonsense));
    }

    /// What it has confirmed counts once the server has read it.
    pub fn note_read_confirmations(&mut self, world: &mut World) {
        let (holder, now_ns, retries) = (self.holder(), world.now_ns(), retries(world));
        let Some(connection) = self.connection.as_mut().filter(|connection| !connection.on_way.is_empty()) else {
            return;
        };
        if !connection.socket.is_flushed() || !world.network().is_read(connection.socket.link()) {
            return;
        }
        for publication in std::mem::take(&mut connection.on_way) {
            let connection = self.connection();
            let is_in_time = connection.copies.confirm(publication, now_ns + MARGIN_NS, retries);
            let text = connection.copies.text(publication).to_owned();
            let envelope: Value = serde_json::from_str(&text).expect("ok because it was JSON when it came");
            let sent = &world.truth.sent[publication.0];
            let life_ms = sent.expires_in_ms.unwrap_or(world.config.message_expiry_ms);
            let end_ns = (unix_ms_of(&envelope) - START_UNIX_MS + life_ms) * 1_000_000;
            let is_kept = sent.key.is_none() && now_ns + MARGIN_NS < end_ns;
            if is_in_time && is_kept && self.was_there(publication, &envelope) {
                world.confirmations.note_sure(publication, holder);
            }
        }
    }
}

/// How the server retries.
fn retries(world: &World) -> Retries {
    Retries { attempts: world.config.retry_attempts, timeout_ns: world.config.ack_timeout_ms * 1_000_000 }
}
