//! `GET /ws-api/poll`: what history holds after a cursor, at once or when the next message comes.
//!
//! A poll has no row between two requests and is a member of nothing. What it reads it may read again: only the cursor that
//! it comes with moves it on.

use super::listen::{Listener, listener};
use super::{Reply, Response, Services, access};
use crate::delivery::{Delivery, Polled};
use crate::message::encode::write_json_string;
use crate::message::names::is_session_name;
use crate::message::{ErrorCode, ProtocolError};
use crate::tables::connections::key_of;
use crate::tables::polls::{Poll, Stand};
use crate::wire::cursor::{Place, write_cursor};
use crate::wire::http::Head;

/// Answers a poll, or says what it waits for.
///
/// # Errors
/// Those of a listener; `draining`; `overloaded` when no session can be made.
pub fn poll(services: &mut Services<'_>, head: &Head<'_>) -> Result<Reply, ProtocolError> {
    if services.draining {
        return Err(ErrorCode::Draining.into());
    }
    let listener = listener(services, head)?;
    let (stands, recovered) = stands(services, &listener)?;
    let hidden_from = listener.connection_id.map_or(0, key_of);
    let polled = services.delivery.read_after(&stands, hidden_from);
    let has_news = !recovered || polled.has_news();
    let waits = listener.claims.is_some() && !has_news && head.method != "HEAD";
    if !waits {
        return Ok(Reply::Now(answer(services.delivery, &polled, recovered)));
    }
    let sessions = &services.delivery.tables.sessions;
    let names = polled.stands.iter().map(|stand| sessions.name(stand.session).into()).collect();
    let asker = access::asker(services, head)?;
    Ok(Reply::Poll(Poll { stands: polled.stands, names, hidden_from, asker }))
}

/// The answer to a poll that goes on from all that it claimed, or not.
pub fn answer(delivery: &mut Delivery, polled: &Polled, recovered: bool) -> Response {
    delivery.totals.polls += 1;
    delivery.totals.polled += polled.messages.len() as u64;
    let mut cursor = Vec::new();
    let sessions = &delivery.tables.sessions;
    write_cursor(
        &mut cursor,
        polled.stands.iter().map(|&Stand { session, seq }| Place {
            name: sessions.user_of(session).is_none().then(|| sessions.name(session)),
            epoch: sessions.epoch(session),
            seq,
        }),
    );
    let mut body = b"{\"messages\":".to_vec();
    delivery.write_messages(&mut body, &polled.messages);
    body.extend_from_slice(b",\"cursor\":");
    write_json_string(&mut body, &String::from_utf8_lossy(&cursor));
    let recovered = recovered && !polled.has_expired;
    body.extend_from_slice(if recovered { b",\"recovered\":true}" } else { b",\"recovered\":false}" });
    Response::json(200, body)
}

/// Where the poll stands in each of its sessions, and whether it goes on from all that it has claimed: its session, the
/// personal one, and those of its cursor that it may be in.
fn stands(services: &mut Services<'_>, listener: &Listener) -> Result<(Vec<Stand>, bool), ProtocolError> {
    let names = names(services, listener)?;
    let claims = listener.claims.as_deref().unwrap_or_default();
    let mut recovered = claims.iter().all(|(claimed, _)| names.contains(claimed));
    let now_ms = services.delivery.now.ms();
    let delivery = &mut *services.delivery;
    let mut stands = Vec::with_capacity(names.len());
    for name in names {
        let session = delivery.open_session(&name)?;
        delivery.tables.sessions.touch(session, now_ms);
        let claim = claims.iter().find(|(claimed, _)| *claimed == name);
        let resumed = claim.map(|(_, claim)| delivery.check_claim(session, claim));
        recovered &= resumed.is_none_or(|resumed| resumed.loss.is_none());
        let seq = resumed.map_or(delivery.tables.sessions.head(session), |resumed| resumed.seq);
        stands.push(Stand { session, seq });
    }
    // A session that was made may have taken the place of another one.
    let asked = stands.len();
    stands.retain(|stand| delivery.tables.sessions.is_alive(stand.session));
    recovered &= stands.len() == asked;
    Ok((stands, recovered))
}

fn names(services: &Services<'_>, listener: &Listener) -> Result<Vec<String>, ProtocolError> {
    let may_join = |name: &str| services.policy.may_join(listener.principal(), name);
    let personal = listener.personal();
    let mut names: Vec<String> = listener.session_id.iter().cloned().collect();
    if !names.iter().all(|name| may_join(name)) {
        return Err(ErrorCode::SessionForbidden.into());
    }
    if listener.ticket.is_none() {
        for (name, _) in listener.claims.as_deref().unwrap_or_default() {
            let is_open = is_session_name(name) && may_join(name);
            if is_open && !names.contains(name) && names.len() < services.config.sessions_per_connection as usize {
                names.push(name.clone());
            }
        }
    }
    names.push(personal);
    Ok(names)
}
