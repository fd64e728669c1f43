//! What happens when a row's queue is over its limits and its socket takes no more.
//!
//! First, an entry goes that has a later entry of the same session, type and key in its ring. If that makes little room, the
//! row falls behind: its messages of sessions leave the normal and low rings, and what history has fed leaves the high one,
//! too; history feeds it later (`catch_up`). Then messages without a sequence go, low before normal, oldest first, and a
//! `hashi:gap` is owed. If `high` alone is still over, the consumer is too slow for this server.
//!
//! A look at a row over its limits is O(queue). It makes room for a part of the queue, or the row gets no more of its sessions
//! but `high`: so most pushes cost O(1) of it in the long run. Weakness: not those of `high`, and of what has no position.

use rustc_hash::FxHashSet;

use super::Delivery;
use crate::config::limits::ROOM_DIVISOR;
use crate::message::Priority;
use crate::tables::owed::{Owed, Reason};

/// A row's limits over its three rings together.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes; one message alone may be larger.
    pub bytes: u64,
}

impl QueueLimits {
    /// Limits that leave some room below these.
    const fn with_room(self) -> Self {
        let Self { messages, bytes } = self;
        Self { messages: messages - messages / ROOM_DIVISOR as usize, bytes: bytes - bytes / ROOM_DIVISOR }
    }
}

/// What to do with the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is within its limits.
    Within,
    /// It was over them and is within them again.
    Restored,
    /// Even without normal and low messages it is over: close it with 4013.
    TooSlow,
}

impl Delivery {
    /// Brings a row back within its limits.
    pub fn enforce_queue_limits(&mut self, slot: u32, limits: QueueLimits) -> Verdict {
        if !self.is_over(slot, limits) {
            return Verdict::Within;
        }
        for priority in Priority::ALL {
            self.conflate(slot, priority);
        }
        if self.is_over(slot, limits.with_room()) {
            self.fall_behind(slot);
        }
        for priority in [Priority::Low, Priority::Normal] {
            self.drop_oldest(slot, priority, limits);
        }
        if self.is_over(slot, limits) { Verdict::TooSlow } else { Verdict::Restored }
    }

    fn is_over(&self, slot: u32, limits: QueueLimits) -> bool {
        let outputs = &self.tables.outputs;
        is_over(outputs.len(slot), outputs.queued_bytes(slot), limits)
    }

    fn fall_behind(&mut self, slot: u32) {
        let was_behind = self.tables.outputs.is_behind(slot);
        self.tables.outputs.fall_behind(slot, &mut self.tables.messages);
        self.totals.catch_ups += u64::from(!was_behind && self.tables.outputs.is_behind(slot));
    }

    /// Removes entries that a later one of the same topic replaces. The later one keeps its place.
    fn conflate(&mut self, slot: u32, priority: Priority) {
        let tables = &mut self.tables;
        let ids: Vec<_> = tables.outputs.ring(slot, priority).collect();
        let mut newer = FxHashSet::default();
        let mut keep: Vec<bool> = ids
            .iter()
            .rev()
            .map(|&id| tables.messages.description(id).topic.is_none_or(|topic| newer.insert(topic)))
            .collect();
        if newer.is_empty() {
            return;
        }
        for (&id, _) in ids.iter().rev().zip(&keep).filter(|(_, keep)| !**keep) {
            self.totals.conflated += 1;
            if let Some(place) = tables.messages.description(id).place {
                tables.outputs.owe_position(slot, place.session);
            }
        }
        tables.outputs.retain(slot, priority, &mut tables.messages, |_, _| keep.pop().unwrap_or(true));
    }

