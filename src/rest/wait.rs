//! `?wait=delivered`: a publishing whose answer says how the receivers have confirmed it.

use super::{Reply, Response, Services, access};
use crate::config::limits::{HTTP_SOCKETS, HTTP_SOCKETS_AT_ONCE, OUTCOME_WAIT_MAX_MS, OUTCOME_WAIT_MS};
use crate::delivery::{Delivery, Published};
use crate::message::{ErrorCode, ProtocolError};
use crate::tables::Counts;
use crate::tables::waits::{Asker, Wait};
use crate::wire::http::Head;

/// A request that waits for confirmations.
pub struct Patience {
    /// How long at most, in milliseconds.
    timeout_ms: u64,
    /// Who is answered then.
    asker: Asker,
}

const BAD_WAIT: ProtocolError = ProtocolError::bad_field("wait", "wait must be delivered.");
// What the text says.
const _: () = assert!(OUTCOME_WAIT_MAX_MS == 25_000);
const BAD_TIMEOUT: ProtocolError = ProtocolError::bad_field("timeoutMs", "timeoutMs must be a number from 0 to 25000.");
const ONLY_WITH_WAIT: ProtocolError = ProtocolError::bad_field("timeoutMs", "timeoutMs has a meaning only with wait.");

/// Whether a request waits, by `wait` and `timeoutMs` of its query. It is published after that.
///
/// # Errors
/// `bad_message` that names the parameter; `overloaded` where there is no room for one that waits.
pub fn patience(services: &Services<'_>, head: &Head<'_>) -> Result<Option<Patience>, ProtocolError> {
    let Some(timeout_ms) = parse_timeout(head.query)? else {
        return Ok(None);
    };
    let tables = &services.delivery.tables;
    let staying_max = services.config.max_connections + HTTP_SOCKETS - HTTP_SOCKETS_AT_ONCE;
    if tables.connections.counted() + tables.waits.len() >= staying_max as usize {
        return Err(ErrorCode::Overloaded.into());
    }
    Ok(Some(Patience { timeout_ms, asker: access::asker(services, head)? }))
}

fn parse_timeout(query: Option<&str>) -> Result<Option<u64>, ProtocolError> {
    let wait = access::member(query, "wait")?;
    let timeout = access::member(query, "timeoutMs")?;
    match (wait.as_deref(), timeout) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(ONLY_WITH_WAIT),
        (Some("delivered"), None) => Ok(Some(OUTCOME_WAIT_MS)),
        (Some("delivered"), Some(text)) => {
            let timeout_ms = text.parse().ok().filter(|&ms| ms <= OUTCOME_WAIT_MAX_MS);
            timeout_ms.map(Some).ok_or(BAD_TIMEOUT)
        }
        (Some(_), _) => Err(BAD_WAIT),
    }
}

/// Answers a publishing at once where its outcome is settled or nobody counts it; else the answer waits.
pub fn answer_outcome(
    delivery: &mut Delivery,
    id: &str,
    published: Published,
    known: Option<Counts>,
    patience: &Patience,
) -> Reply {
    let outcomes = &mut delivery.tables.in_flight.outcomes;
    let counted = published.outcome.and_then(|outcome| Some((outcome, outcomes.counts(outcome)?)));
    match counted {
        Some((outcome, counts)) if !counts.are_settled() => {
            let Patience { timeout_ms, asker } = patience;
            let (timeout_ms, asker) = (*timeout_ms, asker.clone());
            Reply::Wait(Wait { outcome, timeout_ms, id: id.into(), seq: published.seq, asker })
        }
        Some((outcome, counts)) => {
            outcomes.abandon(outcome);
            Reply::Now(counts_response(id, published.seq, counts))
        }
        None => {
            let unknown = Counts { matched: published.matched, unconfirmable: published.matched, ..Counts::default() };
            Reply::Now(counts_response(id, published.seq, known.unwrap_or(unknown)))
        }
    }
}

/// The counts: all there is to say, or what is known so far.
pub fn counts_response(id: &str, seq: Option<u64>, counts: Counts) -> Response {
    let mut body = Vec::with_capacity(128);
    counts.write(&mut body, id, Some(seq));
    Response::json(if counts.are_settled() { 200 } else { 202 }, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_wrong_ones_name_the_parameter() {
        let field = |query| parse_timeout(Some(query)).unwrap_err().field;
        assert_eq!(parse_timeout(None), Ok(None));
        assert_eq!(parse_timeout(Some("x=1&y")), Ok(None));
        assert_eq!(parse_timeout(Some("wait=delivered")), Ok(Some(OUTCOME_WAIT_MS)));
        assert_eq!(parse_timeout(Some("timeoutMs=0&wait=delivered")), Ok(Some(0)));
        assert_eq!(parse_timeout(Some("wait=delivered&timeoutMs=25000")), Ok(Some(25_000)));
        for query in ["wait=delivered&timeoutMs=25001", "wait=delivered&timeoutMs=-1", "timeoutMs=5"] {
            assert_eq!(field(query), Some("timeoutMs"), "{query}");
        }
        assert_eq!(parse_timeout(Some("w%61it=delivered&timeoutMs=%35")), Ok(Some(5)));
        assert_eq!(field("wait"), Some("wait"));
        assert_eq!(field("wait=delivered&wait=x"), Some("wait"));
        assert_eq!(field("wait=delivered&timeoutMs=5&timeoutMs=5"), Some("timeoutMs"));
        assert_eq!(field("wait=published"), Some("wait"));
    }
}
