//! What the tests of confirmation share: a session, members that confirm, messages that are to be confirmed.

use super::{Delivery, Publication};
use crate::config::Config;
use crate::message::system::Features;
use crate::message::{Guarantee, Priority};
use crate::tables::SessionId;
use crate::tables::connections::{Address, Profile, key_of};
use crate::tables::in_flight::{GivenUp, WriteTimes};

pub(super) struct Bench {
    pub(super) delivery: Delivery,
    pub(super) session: SessionId,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut delivery = Delivery::new(&Config::default(), [7; 32]);
        let session = delivery.tables.sessions.open("s", 0);
        Self { delivery, session }
    }

    /// A member that confirms.
    pub(super) fn connect(&mut self, connection_id: u128) -> u32 {
        let features = Features { ack: true, ..Features::default() };
        let address = Address { ip: [0; 16], port: 1 };
        let personal = Some(self.delivery.open_session("@member").unwrap());
        let profile = Profile { features, personal, ..Profile::new(connection_id, address, 0, 0) };
        let slot = self.delivery.tables.connections.insert(profile, 0).slot();
        self.delivery.tables.outputs.open(slot);
        self.delivery.tables.sessions.join(slot, self.session);
        slot
    }

    /// Publishes a message that is retried.
    pub(super) fn publish(&mut self, id: &str, key: Option<&str>) {
        let guarantee = Guarantee::Retried;
        let publication = Publication { id, key, guarantee, ..Publication::plain(Priority::Normal, b"1") };
        self.delivery.publish(self.session, None, &publication).unwrap();
    }

    /// The row has written the last message that is queued for it.
    pub(super) fn write_last(&mut self, slot: u32) {
        let tables = &mut self.delivery.tables;
        let confirming = tables.connections.confirming(slot);
        let receiver = key_of(tables.connections.profile(slot).connection_id);
        let message = tables.outputs.ring(slot, Priority::Normal).last().unwrap();
        let times = WriteTimes { now_ms: 0, expires_ms: 60_000 };
        let given_up = &mut GivenUp::default();
        assert!(!tables.in_flight.note_written(message, receiver, confirming, times, given_up, &mut tables.messages));
    }
}
