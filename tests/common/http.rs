//! A raw HTTP/1.1 client: bytes out, parsed answers in.

use super::json;
use super::tcp::{Arrival, Tcp};
use super::wait::PATIENCE;
use simd_json::OwnedValue;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the header `name`, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of the header `name`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    #[track_caller]
    pub fn json(&self) -> OwnedValue {
        json::parse(&self.body)
    }

    /// Checks that this is the problem document (RFC 9457) of an answer with `status`, and returns it.
    #[track_caller]
    pub fn expect_problem(&self, status: u16) -> OwnedValue {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "the status of {shown}");
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "content type {kind:?} of {shown}");
        let problem = self.json();
        assert_eq!(json::number(&problem, "status"), u64::from(status), "{shown}");
        let titled = json::find(&problem, "title").or(json::find(&problem, "detail"));
        assert!(titled.is_some(), "title or detail in {shown}");
        assert!(!json::string(&problem, "code").is_empty(), "{shown}");
        assert!(!json::string(&problem, "message").is_empty(), "{shown}");
        json::boolean(&problem, "temporary");
        problem
    }
}

/// What came instead of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// The connection ended, after this many bytes of an incomplete answer.
    Ended(usize),
    /// The deadline passed.
    Nothing,
}

/// Waits for the next answer on `tcp`.
#[track_caller]
pub fn read_response(tcp: &mut Tcp) -> Response {
    try_read_response(tcp, PATIENCE).unwrap_or_else(|none| panic!("an answer, but: {none:?}"))
}

/// Waits for the next answer on `tcp`, at most `within`.
#[track_caller]
pub fn try_read_response(tcp: &mut Tcp, within: Duration) -> Result<Response, NoResponse> {
    let deadline = Instant::now() + within;
    loop {
        if let Some((response, length)) = parse(tcp.pending(), false) {
            tcp.consume(length);
            return Ok(response);
        }
        match tcp.fill(deadline) {
            Arrival::Bytes => {}
            Arrival::Nothing if Instant::now() < deadline => {}
            Arrival::Nothing => return Err(NoResponse::Nothing),
            Arrival::End | Arrival::Reset => return last_response(tcp),
        }
    }
}

fn last_response(tcp: &mut Tcp) -> Result<Response, NoResponse> {
    let pending = tcp.pending().len();
    let (response, length) = parse(tcp.pending(), true).ok_or(NoResponse::Ended(pending))?;
    tcp.consume(length);
    Ok(response)
}

/// One answer off the front of `bytes`. A body without a length reaches to the end of the connection.
#[track_caller]
fn parse(bytes: &[u8], ended: bool) -> Option<(Response, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_end]).expect("the server's heads are ASCII");
    let mut lines = head.split("\r\n");
    let status = parse_status_line(lines.next().unwrap_or_default());
    let headers = lines.filter(|line| !line.is_empty()).map(parse_header).collect();
    let mut response = Response { status, headers, body: Vec::new() };
    let (body, length) = parse_body(&response, &bytes[head_end..], ended)?;
    response.body = body;
    Some((response, head_end + length))
}

#[track_caller]
fn parse_status_line(line: &str) -> u16 {
    let rest = line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("a status line, not {line:?}"));
    rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("a status in {line:?}"))
}

#[track_caller]
fn parse_header(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("a header, not {line:?}"));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

fn parse_body(response: &Response, rest: &[u8], ended: bool) -> Option<(Vec<u8>, usize)> {
    if response.status < 200 || response.status == 204 || response.status == 304 {
        return Some((Vec::new(), 0));
    }
    if let Some(length) = response.header("content-length") {
        let length = length.parse().expect("the server's Content-Length is a number");
        return Some((rest.get(..length)?.to_vec(), length));
    }
    if response.header("transfer-encoding") == Some("chunked") {
        return parse_chunks(rest);
    }
    ended.then(|| (rest.to_vec(), rest.len()))
}

fn parse_chunks(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = rest[at..].windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[at..at + line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.expect("the server's chunk size is a hexadecimal number");
        let start = at + line + 2;
        body.extend(rest.get(start..start + size)?);
        at = start + size + 2;
        if size == 0 {
            return (rest.len() >= at).then_some((body, at));
        }
    }
}

/// A complete request as bytes: `Host` and, with a body, `Content-Length` are added to `headers`.
pub fn encode(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    [head.as_bytes(), body].concat()
}

/// Sends one request on a connection of its own and returns the answer.
#[track_caller]
pub fn request(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    exchange(address, encode(address, method, target, headers, body))
}

/// Sends `bytes` on a connection of their own and returns the answer.
#[track_caller]
pub fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let mut tcp = Tcp::connect(address);
    tcp.send(bytes);
    read_response(&mut tcp)
}

/// Sends what is no HTTP, and expects a problem document with `status` and then the end of the connection.
#[track_caller]
pub fn expect_refusal(address: SocketAddr, bytes: impl AsRef<[u8]>, status: u16) -> Response {
    let mut tcp = Tcp::connect(address);
    tcp.send(bytes);
    let response = read_response(&mut tcp);
    response.expect_problem(status);
    tcp.expect_end(PATIENCE);
    response
}
