//! The fields of a head: found by name, and those that frame the request given their meaning.

use httparse::Header;

use super::HttpError;
use super::target::split_host_port;

/// How the end of a request's body is found (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// Neither `Content-Length` nor `Transfer-Encoding`: no body.
    None,
    /// `Content-Length`, in bytes; may be 0. Only declared: never allocate from it.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Members of one comma-separated field value, trimmed, empty ones left out (RFC 9110 section 5.6.1). For lists of
/// tokens: a quoted comma is not understood.
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Whether `byte` may be in a token: a method, a field name, a subprotocol (RFC 9110 section 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether `byte` may be in a field value: no control but the tab (RFC 9110 section 5.5).
pub fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

pub(super) fn values<'a, 'n>(headers: &'a [Header<'a>], name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

pub fn lists<'a, 'n>(headers: &'a [Header<'a>], name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    values(headers, name).flat_map(list_members)
}

pub(super) fn at_most_one<'a>(headers: &'a [Header<'a>], name: &str) -> Result<Option<&'a [u8]>, HttpError> {
    let mut found = values(headers, name);
    let first = found.next();
    if found.next().is_some() { Err(HttpError::Malformed("field sent twice")) } else { Ok(first) }
}

/// RFC 9112 section 3.2: exactly one `Host` on HTTP/1.1, at most one on HTTP/1.0, and a valid one.
pub(super) fn parse_host<'a>(headers: &'a [Header<'a>], minor_version: u8) -> Result<Option<&'a str>, HttpError> {
    let Some(value) = at_most_one(headers, "host")? else {
        return if minor_version == 0 { Ok(None) } else { Err(HttpError::Malformed("no Host")) };
    };
    let host = str::from_utf8(value).ok().filter(|host| split_host_port(host).is_some());
    host.map(Some).ok_or(HttpError::Malformed("Host"))
}

/// RFC 9112 section 6, at its strictest: whatever two readers could frame differently is refused, which is what request
/// smuggling lives on.
pub(super) fn parse_body_length(headers: &[Header<'_>], minor_version: u8) -> Result<BodyLength, HttpError> {
    let coding = at_most_one(headers, "transfer-encoding")?;
    let length = at_most_one(headers, "content-length")?;
    match (coding, length) {
        (None, None) => Ok(BodyLength::None),
        (None, Some(length)) => parse_content_length(length).map(BodyLength::Sized),
        (Some(_), Some(_)) => Err(HttpError::Malformed("Content-Length with Transfer-Encoding")),
        (Some(_), None) if minor_version == 0 => Err(HttpError::Malformed("Transfer-Encoding on HTTP/1.0")),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(BodyLength::Chunked),
        (Some(_), None) => Err(HttpError::Malformed("Transfer-Encoding")),
    }
}

fn parse_content_length(value: &[u8]) -> Result<u64, HttpError> {
    let digits = str::from_utf8(value).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    // Digits alone can only be empty or overflow, and both are errors of `parse`.
    digits.and_then(|digits| digits.parse().ok()).ok_or(HttpError::Malformed("Content-Length"))
}

pub(super) fn parse_keep_alive(headers: &[Header<'_>], minor_version: u8) -> bool {
    let asked = |token: &[u8]| lists(headers, "connection").any(|member| member.eq_ignore_ascii_case(token));
    !asked(b"close") && (minor_version >= 1 || asked(b"keep-alive"))
}

pub(super) fn parse_expect(headers: &[Header<'_>]) -> Result<bool, HttpError> {
    let mut expects = false;
    for expectation in lists(headers, "expect") {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(HttpError::ExpectationFailed);
        }
        expects = true;
    }
    Ok(expects)
}
