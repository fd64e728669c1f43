//! Answers: status, headers, body; problems as `application/problem+json` (RFC 9457).

use crate::config::limits::RETRY_AFTER_S;
use crate::delivery::Delivery;
use crate::message::encode::{write_json_string, write_number};
use crate::message::{ErrorCode, ProtocolError};
use crate::wire::http_response::reason_phrase;

/// An answer to a request.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides length, type and connection.
    pub headers: Vec<(&'static str, String)>,
    /// The body's type; `None` without a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: no_store(), content_type: Some("application/json"), body }
    }

    /// A plain text answer.
    pub fn text(status: u16, body: &str) -> Self {
        let content_type = Some("text/plain; charset=utf-8");
        Self { status, headers: no_store(), content_type, body: body.into() }
    }

    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content_type: None, body: Vec::new() }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn no_store() -> Vec<(&'static str, String)> {
    vec![("Cache-Control", "no-store".into())]
}

/// A problem with a status of its own: HTTP knows more kinds than the table of codes.
pub fn problem(status: u16, error: &ProtocolError) -> Response {
    let mut body = Vec::with_capacity(256);
    body.extend_from_slice(b"{\"type\":\"about:blank\",\"title\":");
    write_json_string(&mut body, reason_phrase(status));
    body.extend_from_slice(b",\"status\":");
    write_number(&mut body, u64::from(status));
    body.extend_from_slice(b",\"detail\":");
    write_json_string(&mut body, error.message);
    body.push(b',');
    error.write_members(&mut body);
    body.push(b'}');
    let mut response = Response::json(status, body);
    response.content_type = Some("application/problem+json");
    if status == 401 {
        response = response.with("WWW-Authenticate", "Bearer realm=\"hashi\"");
    }
    response
}

/// A problem from the table of codes; 429 and 503 say by chance when to come back, so that not all come at once.
pub fn refusal(delivery: &mut Delivery, error: &ProtocolError) -> Response {
    let status = error.code.status();
    if !matches!(error.code, ErrorCode::RateLimited | ErrorCode::Overloaded | ErrorCode::Draining) {
        return problem(status, error);
    }
    let seconds = RETRY_AFTER_S + delivery.random_below(RETRY_AFTER_S + 1);
    problem(status, &error.retry_after(seconds * 1000)).with("Retry-After", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_have_the_members_of_both_worlds() {
        let response = problem(405, &ProtocolError::with_message(ErrorCode::BadMessage, "Use GET."));
        assert_eq!(
            String::from_utf8(response.body).unwrap(),
            r#"{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"Use GET.","code":"bad_message","message":"Use GET.","temporary":false}"#
        );
        assert_eq!(response.content_type, Some("application/problem+json"));
    }
}
