//! The lines of a head: their ends, their lengths, and what is wrong where they are no HTTP.

use memchr::{memchr, memchr_iter};

use super::HttpError;
use crate::config::limits::{BLANK_LINES_MAX, LINE_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};

pub(super) fn skip_blank_lines(bytes: &[u8]) -> Result<usize, HttpError> {
    let mut at = 0;
    while bytes[at..].starts_with(b"\r\n") {
        at += 2;
        if at > 2 * BLANK_LINES_MAX {
            return Err(HttpError::Malformed("blank lines"));
        }
    }
    Ok(at)
}

/// Checks the lines of a head, the last of which may be incomplete: their lengths, and that each ends in CRLF (RFC 9112
/// section 2.2 allows a bare LF, but readers that differ about line ends can be made to see different requests).
pub(super) fn check_lines(head: &[u8]) -> Result<(), HttpError> {
    let mut start = 0;
    for end in memchr_iter(b'\n', head) {
        let line = head[start..end].strip_suffix(b"\r").ok_or(HttpError::Malformed("bare LF"))?;
        check_line(line, start == 0)?;
        start = end + 1;
    }
    let unfinished = &head[start..];
    check_line(unfinished.strip_suffix(b"\r").unwrap_or(unfinished), start == 0)
}

fn check_line(line: &[u8], is_request_line: bool) -> Result<(), HttpError> {
    if is_request_line {
        return check_request_line(line);
    }
    if line.len() > LINE_BYTES_MAX {
        Err(HttpError::HeadTooLarge("A line of the head is longer than the limit."))
    } else {
        Ok(())
    }
}

fn check_request_line(line: &[u8]) -> Result<(), HttpError> {
    let mut parts = line.split(|&byte| byte == b' ');
    if parts.next().is_some_and(|method| method.len() > METHOD_BYTES_MAX) {
        return Err(HttpError::Malformed("method"));
    }
    match parts.next() {
        Some(target) if target.len() > TARGET_BYTES_MAX => Err(HttpError::TargetTooLong),
        _ => Ok(()),
    }
}

pub(super) fn explain(error: httparse::Error, rest: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::HeadTooLarge("The head has more fields than the limit."),
        httparse::Error::Version if names_a_version(rest) => HttpError::UnsupportedVersion,
        httparse::Error::Version => HttpError::Malformed("version"),
        httparse::Error::Token if is_version_0_9(rest) => HttpError::UnsupportedVersion,
        httparse::Error::Token | httparse::Error::Status => HttpError::Malformed("request line"),
        httparse::Error::NewLine => HttpError::Malformed("line end"),
        httparse::Error::HeaderName => HttpError::Malformed("field name"),
        httparse::Error::HeaderValue => HttpError::Malformed("field value"),
    }
}

/// `<method> <target> HTTP/<digit>`: a version, if not one of ours.
fn names_a_version(rest: &[u8]) -> bool {
    let version = rest.splitn(3, |&byte| byte == b' ').nth(2).and_then(|rest| rest.strip_prefix(b"HTTP/"));
    version.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// `GET <target> CR LF`: the whole request of HTTP/0.9. The LF may not have arrived.
fn is_version_0_9(rest: &[u8]) -> bool {
    let Some(target) = rest.strip_prefix(b"GET ") else { return false };
    let Some(end) = memchr(b'\r', target) else { return false };
    let is_target = end > 0 && target[..end].iter().all(u8::is_ascii_graphic);
    is_target && target.get(end + 1).is_none_or(|&next| next == b'\n')
}
