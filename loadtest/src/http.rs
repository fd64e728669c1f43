//! HTTP requests that publish, and their answers: bytes in, bytes out; no sockets. Not done: answers of unknown length.

use std::io::Write;

use crate::limits::{FIELDS_MAX, HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// Which route publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    Send,
    Broadcast,
}

impl Route {
    fn path(self) -> &'static str {
        match self {
            Self::Send => "/ws-api/send",
            Self::Broadcast => "/ws-api/broadcast",
        }
    }
}

/// What a request says besides its body.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub route: Route,
    pub host: &'a str,
    pub token: &'a str,
}

/// Appends the head of a request with a JSON body of so many bytes, which the caller appends next.
pub fn push_post(out: &mut Vec<u8>, request: &Request, body_bytes: usize) {
    let Request { route, host, token } = request;
    write!(
        out,
        "POST {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {body_bytes}\r\n\r\n",
        route.path()
    )
    .expect("ok because writing to a vector cannot fail");
}

/// One whole answer at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Head and body.
    pub bytes: usize,
}

/// Parses the answer at the start of `bytes`; `None` when it is not whole yet.
pub fn parse_answer(bytes: &[u8]) -> Result<Option<Answer>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_BYTES_MAX => return Err("an HTTP answer has no end".into()),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("an HTTP answer is malformed: {error}")),
    };
    let body = body_length(head.headers).ok_or("an HTTP answer has no length that is accepted")?;
    let status = head.code.expect("ok because the head is complete");
    Ok((bytes.len() >= length + body).then_some(Answer { status, bytes: length + body }))
}

fn body_length(fields: &[httparse::Header]) -> Option<usize> {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"))?;
    let length: usize = std::str::from_utf8(field.value).ok()?.parse().ok()?;
    (length <= PAYLOAD_BYTES_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn a_request_says_who_and_how_long() {
        let mut out = Vec::new();
        push_post(&mut out, &Request { route: Route::Broadcast, host: "h:1", token: "ann" }, 7);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("POST /ws-api/broadcast HTTP/1.1\r\nHost: h:1\r\nAuthorization: Bearer ann\r\n"));
        assert!(text.ends_with("Content-Length: 7\r\n\r\n"));
    }

    #[test]
    fn answers_are_read_one_by_one_and_only_whole() {
        let whole = Answer { status: 202, bytes: ANSWER.len() };
        assert_eq!(parse_answer(&[ANSWER, b"HTTP"].concat()), Ok(Some(whole)));
        for cut in 0..ANSWER.len() {
            assert_eq!(parse_answer(&ANSWER[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(parse_answer(b"SSH-2.0\r\n\r\n").is_err());
        assert!(parse_answer(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err());
        assert!(parse_answer(b"HTTP/1.1 202 Accepted\r\nContent-Length: 99999999\r\n\r\n").is_err());
    }
}
