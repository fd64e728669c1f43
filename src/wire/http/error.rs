//! Why a request cannot be read.

use thiserror::Error;

/// Why a request cannot be read. The peer's fault, always: answer [`HttpError::status`] and close, since the end of the
/// request is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HttpError {
    /// 400: not HTTP, or HTTP that two readers could understand in two ways. Says what was wrong.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// 413: the body is longer than its limit, by its declared length or by what arrived.
    #[error("body too large")]
    BodyTooLarge,
    /// 414: the target is longer than [`TARGET_BYTES_MAX`](crate::config::limits::TARGET_BYTES_MAX).
    #[error("request target too long")]
    TargetTooLong,
    /// 417: an `Expect` other than `100-continue`.
    #[error("unknown expectation")]
    ExpectationFailed,
    /// 431: the head, one line of it or the number of fields is over its limit. Says which.
    #[error("{0}")]
    HeadTooLarge(&'static str),
    /// 505: neither HTTP/1.1 nor HTTP/1.0.
    #[error("HTTP version not supported")]
    UnsupportedVersion,
}

impl HttpError {
    /// What is wrong, for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Malformed(message) | Self::HeadTooLarge(message) => message,
            Self::BodyTooLarge => "The body is larger than the limit.",
            Self::TargetTooLong => "The request target is too long.",
            Self::ExpectationFailed => "This expectation is not known.",
            Self::UnsupportedVersion => "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
        }
    }

    /// The status to answer with (RFC 9110 section 15; 431 is RFC 6585 section 5).
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeadTooLarge(_) => 431,
            Self::UnsupportedVersion => 505,
        }
    }
}
