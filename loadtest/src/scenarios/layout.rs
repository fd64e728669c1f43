//! Who publishes and who receives in a traffic scenario.

use super::Identity;

/// Sessions of equal size. Connections are numbered session by session; in each the first `publishers` members publish.
/// Publishers are numbered the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub sessions: usize,
    pub members: usize,
    pub publishers: usize,
    /// Whether publishers get their own messages.
    pub echo: bool,
}

impl Layout {
    /// `count` connections, each alone in its session.
    pub fn alone(count: usize) -> Self {
        Self { sessions: count, members: 1, publishers: 1, echo: true }
    }

    /// One session of one publisher, which gets nothing itself, and `receivers`.
    pub fn fanout(receivers: usize) -> Self {
        Self { sessions: 1, members: receivers + 1, publishers: 1, echo: false }
    }

    /// `sessions` in which each of the `members` publishes.
    pub fn rooms(sessions: usize, members: usize) -> Self {
        Self { sessions, members, publishers: members, echo: true }
    }

    pub fn connections(&self) -> usize {
        self.sessions * self.members
    }

    pub fn publisher_count(&self) -> usize {
        self.sessions * self.publishers
    }

    /// Pairs of a connection and a publisher of its session.
    pub fn lane_count(&self) -> usize {
        self.connections() * self.publishers
    }

    /// How many receive each message.
    pub fn receivers(&self) -> usize {
        self.members - usize::from(!self.echo)
    }

    pub fn identity(&self, conn: usize) -> Identity {
        let publishes = conn % self.members < self.publishers;
        Identity { echo: self.echo || !publishes, ..Identity::user((conn / self.members) as u32) }
    }

    /// The connection of a publisher.
    pub fn connection_of(&self, publisher: usize) -> usize {
        publisher / self.publishers * self.members + publisher % self.publishers
    }

    /// The lane from a publisher to a connection; `None` when the one's messages must not reach the other.
    pub fn lane(&self, conn: usize, publisher: usize) -> Option<usize> {
        let addressed = conn / self.members == publisher / self.publishers;
        let excluded = !self.echo && self.connection_of(publisher) == conn;
        (addressed && !excluded).then(|| conn * self.publishers + publisher % self.publishers)
    }

    /// All lanes that end at a connection, with their publishers.
    pub fn lanes_to(self, conn: usize) -> impl Iterator<Item = (usize, usize)> {
        let first = conn / self.members * self.publishers;
        (first..first + self.publishers).filter_map(move |publisher| Some((self.lane(conn, publisher)?, publisher)))
    }

    /// The lane that ends at a connection whose session has a single publisher.
    pub fn only_lane_to(&self, conn: usize) -> Option<usize> {
        if self.publishers == 1 { self.lane(conn, conn / self.members) } else { None }
    }

    /// The publishers in the order in which messages in all are spread: over the sessions first, then their members.
    pub fn round_robin(&self, count: u64) -> usize {
        let count = (count % self.publisher_count() as u64) as usize;
        count % self.sessions * self.publishers + count / self.sessions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lanes_are_distinct_and_as_many_as_receivers() {
        for layout in [Layout::alone(4), Layout::fanout(5), Layout::rooms(3, 4)] {
            let mut lanes = BTreeSet::new();
            for publisher in 0..layout.publisher_count() {
                let of_it: Vec<usize> =
                    (0..layout.connections()).filter_map(|conn| layout.lane(conn, publisher)).collect();
                assert_eq!(of_it.len(), layout.receivers());
                lanes.extend(of_it);
            }
            assert_eq!(lanes.len(), layout.publisher_count() * layout.receivers());
            assert!(lanes.iter().all(|&lane| lane < layout.lane_count()));
            let listed: BTreeSet<usize> =
                (0..layout.connections()).flat_map(|conn| layout.lanes_to(conn)).map(|found| found.0).collect();
            assert_eq!(listed, lanes);
        }
    }

    #[test]
    fn only_a_publisher_may_be_excluded() {
        let layout = Layout::fanout(2);
        assert!(!layout.identity(0).echo && layout.identity(1).echo);
        assert_eq!((layout.lane(0, 0), layout.lane(1, 0)), (None, Some(1)));
        assert_eq!((layout.only_lane_to(0), layout.only_lane_to(2)), (None, Some(2)));
        assert_eq!((Layout::alone(3).only_lane_to(2), Layout::rooms(3, 2).only_lane_to(2)), (Some(2), None));
    }

    #[test]
    fn round_robin_visits_each_publisher_once() {
        let layout = Layout::rooms(3, 2);
        let order: Vec<usize> = (0..6).map(|count| layout.round_robin(count)).collect();
        assert_eq!(order, [0, 2, 4, 1, 3, 5]);
        assert_eq!(layout.round_robin(6), 0);
        assert_eq!((layout.connection_of(3), layout.identity(3).session), (3, 1));
    }
}
