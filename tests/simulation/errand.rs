//! A client asks for a ticket: a connection for one request, and its answer.

use serde_json::{Value, json};

use super::client::Client;
use super::doors::Ticket;
use super::http::{self, Exchange, Progress};
use super::network::Network;

pub struct Errand {
    client: usize,
    ticket: Ticket,
    exchange: Exchange,
}

impl Errand {
    pub fn new(network: &mut Network, client: usize, user: &str, ticket: Ticket) -> Self {
        let body = json!({ "sessionId": ticket.session }).to_string();
        let request = http::request("POST", "/ws-api/ticket", Some(user), &[("Connection", "close")], &body);
        let exchange = Exchange::new(network.connect(4_000), request);
        Self { client, ticket, exchange }
    }

    /// Sends and reads what it can; whether it is done. The client has a ticket then, if there was one.
    pub fn step(&mut self, network: &mut Network, clients: &mut [Client]) -> bool {
        match self.exchange.step(network, usize::MAX) {
            Progress::Waiting => return false,
            Progress::Lost => {}
            Progress::Answered(head, body) if head.status == 201 => {
                let answer: Value = serde_json::from_str(&body).expect("the server sends JSON");
                let code = answer["ticket"].as_str().expect("an answer has a ticket").to_owned();
                clients[self.client].ticket = Some(Ticket { code, ..self.ticket.clone() });
            }
            Progress::Answered(head, body) => assert_eq!(head.status, 503, "{body}"),
        }
        network.finish(self.exchange.link);
        true
    }
}
