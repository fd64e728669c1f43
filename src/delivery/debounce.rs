//! Debounce: progress and selections go out at once, and then at most once in a window for each session, type and key, always
//! ending with the latest.
//!
//! In: keyed messages on their way to a session. A message that comes while its topic's window is open is held; it takes its time, its
//! position and its place in the order when it is released: at the end of the window, or before a message of another type with
//! the same key.

use super::publish::Exclusion;
use super::{Author, Delivery, Publication};
use crate::config::limits::{RELEASES_PER_TICK, RELEASES_PER_TICK_MIN, WORK_PER_TICK};
use crate::message::{Guarantee, MessageType};
use crate::tables::held::HeldMessage;
use crate::tables::messages::Topic;
use crate::tables::{SessionId, Tables};

/// The types that are held back.
const DEBOUNCED: [&str; 2] = [MessageType::OPERATION_PROGRESS, MessageType::SELECTION_UPDATE];

impl Delivery {
    /// Holds a keyed message back if its turn has not come. Returns whether it did; else it is to be published now.
    pub(super) fn debounce(
        &mut self,
        session: SessionId,
        exclusion: Exclusion,
        publication: &Publication<'_>,
        key: &str,
    ) -> bool {
        self.release_others(session, publication.kind, key);
        let Some(kind) = DEBOUNCED.into_iter().find(|kind| *kind == publication.kind) else {
            return false;
        };
        let topic = self.tables.sessions.topic(session, kind, key);
        let held = &mut self.tables.held;
        if self.debounce_ms == 0 {
            self.totals.debounced += u64::from(held.take(topic).is_some()); // this one is newer
            return false;
        }
        if !held.is_open(topic) {
            let end_ms = self.window_end_ms();
            self.tables.held.open(topic, end_ms);
            return false;
        }
        if publication.is_reliable() {
            // Not held: its sender is told at once who is to confirm it. What was held goes first.
            if let Some(message) = self.tables.held.take(topic) {
                self.release(topic, message);
            }
            return false;
        }
        let message = self.held_message(session, exclusion, publication, kind, key);
        match self.tables.held.hold(topic, Box::new(message)) {
            Ok(has_replaced) => {
                self.totals.debounced += u64::from(has_replaced);
                true
            }
            Err(_) => false,
        }
    }

    /// When a window that opens now ends: rounded up, so that it is as long as it should be.
    const fn window_end_ms(&self) -> u64 {
        self.now.ns.div_ceil(1_000_000) + self.debounce_ms
    }

    /// Releases what is held of the same key under another type.
    fn release_others(&mut self, session: SessionId, kind: &str, key: &str) {
        if self.tables.held.is_empty() {
            return;
        }
        for other in DEBOUNCED.into_iter().filter(|other| *other != kind) {
            let topic = self.tables.sessions.topic(session, other, key);
            if let Some(message) = self.tables.held.take(topic) {
                self.release(topic, message);
            }
        }
    }

    /// Releases what waited for windows that are over.
    pub fn release_held(&mut self) {
        for done in 0..RELEASES_PER_TICK {
            if done >= RELEASES_PER_TICK_MIN && self.work >= WORK_PER_TICK {
                return;
            }
            let Some((topic, message)) = self.tables.held.close_next(self.now.ms()) else {
                return;
            };
            if let Some(message) = message {
                if self.debounce_ms > 0 {
                    let end_ms = self.window_end_ms();
                    self.tables.held.open(topic, end_ms);
                }
                self.release(topic, message);
            }
        }
    }

    /// Nothing is held from now on, and what is held is released as soon as can be.
    pub fn end_debounce(&mut self) {
        self.debounce_ms = 0;
        self.tables.held.end();
    }

    /// Publishes what was held. Its sender has its receipt already, so where there is no memory left it waits once more.
    fn release(&mut self, topic: Topic, held: Box<HeldMessage>) {
        if !self.tables.sessions.is_alive(held.session) {
            return; // nobody was in it for a long time
        }
        let exclusion = self.exclusion_of_held(&held);
        let publication = Publication {
            id: &held.id,
            kind: held.kind,
            priority: held.priority,
            from: held.user_id.as_deref().map_or(Author::Server, Author::User),
            key: Some(&held.key),
            reply_to: held.reply_to.as_deref(),
            meta: held.meta.as_deref(),
            expires_in_ms: held.expires_in_ms,
            guarantee: Guarantee::Once, // reliable messages are not held
            payload: &held.payload,
        };
        let result = self.publish_now(held.session, exclusion, &publication);
        if let Err(error) = result
            && self.tables.held.hold(topic, held).is_err()
        {
            log::warn!("a message that was held is lost: {error}");
        }
    }

    /// The row that does not get a held message: the sender's, or the one that has taken it over meanwhile.
    fn exclusion_of_held(&self, held: &HeldMessage) -> Exclusion {
        let Tables { connections, sessions, .. } = &self.tables;
        let own = held.exclude.and_then(|id| connections.slot(id));
        let own = own.filter(|&slot| sessions.is_member(slot, held.session));
        let heir = || {
            let mut members = sessions.members(held.session).iter().copied();
            members.find(|&slot| connections.is_known_as(slot, held.hidden_from))
        };
        let row = held.exclude.and_then(|_| own.or_else(heir));
        Exclusion { row, hidden_from: held.hidden_from }
    }

    fn held_message(
        &self,
        session: SessionId,
        exclusion: Exclusion,
        publication: &Publication<'_>,
        kind: &'static str,
        key: &str,
    ) -> HeldMessage {
        HeldMessage {
            session,
            exclude: exclusion.row.map(|slot| self.tables.connections.id(slot)),
            hidden_from: exclusion.hidden_from,
            user_id: publication.from.user_id(&self.tables.sessions).map(str::to_owned),
            id: publication.id.to_owned(),
            kind,
            priority: publication.priority,
            key: key.to_owned(),
            reply_to: publication.reply_to.map(str::to_owned),
            meta: publication.meta.map(<[u8]>::to_vec),
            expires_in_ms: publication.expires_in_ms,
            payload: publication.payload.to_vec(),
        }
    }
}
