//! A confirmation of a client that receives by a stream: a connection for one request, and its answer.

use serde_json::json;

use super::http::{self, Exchange, Progress};
use super::network::Network;

pub struct Slip(Exchange);

impl Slip {
    /// `id` is the public id of the client's connection.
    pub fn new(network: &mut Network, user: &str, id: &str, ids: &[String]) -> Self {
        let body = json!({ "id": "slip", "type": "ack", "payload": { "ids": ids } }).to_string();
        let headers = [("Connection", "close"), ("Hashi-Connection", id)];
        let request = http::request("POST", "/ws-api/send", Some(user), &headers, &body);
        Self(Exchange::new(network.connect(4_000), request))
    }

    /// Sends and reads what it can; whether it is done.
    pub fn step(&mut self, network: &mut Network) -> bool {
        match self.0.step(network, usize::MAX) {
            Progress::Waiting => return false,
            Progress::Lost => {}
            Progress::Answered(head, body) => {
                let is_gone = body.contains("Hashi-Connection");
                assert!(matches!(head.status, 202 | 503) || is_gone, "{body}");
            }
        }
        network.finish(self.0.link);
        true
    }
}