    /// Drops the oldest entries of one ring, which have no sequence, until the row is within its limits.
    fn drop_oldest(&mut self, slot: u32, priority: Priority, limits: QueueLimits) {
        let tables = &mut self.tables;
        let (mut count, mut bytes) = (tables.outputs.len(slot), tables.outputs.queued_bytes(slot));
        let mut lost = 0; // a retry is not: it is sent again
        let mut reliable = FxHashSet::default();
        tables.outputs.retain(slot, priority, &mut tables.messages, |messages, id| {
            if !is_over(count, bytes, limits) {
                return true;
            }
            count -= 1;
            bytes -= messages.frame(id).len() as u64;
            let description = messages.description(id);
            lost += u64::from(!description.is_retry());
            if description.label != 0 {
                reliable.insert(id);
            }
            false
        });
        if lost > 0 {
            self.totals.dropped += lost;
            tables.outputs.owe(slot, Owed::Direct { count: lost, reason: Reason::QueueOverflow });
        }
        self.retry_dropped(slot, &reliable);
    }
}

const fn is_over(count: usize, bytes: u64, limits: QueueLimits) -> bool {
    count > limits.messages || (bytes > limits.bytes && count > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::delivery::Publication;
    use crate::tables::batch::Batch;
    use crate::tables::{SessionId, Tables};

    const LIMITS: QueueLimits = QueueLimits { messages: 3, bytes: 10_000 };

    /// One blocked row in one session.
    struct Bench {
        delivery: Delivery,
        session: SessionId,
    }

    impl Bench {
        fn new() -> Self {
            let mut delivery = Delivery::new(&Config::default(), [7; 32]);
            delivery.tables.outputs.open(0);
            let session = delivery.tables.sessions.open("s", 0);
            delivery.tables.sessions.join(0, session);
            delivery.tables.outputs.block(0);
            Self { delivery, session }
        }

        fn publish(&mut self, priority: Priority, key: Option<&str>, payload: &[u8]) {
            let publication = Publication { key, ..Publication::plain(priority, payload) };
            self.delivery.publish(self.session, None, &publication).unwrap();
        }

        fn direct(&mut self, priority: Priority, payload: &[u8]) {
            self.delivery.send_direct(0, &Publication::plain(priority, payload)).unwrap();
        }

        /// What is queued, as the text of its payloads, and the gap's payload in front if one is owed.
        fn queued(&mut self) -> Vec<String> {
            if self.delivery.tables.outputs.is_behind(0) {
                self.delivery.feed(0, 50);
            }
            self.delivery.pay_gaps(0);
            let tables = &mut self.delivery.tables;
            let mut batch = Batch::default();
            tables.outputs.collect(0, &tables.messages, &mut batch);
            let payload = |frame: &[u8]| {
                let text = String::from_utf8_lossy(frame).into_owned();
                let at = text.find("\"payload\":").unwrap() + "\"payload\":".len();
                text[at..text.len() - 1].to_owned()
            };
            let out = batch.ids().map(|id| payload(tables.messages.frame(id))).collect();
            tables.outputs.clear(0, &mut tables.messages);
            tables.invariants();
            out
        }
    }

    #[test]
    fn within_the_limits_nothing_goes() {
        let mut bench = Bench::new();
        for n in [b"1", b"2", b"3"] {
            bench.publish(Priority::Low, Some("k"), n);
        }
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Within);
        assert_eq!(bench.queued(), ["1", "2", "3"]);
    }

    #[test]
    fn older_messages_of_a_key_go_first_and_the_newest_keeps_its_place() {
        let mut bench = Bench::new();
        bench.publish(Priority::Normal, Some("a"), b"1");
        bench.publish(Priority::Normal, None, b"2");
        bench.publish(Priority::Normal, Some("a"), b"3");
        bench.publish(Priority::Normal, Some("b"), b"4");
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Restored);
        assert_eq!((bench.delivery.totals.conflated, bench.delivery.totals.dropped), (1, 0));
        assert_eq!(bench.queued(), ["2", "3", "4"]);
    }

    #[test]
    fn a_row_that_conflation_leaves_nearly_full_falls_behind() {
        let limits = QueueLimits { messages: 8, ..LIMITS };
        let mut bench = Bench::new();
        for key in ["a", "b", "c", "d", "e", "f", "a", "b", "c"] {
            bench.publish(Priority::Normal, Some(key), b"1");
        }
        assert_eq!(bench.delivery.enforce_queue_limits(0, limits), Verdict::Restored);
        assert_eq!((bench.delivery.totals.conflated, bench.delivery.totals.catch_ups), (3, 0), "room for two is made");
        for key in ["g", "a", "b"] {
            bench.publish(Priority::Normal, Some(key), b"2");
        }
        assert_eq!(bench.delivery.enforce_queue_limits(0, limits), Verdict::Restored);
        assert_eq!((bench.delivery.totals.catch_ups, bench.delivery.tables.outputs.len(0)), (1, 0));
        bench.publish(Priority::Normal, Some("a"), b"3");
        assert_eq!(bench.delivery.tables.outputs.len(0), 0, "nothing more is pushed to it");
    }

    #[test]
    fn then_the_row_falls_behind_and_history_feeds_it_but_for_high() {
        let mut bench = Bench::new();
        bench.publish(Priority::Low, None, b"1");
        bench.publish(Priority::Normal, None, b"2");
        bench.publish(Priority::Low, None, b"3");
        bench.publish(Priority::High, None, b"4");
        bench.publish(Priority::Low, None, b"5");
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Restored);
        assert_eq!((bench.delivery.totals.catch_ups, bench.delivery.totals.dropped), (1, 0));
        assert_eq!(bench.delivery.tables.outputs.len(0), 1);
        bench.publish(Priority::Low, None, b"6");
        bench.publish(Priority::High, None, b"7");
        assert_eq!(bench.delivery.tables.outputs.len(0), 2);
        assert_eq!(bench.queued(), ["4", "7", "2", "1", "3", "5", "6"]);
    }

    #[test]
    fn high_alone_over_the_limit_is_a_consumer_too_slow() {
        let mut bench = Bench::new();
        for n in [b"1", b"2", b"3", b"4"] {
            bench.publish(Priority::High, None, n);
        }
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::TooSlow);
    }

    /// At the end of its replay, too: the cursor is kept until what it fed is written.
    #[test]
    fn what_is_high_and_from_history_makes_room_for_what_is_not() {
        let mut bench = Bench::new();
        for n in [b"1", b"2", b"3"] {
            bench.publish(Priority::High, None, n);
        }
        let Tables { outputs, messages, .. } = &mut bench.delivery.tables;
        outputs.resume_after(0, bench.session, 0, messages);
        bench.delivery.feed(0, LIMITS.messages);
        assert_eq!(bench.delivery.tables.outputs.len(0), 3);
        bench.direct(Priority::High, b"4");
        bench.publish(Priority::High, None, b"5");
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Restored);
        assert_eq!(bench.queued(), ["4", "1", "2", "3", "5"]);
    }

    #[test]
    fn bytes_are_a_limit_too_but_one_message_may_be_larger() {
        let mut bench = Bench::new();
        let large = vec![b'1'; 20_000];
        bench.publish(Priority::Normal, None, &large);
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Within);
        bench.publish(Priority::Normal, None, b"2");
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Restored);
        assert_eq!(bench.delivery.tables.outputs.len(0), 0);
        assert_eq!(bench.queued()[1], "2");
    }

    #[test]
    fn what_history_no_longer_has_is_declared_and_messages_without_a_sequence_go() {
        let mut bench = Bench::new();
        let kept = Config::default().history_messages as usize;
        for n in 0..kept + 10 {
            bench.publish(Priority::Normal, None, n.to_string().as_bytes());
            let _ = bench.delivery.enforce_queue_limits(0, LIMITS);
        }
        for _ in 0..5 {
            bench.direct(Priority::Low, b"\"direct\"");
        }
        assert_eq!(bench.delivery.enforce_queue_limits(0, LIMITS), Verdict::Restored);
        let queued = bench.queued();
        let gap = r#"{"sessionId":"s","from":1,"to":10,"reason":"history_evicted"}"#;
        assert_eq!(queued[..3], [r#"{"direct":2,"reason":"queue_overflow"}"#, gap, "10"]);
    }
}
