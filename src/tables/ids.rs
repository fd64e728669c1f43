//! Ids of rows. A slot is reused; its generation tells the old owner from the new one.

/// A connection's row. A stale id finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl ConnId {
    /// The row's index in every column.
    pub const fn slot(self) -> u32 {
        self.slot
    }
}

/// A session's row. A stale id finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl SessionId {
    /// The row's index.
    pub const fn slot(self) -> u32 {
        self.slot
    }
}

/// A stored message. It lives as long as something refers to it, so it needs no generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) u32);

impl MessageId {
    /// The value that stands for no message in packed columns.
    pub(super) const NONE: u32 = u32::MAX;
}

/// An outcome's row. A stale id finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}
