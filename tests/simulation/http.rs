//! HTTP as a client that asks for little writes and reads it.

use super::network::{LinkId, Network};

/// The head of an answer.
pub struct Head {
    pub status: u16,
    text: String,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.text.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Takes the head off what has come, once it is whole.
pub fn take_head(inbox: &mut Vec<u8>) -> Option<Head> {
    let end = inbox.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8(inbox.drain(..end).collect()).expect("the server's head is UTF-8");
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Some(Head { status: status.unwrap_or_else(|| panic!("not an answer: {text}")), text })
}

/// A request with a user's token.
pub fn request(method: &str, target: &str, user: Option<&str>, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    if let Some(user) = user {
        text += &format!("Authorization: Bearer {user}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    (text + "\r\n" + body).into()
}

/// A connection for one request at a time, and the answer to it.
pub struct Exchange {
    pub link: LinkId,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    head: Option<Head>,
}

/// What an exchange has come to.
pub enum Progress {
    Waiting,
    Answered(Head, String),
    /// The connection is over, and no answer came.
    Lost,
}

impl Exchange {
    pub const fn new(link: LinkId, request: Vec<u8>) -> Self {
        Self { link, outbox: request, inbox: Vec::new(), head: None }
    }

    /// Another request over the same connection.
    pub fn ask(&mut self, request: Vec<u8>) {
        self.outbox.extend(request);
    }

    /// Sends what the network takes and reads at most `bytes_max` bytes.
    pub fn step(&mut self, network: &mut Network, bytes_max: usize) -> Progress {
        let sent = network.send(self.link, &self.outbox);
        self.outbox.drain(..sent);
        if bytes_max == 0 || !network.has_news(self.link) {
            return Progress::Waiting;
        }
        let received = network.receive(self.link, bytes_max);
        self.inbox.extend(received.bytes);
        if self.head.is_none() {
            self.head = take_head(&mut self.inbox);
        }
        match self.take_body() {
            Some((head, body)) => Progress::Answered(head, body),
            None if received.is_over => Progress::Lost,
            None => Progress::Waiting,
        }
    }

    fn take_body(&mut self) -> Option<(Head, String)> {
        let length = self.head.as_ref()?.header("Content-Length").expect("an answer says how long it is");
        let length = length.parse().expect("the length is a number");
        if self.inbox.len() < length {
            return None;
        }
        let body = String::from_utf8(self.inbox.drain(..length).collect()).expect("the server's body is UTF-8");
        self.head.take().map(|head| (head, body))
    }
}
