//! `/metrics`: the text format of Prometheus, version 0.0.4, line by line.

use super::common::client::Client;
use super::common::http;
use super::common::server::TestServer;
use super::server;
use std::collections::{HashMap, HashSet};

#[track_caller]
fn read(server: &TestServer) -> String {
    let response = http::request(server.address, "GET", "/metrics", &[], b"");
    assert_eq!(response.status, 200);
    let kind = response.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    String::from_utf8(response.body).expect("UTF-8")
}

/// A name of a metric or label.
fn is_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase()) && name.bytes().all(rest)
}

/// One sample: name, labels as they are written, value.
#[track_caller]
fn parse_sample(line: &str) -> (&str, &str, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("no end in {line:?}"))),
        None => (series, ""),
    };
    assert!(is_name(name), "{line:?}");
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, text) = label.split_once('=').unwrap_or_else(|| panic!("no label in {line:?}"));
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        assert!(is_name(key) && text.is_some_and(|text| !text.contains(['"', '\\', '\n'])), "{line:?}");
    }
    (name, labels, value)
}

/// The families of a page and their types, checked as they are read.
struct Page<'a> {
    kinds: HashMap<&'a str, &'a str>,
    helped: HashSet<&'a str>,
    current: &'a str,
    samples: HashMap<(&'a str, &'a str), f64>,
}

impl<'a> Page<'a> {
    #[track_caller]
    fn parse(text: &'a str) -> Self {
        let mut page = Self { kinds: HashMap::new(), helped: HashSet::new(), current: "", samples: HashMap::new() };
        assert!(text.ends_with('\n'), "the last line ends, too");
        for line in text.lines() {
            match line.strip_prefix("# ") {
                Some(comment) => page.take_comment(line, comment),
                None => page.take_sample(line),
            }
        }
        page
    }

    #[track_caller]
    fn take_comment(&mut self, line: &str, comment: &'a str) {
        let mut words = comment.splitn(3, ' ');
        let (keyword, name, rest) = (words.next(), words.next().unwrap_or(""), words.next().unwrap_or(""));
        assert!(is_name(name) && !rest.is_empty(), "{line:?}");
        match keyword {
            Some("HELP") => assert!(self.helped.insert(name), "two helps: {line:?}"),
            Some("TYPE") => {
                assert!(["counter", "gauge", "summary", "histogram"].contains(&rest), "{line:?}");
                assert!(self.kinds.insert(name, rest).is_none(), "two types: {line:?}");
                self.current = name;
            }
            _ => panic!("a comment that means nothing: {line:?}"),
        }
    }

    #[track_caller]
    fn take_sample(&mut self, line: &'a str) {
        let (name, labels, value) = parse_sample(line);
        let kind = self.kinds.get(self.current).copied().unwrap_or_else(|| panic!("no type before {line:?}"));
        let suffix = name.strip_prefix(self.current).unwrap_or_else(|| panic!("{line:?} is not of {}", self.current));
        let fits = match kind {
            "summary" => ["", "_sum", "_count"].contains(&suffix),
            _ => suffix.is_empty(),
        };
        assert!(fits, "{line:?} in a {kind}");
        assert!(value.is_finite() && value >= 0.0, "{line:?}");
        assert!(kind != "counter" || name.ends_with("_total"), "a counter's name ends in _total: {line:?}");
        assert!(self.samples.insert((name, labels), value).is_none(), "twice: {line:?}");
    }
}

#[test]
fn every_line_is_well_formed() {
    let server = server();
    let text = read(&server);
    let page = Page::parse(&text);
    assert!(page.kinds.len() > 30, "{} families", page.kinds.len());
    for name in page.kinds.keys() {
        assert!(page.helped.contains(name), "{name} has no help");
        assert!(name.starts_with("hashi_"), "{name}");
        let sampled = page.samples.keys().any(|(sample, _)| sample.starts_with(name));
        assert!(sampled, "{name} has no sample");
    }
    for unit in ["hashi_latency_seconds", "hashi_tick_seconds", "hashi_tick_stage_seconds", "hashi_uptime_seconds"] {
        assert!(page.kinds.contains_key(unit), "{unit}");
    }
}

#[test]
fn the_figures_follow_what_happens() {
    let server = server();
    let before = read(&server);
    let mut client = Client::connect(server.address, "user-1", "s1");
    for index in 0..5 {
        client.round_trip(&format!("m{index}"));
    }
    client.expect_error("nonsense", "bad_message");
    let after = read(&server);
    let (before, after) = (Page::parse(&before), Page::parse(&after));
    for (name, labels, by) in [
        ("hashi_messages_published_total", "", 5.0),
        ("hashi_messages_received_total", "", 7.0),
        ("hashi_authentications_total", "", 1.0),
        ("hashi_errors_total", "code=\"bad_message\"", 1.0),
        ("hashi_connections", "state=\"open\"", 1.0),
        ("hashi_sessions", "", 2.0),
    ] {
        let grown = after.samples[&(name, labels)] - before.samples[&(name, labels)];
        assert!((grown - by).abs() < 0.5, "{name} grew by {grown}, not {by}");
    }
    for (key, value) in before.samples.iter().filter(|(key, _)| before.kinds.get(key.0) == Some(&"counter")) {
        assert!(after.samples[key] >= *value, "{key:?} went back");
    }
    client.ws.close();
}

/// What peers choose never becomes a label.
#[test]
fn labels_are_bounded() {
    let server = server();
    let text = read(&server);
    let labels = |text: &str| -> HashSet<String> {
        Page::parse(text).samples.keys().map(|(name, labels)| format!("{name}{{{labels}}}")).collect()
    };
    let before = labels(&text);
    for index in 0..20 {
        let mut client = Client::connect(server.address, &format!("chosen-{index}"), &format!("session-{index}"));
        let message = format!(r#"{{"id":"chosen","type":"chosen.{index}","payload":{{}}}}"#);
        client.ws.text(&message);
        client.receive();
        client.ws.close();
    }
    assert_eq!(labels(&read(&server)), before);
}
