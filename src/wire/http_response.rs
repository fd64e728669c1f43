//! HTTP/1.1 answers, appended to the caller's bytes.
//!
//! Every answer but an interim one names its length, so the connection can be used again. `Date` is not written, since
//! there is no clock here; RFC 9110 section 6.6.1 asks a server that has one to send it, so the caller passes it among
//! the fields.

use std::io::Write;

use super::http::{is_field_byte, is_token_byte};

/// The words after a status. Only for people reading; `""` for a status that this server never sends.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// Appends one whole answer. `Connection: keep-alive` is written too, since HTTP/1.0 clients wait for it; so a further
/// `Connection` among `headers` (on a 426) makes a second line, which is one list with the first (RFC 9110 section 5.3).
/// With `head_only`, the answer to HEAD, the length is the body's but the body stays away; a 204 has neither (RFC 9110
/// section 8.6). `Content-Length` is not for `headers`.
///
/// Values may hold what a peer sent: a control character in one becomes a space, so it cannot end the line.
///
/// # Panics
/// When the name of a field is not a token: names are ours.
pub fn write_response(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, &str)],
    content_type: Option<&str>,
    body: &[u8],
    keep_alive: bool,
    head_only: bool,
) {
    push_status_line(out, status);
    push_header(out, "Connection", if keep_alive { "keep-alive" } else { "close" });
    for (name, value) in headers {
        push_header(out, name, value);
    }
    if let Some(content_type) = content_type {
        push_header(out, "Content-Type", content_type);
    }
    push_body(out, if status == 204 { None } else { Some(body) }, head_only);
}

/// Appends the head of an answer whose body reaches to the end of the connection (RFC 9112 section 6.3).
///
/// # Panics
/// When the name of a field is not a token: names are ours.
pub fn write_stream_head(out: &mut Vec<u8>, headers: &[(&str, String)], content_type: &str) {
    push_status_line(out, 200);
    push_header(out, "Connection", "close");
    for (name, value) in headers {
        push_header(out, name, value);
    }
    push_header(out, "Content-Type", content_type);
    push_body(out, None, false);
}

/// Appends the answer that makes the connection a WebSocket (RFC 6455 section 4.2.2). `accept_key` is derived from the
/// client's key; `protocol` is the one chosen of those it offered, `None` for none.
pub fn write_switching_protocols(out: &mut Vec<u8>, accept_key: &str, protocol: Option<&str>) {
    push_status_line(out, 101);
    push_header(out, "Upgrade", "websocket");
    push_header(out, "Connection", "Upgrade");
    push_header(out, "Sec-WebSocket-Accept", accept_key);
    if let Some(protocol) = protocol {
        push_header(out, "Sec-WebSocket-Protocol", protocol);
    }
    push_body(out, None, false);
}

/// Appends the interim answer that makes the client send its body (RFC 9110 section 15.2.1). The final one follows it.
pub fn write_continue(out: &mut Vec<u8>) {
    push_status_line(out, 100);
    push_body(out, None, false);
}

fn push_status_line(out: &mut Vec<u8>, status: u16) {
    // ok because writing to a Vec never fails
    write!(out, "HTTP/1.1 {status} {}\r\n", reason_phrase(status)).expect("a Vec grows");
}

fn push_header(out: &mut Vec<u8>, name: &str, value: &str) {
    assert!(!name.is_empty() && name.bytes().all(is_token_byte), "a field's name is a token");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if is_field_byte(byte) { byte } else { b' ' }));
    out.extend_from_slice(b"\r\n");
}

fn push_body(out: &mut Vec<u8>, body: Option<&[u8]>, head_only: bool) {
    if let Some(body) = body {
        // ok because writing to a Vec never fails
        write!(out, "Content-Length: {}\r\n", body.len()).expect("a Vec grows");
    }
    out.extend_from_slice(b"\r\n");
    if !head_only {
        out.extend_from_slice(body.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_has_its_length_and_its_body() {
        let headers = [("Allow", "GET, POST")];
        let answer = text(|out| write_response(out, 405, &headers, Some("text/plain"), b"no", true, false));
        assert_eq!(
            answer,
            "HTTP/1.1 405 Method Not Allowed\r\nConnection: keep-alive\r\nAllow: GET, POST\r\n\
             Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
        );
    }

    #[test]
    fn the_answer_to_head_has_the_length_only() {
        let answer = text(|out| write_response(out, 200, &[], None, b"body", false, true));
        assert_eq!(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n");
    }

    #[test]
    fn no_content_has_neither_length_nor_body() {
        let answer = text(|out| write_response(out, 204, &[], None, b"lost", true, false));
        assert_eq!(answer, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
    }

    #[test]
    fn an_empty_body_says_so() {
        let answer = text(|out| write_response(out, 202, &[], None, b"", true, false));
        assert!(answer.ends_with("Content-Length: 0\r\n\r\n"), "{answer}");
    }

    #[test]
    fn switching_protocols_names_the_protocol_only_if_chosen() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let key = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(text(|out| write_switching_protocols(out, key, None)), format!("{head}\r\n"));
        let chosen = text(|out| write_switching_protocols(out, key, Some("hashi.v1")));
        assert_eq!(chosen, format!("{head}Sec-WebSocket-Protocol: hashi.v1\r\n\r\n"));
    }

    #[test]
    fn a_stream_has_no_length() {
        let headers = [("Cache-Control", "no-store".to_owned())];
        assert_eq!(
            text(|out| write_stream_head(out, &headers, "text/event-stream")),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Type: text/event-stream\r\n\r\n"
        );
    }

    #[test]
    fn continue_is_a_status_line_alone() {
        assert_eq!(text(write_continue), "HTTP/1.1 100 Continue\r\n\r\n");
    }

    #[test]
    #[should_panic(expected = "a field's name is a token")]
    fn a_name_that_is_no_token_is_our_bug() {
        write_response(&mut Vec::new(), 200, &[("X: y\r\nZ", "")], None, b"", true, false);
    }

    proptest! {
        #[test]
        fn no_value_can_end_its_line(value in any::<String>(), content_type in any::<String>()) {
            let mut out = Vec::new();
            write_response(&mut out, 403, &[("X-Echo", &value)], Some(&content_type), b"", true, false);
            prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 6);
            let mut slots = [httparse::EMPTY_HEADER; 8];
            let mut response = httparse::Response::new(&mut slots);
            prop_assert!(response.parse(&out).unwrap().is_complete());
            prop_assert_eq!(response.headers.len(), 4);
        }
    }
}
