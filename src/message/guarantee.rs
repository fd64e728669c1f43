//! What a sender asks the server to do for its message: to answer, to retry, to report.

/// What a sender wants to be told of its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// Nothing.
    #[default]
    Nothing,
    /// That it was published.
    Published,
    /// That it was published, and later how its receivers confirmed it.
    Delivered,
}

/// How far the server goes for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// It is sent once to each receiver.
    #[default]
    Once,
    /// It is held and sent again to each receiver that confirms, until that does.
    Retried,
    /// The same, and the outcome is counted.
    Reported,
}

impl Guarantee {
    /// Of a message with these members.
    pub const fn of(ack: Ack, reliable: bool) -> Self {
        match (ack, reliable) {
            (Ack::Delivered, _) => Self::Reported,
            (_, true) => Self::Retried,
            (_, false) => Self::Once,
        }
    }
}
