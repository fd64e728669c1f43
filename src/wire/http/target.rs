//! The target of a request, and the parts of a URI that fields hold too.

use std::borrow::Cow;

use memchr::memchr_iter;

use super::HttpError;

pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) host: Option<&'a str>,
}

/// The four forms of a target (RFC 9112 section 3.2).
pub(super) fn parse_target<'a>(method: &str, target: &'a str) -> Result<Target<'a>, HttpError> {
    if !target.is_ascii() {
        return Err(HttpError::Malformed("target is not ASCII"));
    }
    if target.starts_with('/') {
        return Ok(local_target(target, None));
    }
    match method {
        "CONNECT" => Ok(Target { path: target, query: None, host: None }),
        "OPTIONS" if target == "*" => Ok(Target { path: target, query: None, host: None }),
        _ => parse_absolute_target(target).ok_or(HttpError::Malformed("target")),
    }
}

/// `http://host[:port][/path][?query]`. Its host replaces that of `Host` (RFC 9112 section 3.2.2).
fn parse_absolute_target(target: &str) -> Option<Target<'_>> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (host, local) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (name, _) = split_host_port(host)?;
    (!name.is_empty()).then(|| local_target(local, Some(host)))
}

fn local_target<'a>(local: &'a str, host: Option<&'a str>) -> Target<'a> {
    let (path, query) = match local.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (local, None),
    };
    Target { path: if path.is_empty() { "/" } else { path }, query, host }
}

/// Splits `host[:port]` (RFC 3986 section 3.2, without user information) into the host, an IPv6 address with its
/// brackets, and the port. An empty port counts as none; the host may be empty. `None` when malformed.
pub fn split_host_port(value: &str) -> Option<(&str, Option<u16>)> {
    let name_bytes = if value.starts_with('[') { value.find(']')? + 1 } else { value.find(':').unwrap_or(value.len()) };
    let (name, port) = value.split_at(name_bytes);
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let is_valid = match name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| is_name_byte(byte) || byte == b':'),
        None => name.bytes().all(is_name_byte),
    };
    is_valid.then_some(name).zip(parse_port(port))
}

/// `""` and `":"` are no port, `":80"` is one. `None` when malformed; a sign is not a digit.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.strip_prefix(':')?;
    match digits {
        "" => Some(None),
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

/// Decodes `%XX` (RFC 3986 section 2.1), one segment of a path for instance; `+` stays. Borrows when there is nothing to
/// decode. `None` when a `%` is not followed by two hexadecimal digits, or the result is not UTF-8. The result may hold
/// any character, `/` and controls too.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !memchr_iter(b'%', bytes).all(is_escape) {
        return None;
    }
    percent_encoding::percent_decode(bytes).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_and_port_are_split() {
        assert_eq!(split_host_port("[::1]:80"), Some(("[::1]", Some(80))));
        assert_eq!(split_host_port("a:"), Some(("a", None)));
        assert_eq!(split_host_port("a:+80"), None);
        assert_eq!(split_host_port("a:80:90"), None);
    }

    #[test]
    fn a_bad_escape_is_not_decoded() {
        assert_eq!(percent_decode("a+b%2fc%00").as_deref(), Some("a+b/c\0"));
        assert!(matches!(percent_decode("plain"), Some(Cow::Borrowed("plain"))));
        for text in ["%", "%2", "%2g", "%%20", "%+1", "%ff", "%C3"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_decodes_back(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(percent_decode(&encoded), Some(Cow::Borrowed(text.as_str())));
        }

        #[test]
        fn any_text_is_safe_to_decode(text in "[%+0-9a-g\u{e9}&=]{0,20}") {
            let _ = (percent_decode(&text), split_host_port(&text));
        }
    }
}
