//! Clients send messages again under the same id, as they were or with another content, by any door.

use super::actions::padding;
use super::client::Client;
use super::connection::{Phase, Request};
use super::letter::Letter;
use super::sent::Wish;
use super::truth::Sent;
use super::world::World;

/// Clients remember so many of their user's last messages to send them again.
const REMEMBERED: usize = 10;

impl Client {
    /// Sends one of its user's messages again, or another one under its id.
    pub fn repeat(&mut self, world: &mut World) -> Option<Letter> {
        let recent = world.truth.sent.iter().enumerate().rev();
        let own = recent.filter(|(_, sent)| sent.user == self.user && sent.is_remembered());
        // Where an error is the only answer, it could not be told which of them it answers.
        let told = own.filter(|(_, sent)| sent.wish != Wish::Nothing || sent.is_posted);
        let candidates: Vec<usize> = told.take(REMEMBERED).map(|(number, _)| number).collect();
        if candidates.is_empty() {
            return None;
        }
        let old = world.dice.pick(&candidates);
        let number = if world.dice.chance(15) { self.reuse(world, old) } else { old };
        let sent = &mut world.truth.sent[number];
        sent.is_repeated = true;
        if sent.wish == Wish::Nothing {
            sent.wish = Wish::Published;
        }
        let is_open = self.connection.as_ref().is_some_and(|connection| connection.phase == Phase::Open);
        if !is_open || self.is_listening() || world.dice.chance(30) {
            return Some(self.write_letter(world, number, None));
        }
        self.send_numbered(world, number);
        None
    }

    /// Another message under a used id.
    fn reuse(&mut self, world: &mut World, old: usize) -> usize {
        let padding = padding(world);
        let old = &world.truth.sent[old];
        let (wish, expires_in_ms) = (Wish::Published, None);
        let sent = Sent { wish, reliable: false, expires_in_ms, padding, author: self.holder(), ..old.clone() };
        world.truth.send(sent)
    }

    /// Sends a message, new or not, over its connection.
    pub fn send_numbered(&mut self, world: &mut World, number: usize) {
        let sent = &world.truth.sent[number];
        let (id, envelope) = (sent.id.clone(), sent.envelope(number));
        let wants_receipt = sent.wish != Wish::Nothing;
        world.figures.sent += 1;
        self.send(world, &id, envelope, Some(Request::Publish { number, wants_receipt }));
    }

    /// Sends a message, new or not, over REST.
    pub fn write_letter(&mut self, world: &mut World, number: usize, via: Option<String>) -> Letter {
        world.figures.sent += 1;
        let index = self.index;
        world.note(|| format!("client {index} posts message {number} as of {via:?}"));
        let message = (number, &world.truth.sent[number]);
        Letter::post(&mut world.shared.borrow_mut(), &mut world.dice, world.truth.server, message, via.as_deref())
    }
}
