//! HTTP/1.x request heads: bytes in, a borrowed [`Head`] or the error to answer out.
//!
//! `httparse` finds the method, target, version and fields; this module adds what it leaves open: the limits, the
//! tolerances that are refused here (bare LF, non-ASCII targets), and the meaning of the fields that frame a message
//! (RFC 9112). Everything borrows from the caller's bytes, nothing is allocated.
//!
//! Not done: compression, transfer codings other than `chunked`, trailers' content, obs-fold, proxying.
//!
//! Weakness: a head that arrives in pieces is parsed again from its start each time, O(n²) in the number of reads. Fine
//! while a head is at most 8 KiB and has one deadline: 8,000 reads of one byte cost about 10 ms in all. The exit is to
//! remember the offset of the last full line.

mod error;
mod fields;
mod lines;
mod target;

use std::mem::MaybeUninit;

use httparse::{Header, Status};

pub use self::error::HttpError;
pub(super) use self::fields::lists;
pub use self::fields::{BodyLength, is_field_byte, is_token_byte, list_members};
use self::fields::{at_most_one, parse_body_length, parse_expect, parse_host, parse_keep_alive, values};
use self::lines::{check_lines, explain, skip_blank_lines};
use self::target::parse_target;
pub use self::target::{percent_decode, split_host_port};
use crate::config::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// Room for the parsed fields of one head, 2 KiB on the caller's stack. Make it with [`header_slots`].
pub type HeaderSlots<'b> = [MaybeUninit<Header<'b>>; HEADERS_MAX];

/// Empty room for [`parse_head`]; costs nothing.
pub const fn header_slots<'b>() -> HeaderSlots<'b> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// One request head, borrowed from the bytes it was parsed from.
#[derive(Debug)]
pub struct Head<'a> {
    /// The method as sent; it is case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The path before `?`, not decoded, ASCII. Begins with `/`, but for `*` (OPTIONS) and the authority of a CONNECT.
    pub path: &'a str,
    /// What follows the first `?`, not decoded; `Some("")` for a bare `?`.
    pub query: Option<&'a str>,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor_version: u8,
    /// Host and optional port: of an absolute target, otherwise of `Host`, which may be empty. `None` only on HTTP/1.0.
    pub host: Option<&'a str>,
    /// Whether the client wants the connection kept after the answer (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// How the body after the head is delimited.
    pub body: BodyLength,
    /// A body follows once `100 Continue` was sent (RFC 9110 section 10.1.1). False without a body and on HTTP/1.0.
    pub expect_continue: bool,
    /// A `Content-Encoding` other than `identity` is present; answer 415.
    pub content_encoded: bool,
    /// Bytes of the input that the head took, blank lines before it included. The body or the first frame follows.
    pub head_bytes: usize,
    pub(super) headers: &'a [Header<'a>],
}

/// Parses the head at the start of `bytes`. `Ok(None)`: not complete yet, call again with the same bytes and more.
///
/// # Errors
/// [`HttpError`]: bad syntax and broken limits as soon as they are certain, so noise is not waited on; bad meaning (the
/// form of the target, `Host`, the framing of the body, `Expect`) once the head is complete.
pub fn parse_head<'h, 'b: 'h>(bytes: &'b [u8], slots: &'h mut HeaderSlots<'b>) -> Result<Option<Head<'h>>, HttpError> {
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let blank_bytes = skip_blank_lines(window)?;
    let rest = &window[blank_bytes..];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(rest, slots).map_err(|error| explain(error, rest))?;
    match parsed {
        Status::Complete(len) => {
            check_lines(&rest[..len])?;
            Head::from_parsed(request, blank_bytes + len).map(Some)
        }
        Status::Partial => {
            check_lines(rest)?;
            if window.len() == HEAD_BYTES_MAX {
                Err(HttpError::HeadTooLarge("The head is larger than the limit."))
            } else {
                Ok(None)
            }
        }
    }
}

