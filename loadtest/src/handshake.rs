//! The opening handshake of both sides (RFC 6455, section 4): text in, text out; no sockets.

use memchr::memmem;
use tungstenite::handshake::derive_accept_key;

/// The subprotocol of the envelope protocol.
pub const SUBPROTOCOL: &str = "hashi.v1";

/// The request of a client.
pub fn request(host: &str, path: &str, key: &str, subprotocol: Option<&str>) -> String {
    let protocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{protocol}\r\n"
    )
}

/// The answer of a server to a request with this head; `None` when the head holds no key.
pub fn response(head: &[u8]) -> Option<String> {
    let accept = derive_accept_key(header(head, "sec-websocket-key")?);
    let offered = header(head, "sec-websocket-protocol").unwrap_or_default();
    let known = memmem::find(offered, SUBPROTOCOL.as_bytes()).is_some();
    let protocol = if known { format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n") } else { String::new() };
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    ))
}

/// The length of the head at the start of `bytes`, its empty line included; `None` when it is not whole yet.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Checks a server's response head against the key that was sent and the subprotocol that was offered.
pub fn check_response(head: &[u8], key: &str, subprotocol: Option<&str>) -> Result<(), String> {
    if !head.starts_with(b"HTTP/1.1 101") {
        let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
        return Err(format!("the upgrade was answered with {:?}", String::from_utf8_lossy(line)));
    }
    if header(head, "sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("the accept key is wrong".into());
    }
    if header(head, "sec-websocket-protocol") != subprotocol.map(str::as_bytes) {
        return Err(format!("the subprotocol is not {subprotocol:?}"));
    }
    Ok(())
}

/// The value of the first header of this name.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let found = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        found.then(|| line[colon + 1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The key and its answer are the example of RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    #[test]
    fn the_two_sides_agree() {
        for subprotocol in [None, Some(SUBPROTOCOL)] {
            let request = request("127.0.0.1:3001", "/ws", KEY, subprotocol);
            assert_eq!(head_length(request.as_bytes()), Some(request.len()));
            let response = response(request.as_bytes()).unwrap();
            assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            check_response(response.as_bytes(), KEY, subprotocol).unwrap();
        }
    }

    #[test]
    fn wrong_answers_are_refused() {
        let refused = check_response(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", KEY, None).unwrap_err();
        assert!(refused.contains("503"));
        let other = response(request("h", "/", "b3RoZXI=", None).as_bytes()).unwrap();
        assert!(check_response(other.as_bytes(), KEY, None).is_err());
        let plain = response(request("h", "/", KEY, None).as_bytes()).unwrap();
        assert!(check_response(plain.as_bytes(), KEY, Some(SUBPROTOCOL)).is_err());
    }

    #[test]
    fn a_request_without_a_key_has_no_answer() {
        assert_eq!(response(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), None);
        assert_eq!(head_length(b"GET / HTTP/1.1\r\n"), None);
    }
}
