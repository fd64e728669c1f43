//! The WebSocket opening handshake (RFC 6455 section 4): a request's head in, its key and protocols or why not out.

use httparse::Header;
use thiserror::Error;

use super::http::{BodyLength, Head, lists};

/// A valid WebSocket opening handshake (RFC 6455 section 4.2.1).
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// `Sec-WebSocket-Key` as sent: 24 characters, the base64 of 16 bytes.
    pub key: &'a str,
    headers: &'a [Header<'a>],
}

impl<'a> Upgrade<'a> {
    /// The offered subprotocols, in the client's order of preference, over all lines. Members that are not UTF-8 are
    /// left out; a duplicate is given twice.
    pub fn protocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        lists(self.headers, "sec-websocket-protocol").filter_map(|protocol| str::from_utf8(protocol).ok())
    }
}

/// Why a request is not a valid opening handshake. The end of the request is known, so the connection may be kept once
/// its body was read; closing is simpler, and safe from a client that already sends frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UpgradeError {
    /// 426: no `Upgrade: websocket`, or no `Connection: upgrade`.
    #[error("WebSocket upgrade required")]
    UpgradeRequired,
    /// 426: `Sec-WebSocket-Version` is not 13 (RFC 6455 section 4.4).
    #[error("WebSocket version not supported")]
    Version,
    /// 400: the request cannot be a handshake. Says why.
    #[error("malformed WebSocket handshake: {0}")]
    Malformed(&'static str),
}

impl UpgradeError {
    /// The status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::UpgradeRequired | Self::Version => 426,
            Self::Malformed(_) => 400,
        }
    }

    /// What is wrong, for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::UpgradeRequired => "This path speaks WebSocket: upgrade.",
            Self::Version => "Only version 13 of WebSocket is spoken here.",
            Self::Malformed(message) => message,
        }
    }

    /// The fields that the answer must have: `Upgrade` on every 426 (RFC 9110 section 15.5.22), and the version.
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::UpgradeRequired => &[("Upgrade", "websocket"), ("Connection", "Upgrade")],
            Self::Version => &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")],
            Self::Malformed(_) => &[],
        }
    }
}

/// Whether the request asks for WebSocket: `Upgrade` lists `websocket`, with whatever method or version.
fn wants_upgrade(head: &Head<'_>) -> bool {
    head.has_token("upgrade", "websocket")
}

/// Checks the opening handshake (RFC 6455 section 4.2.1). `Origin`, the path and the token are for the caller;
/// extensions are not looked at, since none is offered. The bytes after the head are the first frame's.
///
/// # Errors
/// [`UpgradeError`]: the first rule that fails.
pub fn check_upgrade<'a>(head: &Head<'a>) -> Result<Upgrade<'a>, UpgradeError> {
    if !wants_upgrade(head) {
        return Err(UpgradeError::UpgradeRequired);
    }
    if head.minor_version == 0 {
        return Err(UpgradeError::Malformed("HTTP/1.0"));
    }
    if !head.has_token("connection", "upgrade") {
        return Err(UpgradeError::UpgradeRequired);
    }
    check_handshake_request(head)?;
    if head.single_header("sec-websocket-version") != Ok(Some("13")) {
        return Err(UpgradeError::Version);
    }
    let key = head.single_header("sec-websocket-key").ok().flatten().filter(|key| is_websocket_key(key));
    let key = key.ok_or(UpgradeError::Malformed("Sec-WebSocket-Key"))?;
    Ok(Upgrade { key, headers: head.headers })
}

/// A body would be read as frames.
fn check_handshake_request(head: &Head<'_>) -> Result<(), UpgradeError> {
    if head.method != "GET" {
        return Err(UpgradeError::Malformed("method is not GET"));
    }
    match head.body {
        BodyLength::None | BodyLength::Sized(0) => Ok(()),
        BodyLength::Sized(_) | BodyLength::Chunked => Err(UpgradeError::Malformed("body")),
    }
}

/// 16 bytes are 22 characters of base64 and two of padding. Unused bits of the last character may be set: the key is
/// only hashed as text.
fn is_websocket_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(is_base64))
}