impl<'a> Head<'a> {
    fn from_parsed<'b: 'a>(request: httparse::Request<'a, 'b>, head_bytes: usize) -> Result<Self, HttpError> {
        let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version) else {
            return Err(HttpError::Malformed("request line"));
        };
        let headers: &'a [Header<'a>] = request.headers;
        let target = parse_target(method, target)?;
        let host = parse_host(headers, minor_version)?;
        let body = parse_body_length(headers, minor_version)?;
        let has_body = !matches!(body, BodyLength::None | BodyLength::Sized(0));
        let expects = parse_expect(headers)?;
        Ok(Self {
            method,
            path: target.path,
            query: target.query,
            minor_version,
            host: target.host.or(host),
            keep_alive: parse_keep_alive(headers, minor_version),
            body,
            expect_continue: expects && has_body && minor_version >= 1,
            content_encoded: lists(headers, "content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity")),
            head_bytes,
            headers,
        })
    }

    /// The first value of the field `name`, in any case, without the white space around it. May hold bytes from 0x80 up.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        values(self.headers, name).next()
    }

    /// Every value of the field `name`, in any case, in the order sent.
    pub fn headers<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        values(self.headers, name)
    }

    /// The value of a field that may be sent once, as text. For what decides about access (`Origin`, `Authorization`):
    /// a second or unreadable value is an error here, not an absent field.
    ///
    /// # Errors
    /// [`HttpError::Malformed`] when the field is there twice or is not UTF-8.
    pub fn single_header(&self, name: &str) -> Result<Option<&'a str>, HttpError> {
        let Some(value) = at_most_one(self.headers, name)? else { return Ok(None) };
        str::from_utf8(value).map(Some).map_err(|_| HttpError::Malformed("field is not UTF-8"))
    }

    /// The members of the list field `name` over all its lines, trimmed, empty ones left out (RFC 9110 section 5.6.1).
    pub fn list<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        lists(self.headers, name)
    }

    /// Whether the list field `name` has the member `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        lists(self.headers, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::limits::{LINE_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};

    /// What of a head can be compared after its bytes are gone.
    #[derive(Debug, PartialEq)]
    struct Seen {
        target: (String, String, Option<String>, Option<String>),
        flags: [bool; 3],
        body: BodyLength,
        head_bytes: usize,
    }

    fn seen(head: &Head<'_>) -> Seen {
        Seen {
            target: (
                head.method.to_owned(),
                head.path.to_owned(),
                head.query.map(str::to_owned),
                head.host.map(str::to_owned),
            ),
            flags: [head.keep_alive, head.expect_continue, head.content_encoded],
            body: head.body,
            head_bytes: head.head_bytes,
        }
    }

    fn parse(bytes: &[u8]) -> Result<Option<Seen>, HttpError> {
        Ok(parse_head(bytes, &mut header_slots())?.map(|head| seen(&head)))
    }

    fn parsed(text: &str) -> Seen {
        parse(text.as_bytes()).expect(text).expect(text)
    }

    /// A request for `/` with these further fields, each ended by CRLF.
    fn with(fields: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    #[track_caller]
    fn assert_status(bytes: impl AsRef<[u8]>, status: u16) {
        let text = String::from_utf8_lossy(bytes.as_ref());
        match parse(bytes.as_ref()) {
            Err(error) => assert_eq!(error.status(), status, "{error} for {text:?}"),
            ok => panic!("{ok:?} for {text:?}"),
        }
    }

    #[test]
    fn a_request_is_taken_apart() {
        let text = "GET /ws-api/poll?sessionId=a&cursor=%20 HTTP/1.1\r\nHost: h:3001\r\nX-A: 1\r\nx-a:\t2 \r\n\r\nrest";
        let mut slots = header_slots();
        let head = parse_head(text.as_bytes(), &mut slots).unwrap().unwrap();
        assert_eq!((head.method, head.path, head.query), ("GET", "/ws-api/poll", Some("sessionId=a&cursor=%20")));
        assert_eq!((head.host, head.minor_version, head.keep_alive), (Some("h:3001"), 1, true));
        assert_eq!((head.body, head.expect_continue, head.content_encoded), (BodyLength::None, false, false));
        assert_eq!(&text[head.head_bytes..], "rest");
        assert_eq!(head.header("X-a"), Some(&b"1"[..]));
        assert_eq!(head.headers("X-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.single_header("x-b"), Ok(None));
        assert_eq!(head.single_header("x-a").unwrap_err().status(), 400);
    }

    #[test]
    fn a_field_that_decides_must_be_text() {
        let mut slots = header_slots();
        let head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: \xff\r\n\r\n", &mut slots).unwrap().unwrap();
        assert_eq!(head.header("origin"), Some(&b"\xff"[..]));
        assert_eq!(head.single_header("origin").unwrap_err().status(), 400);
    }

    #[test]
    fn a_few_blank_lines_come_before() {
        let text = format!("\r\n\r\n{}", with(""));
        assert_eq!(parsed(&text).head_bytes, text.len());
        assert_status("\r\n\r\n\r\n", 400);
        assert_status("\n", 400);
        assert_status("\r\r", 400);
        for incomplete in ["", "\r", "\r\n", "\r\n\r"] {
            assert_eq!(parse(incomplete.as_bytes()), Ok(None));
        }
    }

    #[test]
    fn every_form_of_target() {
        let target = |line: &str| {
            let seen = parsed(&format!("{line} HTTP/1.1\r\nHost: field\r\n\r\n"));
            (seen.target.1, seen.target.2, seen.target.3.unwrap())
        };
        let expected = |path: &str, query: Option<&str>, host: &str| (path.into(), query.map(Into::into), host.into());
        assert_eq!(target("GET /a?"), expected("/a", Some(""), "field"));
        assert_eq!(target("GET /a?b?c"), expected("/a", Some("b?c"), "field"));
        assert_eq!(target("GET http://h:1/a?b"), expected("/a", Some("b"), "h:1"));
        assert_eq!(target("GET HTTPS://[::1]"), expected("/", None, "[::1]"));
        assert_eq!(target("GET http://h?b=/"), expected("/", Some("b=/"), "h"));
        assert_eq!(target("OPTIONS *"), expected("*", None, "field"));
        assert_eq!(target("CONNECT h:443"), expected("h:443", None, "field"));
        for line in ["GET *", "GET h:443", "GET a/b", "GET ftp://h/", "GET http:///", "GET http://u@h/", "GET ?a"] {
            assert_status(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        }
        assert_status("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    }

    #[test]
    fn versions() {
        assert_eq!(parsed("GET / HTTP/1.0\r\n\r\n").target.3, None);
        for line in
            ["GET /\r\n", "GET /\r", "GET / HTTP/2.0\r\n", "GET / HTTP/1.2", "GET / HTTP/0.9\r\n", "PRI * HTTP/2.0"]
        {
            assert_status(line, 505);
        }
        let malformed = [
            "GET /\n",
            "GET /\rX",
            "GET / HTTPS/1.1\r\n",
            "GET / http/1.1",
            "GET / HTTP/x",
            "GET / HTTP/1.1 \r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.10\r\n",
            "GET / /b HTTP/1.1",
            " GET / HTTP/1.1",
            "GET\r\n",
            "G(T / HTTP/1.1",
        ];
        malformed.into_iter().for_each(|line| assert_status(line, 400));
    }

    #[test]
    fn another_protocol_on_the_port_is_refused_at_once() {
        assert_status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
        assert_status(b"\x16", 400);
        assert_status("SSH-2.0-OpenSSH_9.6p1\r\n", 400);
        assert_status("\0", 400);
        assert_status("x".repeat(METHOD_BYTES_MAX + 1), 400);
        assert_status("GET \x01", 400);
    }

    #[test]
    fn host_is_there_once_and_valid() {
        assert_status("GET / HTTP/1.1\r\n\r\n", 400);
        assert_status("GET http://h/ HTTP/1.1\r\n\r\n", 400);
        assert_status(with("Host: a\r\n"), 400);
        assert_status("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400);
        for host in ["a b", "a/b", "a@b", "a:b", "a:-1", "a:65536", "[::1", "::1", "a,b:c", "[]", "a\u{e9}", "[a]b"] {
            assert_status(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400);
        }
        for host in ["", "a", "a:", "a:80", "127.0.0.1:3001", "[::1]:3001", "[::1]", "a_b.c-d"] {
            let seen = parsed(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(seen.target.3.as_deref(), Some(host));
        }
    }

    #[test]
    fn lines_end_in_crlf_and_hold_no_controls() {
        let cases = [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1\r\nHost: a\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost: a\rb",
            "GET / HTTP/1.1\r\nHost: a\r\n\rx",
            "GET / HTTP/1.1\rH",
            "GET /\0 HTTP/1.1",
            "GET / HTTP/1.1\r\nA: \0",
            "GET / HTTP/1.1\r\nA: \x07",
            "GET / HTTP/1.1\r\nA: \x7f",
            "GET / HTTP/1.1\r\nA\0: b",
            "GET / HTTP/1.1\r\nHost : a",
            "GET / HTTP/1.1\r\nTransfer-Encoding : x",
            "GET / HTTP/1.1\r\n Host: a",
            "GET / HTTP/1.1\r\nA: b\r\n c",
            "GET / HTTP/1.1\r\nA: b\r\n\tc",
            "GET / HTTP/1.1\r\n: b",
            "GET / HTTP/1.1\r\nA\r\n",
        ];
        cases.into_iter().for_each(|text| assert_status(text, 400));
    }

    #[test]
    fn limits_are_kept_and_are_exact() {
        let target = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len - 1));
        assert_eq!(parsed(&target(TARGET_BYTES_MAX)).target.1.len(), TARGET_BYTES_MAX);
        assert_status(target(TARGET_BYTES_MAX + 1), 414);
        let line = |len: usize| with(&format!("A: {}\r\n", "x".repeat(len - 3)));
        parsed(&line(LINE_BYTES_MAX));
        assert_status(line(LINE_BYTES_MAX + 1), 431);
        let fields = |count: usize| with(&"A: b\r\n".repeat(count - 1));
        parsed(&fields(HEADERS_MAX));
        assert_status(fields(HEADERS_MAX + 1), 431);
        let head = |len: usize| {
            let fixed = with(&format!("A: {}\r\nB: \r\n", "x".repeat(LINE_BYTES_MAX - 3))).len();
            with(&format!("A: {}\r\nB: {}\r\n", "x".repeat(LINE_BYTES_MAX - 3), "x".repeat(len - fixed)))
        };
        assert_eq!(parsed(&head(HEAD_BYTES_MAX)).head_bytes, HEAD_BYTES_MAX);
        assert_status(head(HEAD_BYTES_MAX + 1), 431);
    }

    #[test]
    fn limits_are_kept_before_the_head_is_complete() {
        let long = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(parse(format!("GET /{}", &long[..TARGET_BYTES_MAX - 1]).as_bytes()), Ok(None));
        assert_status(format!("GET /{}", &long[..TARGET_BYTES_MAX]), 414);
        assert_eq!(parse(format!("GET / HTTP/1.1\r\nA:{}\r", &long[2..]).as_bytes()), Ok(None));
        assert_status(format!("GET / HTTP/1.1\r\nA:{}", &long[1..]), 431);
        assert_status(format!("GET / HTTP/1.1\r\n{long}x"), 431);
        assert_status(format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(HEADERS_MAX + 1)), 431);
        assert_status(format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(HEAD_BYTES_MAX)), 431);
    }

    #[test]
    fn keep_alive_follows_version_and_connection() {
        let keep_alive =
            |minor: u8, fields: &str| parsed(&format!("GET / HTTP/1.{minor}\r\nHost: a\r\n{fields}\r\n")).flags[0];
        assert!(keep_alive(1, ""));
        assert!(!keep_alive(0, ""));
        assert!(keep_alive(0, "Connection: Keep-Alive\r\n"));
        assert!(!keep_alive(1, "Connection: upgrade, CLOSE\r\n"));
        assert!(!keep_alive(1, "Connection: x,,\r\nConnection:\tclose \r\n"));
        assert!(!keep_alive(0, "Connection: keep-alive, close\r\n"));
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        assert_eq!(parsed(&with("Content-Length: 0\r\n")).body, BodyLength::Sized(0));
        assert_eq!(parsed(&with("content-length:  007 \r\n")).body, BodyLength::Sized(7));
        assert_eq!(parsed(&with(&format!("Content-Length: {}\r\n", u64::MAX))).body, BodyLength::Sized(u64::MAX));
        assert_eq!(parsed(&with("Transfer-Encoding: Chunked\r\n")).body, BodyLength::Chunked);
        for length in ["", "+5", "-5", "0x5", "5a", "5, 5", "5 5", "5.0", "18446744073709551616", "\u{665}"] {
            assert_status(with(&format!("Content-Length: {length}\r\n")), 400);
        }
        for coding in
            ["", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked;a", "identity", ", chunked"]
        {
            assert_status(with(&format!("Transfer-Encoding: {coding}\r\n")), 400);
        }
        assert_status(with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400);
        assert_status(with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400);
        assert_status(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
        assert_status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    }

    #[test]
    fn expectations() {
        let expects = |fields: &str| parsed(&with(fields)).flags[1];
        assert!(expects("Expect: 100-Continue\r\nContent-Length: 1\r\n"));
        assert!(expects("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"));
        assert!(!expects("Expect: 100-continue\r\n"));
        assert!(!parsed("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").flags[1]);
        assert_status(with("Expect: 100-continue, tea\r\n"), 417);
    }

    #[test]
    fn an_encoded_body_is_seen() {
        assert!(parsed(&with("Content-Encoding: identity, gzip\r\n")).flags[2]);
        assert!(!parsed(&with("Content-Encoding: Identity\r\n")).flags[2]);
    }

    /// A request in which much may vary, and its head's length.
    fn any_request() -> impl Strategy<Value = (String, usize)> {
        let line = ("(\r\n){0,2}", "[A-Z]{1,9}", "(http://[a-z]{1,9})?/[a-z/%0-9]{0,20}(\\?[a-z=&]{0,9})?");
        let fields = "([A-Za-z-]{1,12}-x: ?[ -~]{0,20}\r\n){0,9}(Content-Length: [0-9]{1,9}\r\n)?";
        (line, fields, "[a-z\r\n ]{0,9}").prop_map(|((blank, method, target), fields, rest)| {
            let head = format!("{blank}{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let len = head.len();
            (head + &rest, len)
        })
    }

    /// What was answered for a prefix stays answered: more bytes neither mend an error nor change a head.
    fn assert_steady(bytes: &[u8]) -> Result<(), TestCaseError> {
        let whole = parse(bytes);
        for end in 0..bytes.len() {
            match parse(&bytes[..end]) {
                Ok(None) => {}
                Ok(head) => prop_assert_eq!(&Ok(head), &whole),
                Err(_) => prop_assert!(whole.is_err()),
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_head_is_found_at_its_last_byte_and_not_before((text, len) in any_request()) {
            for end in 0..len {
                prop_assert_eq!(parse(&text.as_bytes()[..end]), Ok(None));
            }
            let head = parse(&text.as_bytes()[..len]).unwrap().unwrap();
            prop_assert_eq!(head.head_bytes, len);
            prop_assert_eq!(parse(text.as_bytes()), Ok(Some(head)));
        }

        #[test]
        fn a_broken_head_is_answered_steadily((text, _) in any_request(), at: prop::sample::Index, byte: u8) {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            assert_steady(&bytes)?;
        }

        #[test]
        fn noise_is_answered_steadily(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            assert_steady(&bytes)?;
        }
    }
}
