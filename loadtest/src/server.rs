//! What the server says about itself: its status once, its metrics each second. Over HTTP on the same listener, without a
//! token, as it is allowed from loopback. It blocks, so it is not for the reactor's thread.

use serde::{Deserialize, Serialize};
use ureq::Agent;

use crate::limits::STATUS_TIMEOUT;

/// The metrics that are kept, with the name of the figure; of counters the growth per second.
const METRICS: [(&str, &str, Kind); 10] = [
    ("hashi_messages_received_total", "received_per_second", Kind::Counter),
    ("hashi_messages_queued_total", "queued_per_second", Kind::Counter),
    ("hashi_messages_dropped_total", "dropped_per_second", Kind::Counter),
    ("hashi_messages_conflated_total", "conflated_per_second", Kind::Counter),
    ("hashi_reads_total", "reads_per_second", Kind::Counter),
    ("hashi_writes_total", "writes_per_second", Kind::Counter),
    ("hashi_ticks_total", "ticks_per_second", Kind::Counter),
    ("hashi_queued_entries", "queued_entries", Kind::Gauge),
    ("hashi_stored_messages", "stored_messages", Kind::Gauge),
    ("hashi_stored_bytes", "stored_bytes", Kind::Gauge),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Identity {
    pub version: String,
    connections: Connections,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
struct Connections {
    max: u64,
}

/// Asks one server.
#[derive(Debug)]
pub struct Inquirer {
    agent: Agent,
    base: String,
    answers: bool,
    /// The values of the last answer, in the order of [`METRICS`].
    before: Option<[f64; METRICS.len()]>,
}

impl Inquirer {
    /// `host` is a name or address with a port.
    pub fn new(host: &str) -> Self {
        let agent = Agent::new_with_config(Agent::config_builder().timeout_global(Some(STATUS_TIMEOUT)).build());
        Self { agent, base: format!("http://{host}"), answers: true, before: None }
    }

    /// The server's name for itself; `None` for one that is no Hashi.
    pub fn identity(&mut self) -> Option<Identity> {
        let text = self.get("/ws-api/status")?;
        serde_json::from_str(&text).ok()
    }

    /// The metrics, where `seconds` have passed since the last call; `None` when there are none.
    pub fn metrics(&mut self, seconds: f64) -> Option<Vec<(&'static str, f64)>> {
        let text = self.get("/metrics")?;
        let now = METRICS.map(|(metric, _, _)| value_of(&text, metric).unwrap_or_default());
        let before = self.before.replace(now)?;
        let figure = |index: usize| match METRICS[index].2 {
            Kind::Counter => (now[index] - before[index]) / seconds,
            Kind::Gauge => now[index],
        };
        Some(METRICS.iter().enumerate().map(|(index, (_, name, _))| (*name, figure(index).round())).collect())
    }

    fn get(&mut self, path: &str) -> Option<String> {
        if !self.answers {
            return None;
        }
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        let text = answer.ok().and_then(|mut answer| answer.body_mut().read_to_string().ok());
        self.answers = text.is_some();
        text
    }
}

/// The value of a metric without labels, in the text format of Prometheus.
fn value_of(text: &str, metric: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(metric)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    /// Answers one request on each connection with the next of these bodies, then refuses.
    fn serve(bodies: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let bodies: Vec<String> = bodies.iter().map(|body| body.to_string()).collect();
        thread::spawn(move || {
            for body in bodies {
                let (mut socket, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
                while !lines.next().unwrap().unwrap().is_empty() {}
                let length = body.len();
                write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                    .unwrap();
            }
        });
        host
    }

    #[test]
    fn counters_become_rates_and_gauges_stay() {
        let page =
            |received: u32| format!("# TYPE x\nhashi_messages_received_total {received}\nhashi_stored_bytes 7\n");
        let mut inquirer = Inquirer::new(&serve(&[&page(100), &page(300)]));
        assert_eq!(inquirer.metrics(1.0), None);
        let found = inquirer.metrics(2.0).unwrap();
        assert_eq!((found[0], found[9]), (("received_per_second", 100.0), ("stored_bytes", 7.0)));
    }

    #[test]
    fn a_server_that_does_not_answer_is_not_asked_again() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut inquirer = Inquirer::new(&closed.to_string());
        assert!(inquirer.identity().is_none() && !inquirer.answers);
    }

    #[test]
    fn a_name_is_not_the_beginning_of_another() {
        assert_eq!(value_of("hashi_reads_total_more 5\nhashi_reads_total 3\n", "hashi_reads_total"), Some(3.0));
    }
}