#[cfg(test)]
mod tests {
    use super::super::http::{header_slots, parse_head};
    use super::*;

    const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    /// The key and the protocols, joined, of a handshake.
    fn upgrade(request: &str) -> Result<(String, String), UpgradeError> {
        let mut slots = header_slots();
        let head = parse_head(request.as_bytes(), &mut slots).expect(request).expect(request);
        let upgrade = check_upgrade(&head)?;
        Ok((upgrade.key.to_owned(), upgrade.protocols().collect::<Vec<_>>().join("|")))
    }

    fn upgrade_with(fields: &str) -> Result<(String, String), UpgradeError> {
        upgrade(&format!("GET /ws HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn a_handshake_gives_key_and_protocols() {
        let protocols = "Sec-WebSocket-Protocol: b , ,a\r\nsec-websocket-protocol: c,\r\n";
        let (key, protocols) = upgrade_with(&format!("{HANDSHAKE}{KEY}{protocols}")).unwrap();
        assert_eq!((key.as_str(), protocols.as_str()), ("dGhlIHNhbXBsZSBub25jZQ==", "b|a|c"));
        let lists = "UPGRADE: h2c, WebSocket\r\nConnection: x\r\nConnection: UPGRADE\r\nSec-WebSocket-Version: 13\r\n";
        let extensions = "Sec-WebSocket-Extensions: ;;=\r\nSec-WebSocket-Extensions: permessage-deflate; x=99\r\n";
        assert_eq!(upgrade_with(&format!("{lists}{KEY}{extensions}")).unwrap().1, "");
    }

    #[test]
    fn a_request_that_is_no_handshake_is_told_how() {
        let cases =
            ["", "Connection: Upgrade\r\n", "Upgrade: websocket\r\n", "Upgrade: h2c\r\nConnection: upgrade\r\n"];
        for fields in cases {
            assert_eq!(upgrade_with(&format!("{fields}{KEY}")), Err(UpgradeError::UpgradeRequired));
        }
        let error = UpgradeError::UpgradeRequired;
        assert_eq!((error.status(), error.headers()[0]), (426, ("Upgrade", "websocket")));
    }

    #[test]
    fn another_websocket_version_is_told_ours() {
        let connection = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
        for version in
            ["", "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 13, 8\r\n", "Sec-WebSocket-Version: 013\r\n"]
        {
            assert_eq!(upgrade_with(&format!("{connection}{KEY}{version}")), Err(UpgradeError::Version));
        }
        assert_eq!(upgrade_with(&format!("{HANDSHAKE}{KEY}Sec-WebSocket-Version: 13\r\n")), Err(UpgradeError::Version));
        assert_eq!(UpgradeError::Version.status(), 426);
        assert!(UpgradeError::Version.headers().contains(&("Sec-WebSocket-Version", "13")));
    }

    #[test]
    fn a_malformed_handshake_is_400() {
        let all = format!("{HANDSHAKE}{KEY}");
        let mut requests = vec![
            format!("GET /ws HTTP/1.0\r\n{all}\r\n"),
            format!("POST /ws HTTP/1.1\r\nHost: a\r\n{all}\r\n"),
            format!("GET /ws HTTP/1.1\r\nHost: a\r\n{all}Content-Length: 1\r\n\r\n"),
            format!("GET /ws HTTP/1.1\r\nHost: a\r\n{all}Transfer-Encoding: chunked\r\n\r\n"),
            format!("GET /ws HTTP/1.1\r\nHost: a\r\n{all}{KEY}\r\n"),
            format!("GET /ws HTTP/1.1\r\nHost: a\r\n{HANDSHAKE}\r\n"),
        ];
        let keys = [
            "",
            "a",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25j*Q==",
            "dGhlIHNhbXBsZSBub25jZQA=",
        ];
        requests.extend(
            keys.map(|key| format!("GET /ws HTTP/1.1\r\nHost: a\r\n{HANDSHAKE}Sec-WebSocket-Key: {key}\r\n\r\n")),
        );
        for request in requests {
            assert_eq!(upgrade(&request).map_err(UpgradeError::status), Err(400), "{request}");
        }
    }
}
