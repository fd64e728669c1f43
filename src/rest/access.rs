//! Who may ask: hosts, origins and tokens.

use std::borrow::Cow;

use super::Services;
use crate::auth::{Identity, Policy};
use crate::config::{Config, is_loopback_host};
use crate::message::{ErrorCode, ProtocolError};
use crate::tables::waits::Asker;
use crate::wire::http::{Head, HttpError, split_host_port};
use crate::wire::query::{Query, QueryError};

/// In development mode the `Host` must be loopback: a page elsewhere that resolves its own name to this machine (DNS
/// rebinding) sends its own name.
///
/// # Errors
/// `forbidden`.
pub fn check_host(config: &Config, development: bool, head: &Head<'_>) -> Result<(), ProtocolError> {
    if !development || config.insecure_development {
        return Ok(());
    }
    match head.host.map(split_host_port) {
        None => Ok(()), // HTTP/1.0 without a host: no browser sends that
        Some(Some((host, _))) if is_loopback_host(host) => Ok(()),
        Some(_) => {
            Err(ProtocolError::with_message(ErrorCode::Forbidden, "In development mode the Host must be loopback."))
        }
    }
}

/// Whether the page that asks may ask; the origin to allow in the answer, if there is one.
///
/// # Errors
/// `forbidden` for a foreign origin, `bad_message` for an unreadable one.
pub fn check_origin<'a>(config: &Config, development: bool, head: &Head<'a>) -> Result<Option<&'a str>, ProtocolError> {
    let Some(origin) = single(head, "Origin")? else {
        return Ok(None); // not a browser
    };
    let host = origin.split_once("://").map(|(_, rest)| rest);
    let is_loopback = host.and_then(split_host_port).is_some_and(|(name, _)| is_loopback_host(name));
    let is_same = host.is_some() && host == head.host;
    let is_listed = config.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin));
    if (development && is_loopback) || is_same || is_listed {
        return Ok(Some(origin));
    }
    Err(ProtocolError::with_message(ErrorCode::Forbidden, "This origin is not allowed."))
}

/// Who is to be answered later.
///
/// # Errors
/// As [`check_origin`].
pub fn asker(services: &Services<'_>, head: &Head<'_>) -> Result<Asker, ProtocolError> {
    let origin = check_origin(services.config, services.policy.is_development(), head)?;
    Ok(Asker { keep_alive: head.keep_alive, origin: origin.map(Box::from) })
}

/// Whom the request's bearer token stands for.
///
/// # Errors
/// `authentication_required` without a token, `invalid_token`.
pub fn authenticate(policy: &dyn Policy, head: &Head<'_>) -> Result<Identity, ProtocolError> {
    let header = single(head, "Authorization")?.ok_or(ErrorCode::AuthenticationRequired)?;
    let token = header
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(ErrorCode::AuthenticationRequired)?;
    policy.authenticate(token)
}

/// Whether the request shows a token, good or bad.
pub fn has_token(head: &Head<'_>) -> bool {
    head.header("Authorization").is_some()
}

/// The decoded value of a member of the query, if it is there.
///
/// # Errors
/// `bad_message` if it came twice, or is badly escaped.
pub fn member<'a>(query: Option<&'a str>, name: &'static str) -> Result<Option<Cow<'a, str>>, ProtocolError> {
    Query::new(query).get(name).map_err(|error| {
        let message = match error {
            QueryError::Repeated => "This member of the query came twice.",
            QueryError::Malformed => "This member of the query is not percent-encoded UTF-8.",
        };
        ProtocolError::bad_field(name, message)
    })
}

/// The one value of a header, if it is there.
///
/// # Errors
/// `bad_message` if it came twice, or is no text.
pub fn single<'a>(head: &Head<'a>, name: &str) -> Result<Option<&'a str>, ProtocolError> {
    head.single_header(name).map_err(|_: HttpError| {
        ProtocolError::with_message(ErrorCode::BadMessage, "A header came twice or is not readable.")
    })
}
