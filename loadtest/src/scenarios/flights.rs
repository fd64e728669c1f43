//! Messages under way: published, and not yet arrived at all their receivers.

use std::collections::VecDeque;

/// The messages of one publisher that are under way: `open[i]` is how many receivers message `base + i` still waits for.
#[derive(Debug, Clone, Default)]
struct Publisher {
    base: u64,
    open: VecDeque<u32>,
}

/// All messages under way. A number that a lane passed over counts as arrived: whether it was lost is not asked here
/// but in `check`; this table only paces.
#[derive(Debug)]
pub struct Flights {
    receivers: u32,
    publishers: Vec<Publisher>,
    /// Per lane: the numbers below have arrived or were passed over.
    passed: Vec<u64>,
    under_way: usize,
}

impl Flights {
    /// Each message has so many `receivers`, one lane each.
    pub fn new(receivers: usize, publishers: usize, lanes: usize) -> Self {
        let receivers = u32::try_from(receivers).expect("ok because there are far fewer connections");
        assert!(receivers > 0, "a message needs a receiver");
        Self { receivers, publishers: vec![Publisher::default(); publishers], passed: vec![0; lanes], under_way: 0 }
    }

    /// How many messages are under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many messages of a publisher are under way. They complete in order: a lane passes all that is before.
    pub fn under_way_of(&self, publisher: usize) -> usize {
        self.publishers[publisher].open.len()
    }

    /// How many messages a publisher has sent: the number of its next.
    pub fn sent(&self, publisher: usize) -> u64 {
        let publisher = &self.publishers[publisher];
        publisher.base + publisher.open.len() as u64
    }

    /// A publisher sends its next message; returns its number.
    pub fn launch(&mut self, publisher: usize) -> u64 {
        let number = self.sent(publisher);
        self.publishers[publisher].open.push_back(self.receivers);
        self.under_way += 1;
        number
    }

    /// A lane passed all numbers below `end`; returns how many messages are complete by that.
    pub fn pass(&mut self, lane: usize, publisher: usize, end: u64) -> usize {
        let sender = &mut self.publishers[publisher];
        // A number that was never sent is for the check to find.
        let end = end.min(sender.base + sender.open.len() as u64);
        let start = self.passed[lane];
        if end <= start {
            return 0;
        }
        self.passed[lane] = end;
        let mut completed = 0;
        for number in start..end {
            let open = &mut sender.open[(number - sender.base) as usize];
            *open -= 1;
            completed += usize::from(*open == 0);
        }
        while sender.open.front() == Some(&0) {
            sender.open.pop_front();
            sender.base += 1;
        }
        self.under_way -= completed;
        completed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_when_all_lanes_passed_it() {
        let mut flights = Flights::new(2, 1, 2);
        assert_eq!((flights.launch(0), flights.launch(0), flights.under_way()), (0, 1, 2));
        assert_eq!(flights.pass(0, 0, 1), 0);
        assert_eq!(flights.pass(0, 0, 1), 0);
        // The second lane skips the first number, which counts as passed.
        assert_eq!(flights.pass(1, 0, 2), 1);
        assert_eq!((flights.under_way(), flights.under_way_of(0), flights.sent(0)), (1, 1, 2));
        assert_eq!(flights.pass(0, 0, 2), 1);
        assert_eq!((flights.under_way(), flights.sent(0), flights.launch(0)), (0, 2, 2));
    }

    #[test]
    fn what_was_never_sent_completes_nothing() {
        let mut flights = Flights::new(1, 2, 2);
        assert_eq!(flights.pass(0, 0, 1_000_000), 0);
        assert_eq!(flights.launch(1), 0);
        assert_eq!(flights.pass(1, 1, u64::MAX), 1);
    }
}
