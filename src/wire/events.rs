//! Server-sent events (WHATWG HTML, section 9.2), appended to the caller's bytes.

use memchr::memchr2;

use crate::message::encode::write_number;

/// The type of a stream's content.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// Appends an event without a name: a line for each line of `text`, whatever ends it. What came before, an `id` perhaps,
/// belongs to it.
pub fn write_event(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = memchr2(b'\n', b'\r', rest) {
        write_line(out, &rest[..at]);
        rest = &rest[at + if rest[at..].starts_with(b"\r\n") { 2 } else { 1 }..];
    }
    write_line(out, rest);
    out.push(b'\n');
}

/// Appends the event that says why the server ends the stream.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    out.extend_from_slice(b"event: close\ndata: {\"code\":");
    write_number(out, u64::from(code));
    out.extend_from_slice(b",\"reason\":\"");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\"}\n\n");
}

/// What keeps a quiet stream from being taken for dead. Clients do not see it.
pub const COMMENT: &[u8] = b":\n\n";

fn write_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_event(&mut out, text);
        out
    }

    #[test]
    fn an_event_has_a_line_for_each_line() {
        assert_eq!(event(b"{\"a\":1}"), b"data: {\"a\":1}\n\n");
        assert_eq!(event(b"{\n\"a\":\r\n1\r}"), b"data: {\ndata: \"a\":\ndata: 1\ndata: }\n\n");
        assert_eq!(event(b"\n"), b"data: \ndata: \n\n");
    }

    #[test]
    fn a_close_says_code_and_reason() {
        let mut out = Vec::new();
        write_close(&mut out, 4013, "overloaded");
        assert_eq!(out, b"event: close\ndata: {\"code\":4013,\"reason\":\"overloaded\"}\n\n");
    }

    proptest! {
        #[test]
        fn what_a_client_puts_together_is_the_text_with_plain_line_ends(text in "[ab\n\r:]{0,20}") {
            let out = String::from_utf8(event(text.as_bytes())).unwrap();
            let lines = out.strip_suffix("\n\n").unwrap().split('\n');
            let data: Vec<&str> = lines.map(|line| line.strip_prefix("data: ").unwrap()).collect();
            prop_assert_eq!(data.join("\n"), text.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
