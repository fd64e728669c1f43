//! Rows 25 and 26: text that is no envelope, and envelopes beyond their limits.

use super::common::json;
use super::common::row;
use super::common::websocket::Event;
use super::{SESSION, Scene, assert_reply_to, is_code};
use simd_json::prelude::*;
use std::ops::RangeInclusive;

/// A text and where reading it may stop.
type Broken = (&'static str, RangeInclusive<u64>);

const BROKEN: [Broken; 37] = [
    ("", 0..=0),
    (" ", 0..=1),
    ("nonsense", 0..=8),
    ("[]", 0..=2),
    ("[{}]", 0..=4),
    ("7", 0..=1),
    ("null", 0..=4),
    ("true", 0..=4),
    ("\"text\"", 0..=6),
    ("{", 0..=1),
    ("}", 0..=0),
    ("{]", 1..=1),
    (r#"{"id"}"#, 5..=5),
    (r#"{"id":}"#, 6..=6),
    (r#"{"id":"m1"#, 6..=9),
    (r#"{"id":"m1","type":"custom","payload":{}"#, 37..=39),
    (r#"{"id":"m1","type":"custom","payload":{},}"#, 40..=40),
    (r#"{"id":"m1","type":"custom",,"payload":{}}"#, 27..=27),
    (r#"{"id":"m1" "type":"custom","payload":{}}"#, 11..=11),
    (r#"{id:"m1","type":"custom","payload":{}}"#, 1..=1),
    (r#"{"id":'m1',"type":"custom","payload":{}}"#, 6..=6),
    // Trailing garbage and a second value.
    (r#"{"id":"m1","type":"custom","payload":{}} x"#, 40..=41),
    (r#"{"id":"m1","type":"custom","payload":{}}]"#, 40..=40),
    (r#"{"id":"m1","type":"custom","payload":{}}{"id":"m2","type":"custom","payload":{}}"#, 40..=40),
    (r#"{"id":"m1","type":"custom","payload":{}}null"#, 40..=40),
    // What is no JSON value.
    (r#"{"id":"m1","type":"custom","payload":NaN}"#, 37..=38),
    (r#"{"id":"m1","type":"custom","payload":Infinity}"#, 37..=38),
    (r#"{"id":"m1","type":"custom","payload":undefined}"#, 37..=38),
    (r#"{"id":"m1","type":"custom","payload":01}"#, 37..=39),
    (r#"{"id":"m1","type":"custom","payload":+1}"#, 37..=38),
    (r#"{"id":"m1","type":"custom","payload":1e400}"#, 37..=42),
    (r#"{"id":"m1","type":"custom","payload":[-1e999]}"#, 37..=44),
    (r#"{"id":"m1","type":"custom","payload":"\x41"}"#, 37..=40),
    // Lone surrogates, alone, doubled and the wrong way round.
    (r#"{"id":"m1","type":"custom","payload":"\ud800"}"#, 37..=45),
    (r#"{"id":"m1","type":"custom","payload":"\udc00\ud800"}"#, 37..=51),
    (r#"{"id":"m1","type":"custom","payload":{"\ud800x":1}}"#, 37..=47),
    // A byte order mark.
    ("\u{feff}{\"id\":\"m1\",\"type\":\"custom\",\"payload\":{}}", 0..=1),
];

#[test]
fn row_25_not_one_json_object() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for (text, stops) in BROKEN {
            let error = scene.refuse(text, "bad_message");
            let offset = json::number(&error, "payload.offset");
            assert!(stops.contains(&offset), "{text:?}: offset {offset} is not in {stops:?}");
        }
        scene.refuse("{\"id\":\"m1\",\"type\":\"custom\",\"payload\":\"a\u{1}b\"}", "bad_message");
        scene.refuse("{\"id\":\"m1\",\"type\":\"custom\",\"payload\":\"a\nb\"}", "bad_message");
        scene.refuse("{\"id\":\"m1\",\"type\":\"custom\",\"payload\":{}}\0", "bad_message");
        scene.end();
    });
}

/// Envelopes with a member twice, and where the second one begins or ends.
const DOUBLED: [Broken; 9] = [
    (r#"{"id":"m1","id":"m1","type":"custom","payload":{}}"#, 11..=20),
    (r#"{"id":"m1","type":"custom","payload":{},"id":"m1"}"#, 40..=49),
    (r#"{"id":"m1","type":"custom","type":"custom","payload":{}}"#, 27..=42),
    (r#"{"id":"m1","type":"custom","payload":{},"payload":{}}"#, 40..=52),
    (r#"{"id":"m1","type":"custom","echo":true,"payload":{},"echo":true}"#, 52..=63),
    (r#"{"id":"m1","type":"custom","payload":{},"seq":1,"seq":1}"#, 48..=55),
    (r#"{"id":"m1","type":"custom","payload":{},"from":"a","from":"b"}"#, 51..=61),
    (r#"{"id":"m1","type":"custom","payload":{},"unknown":1,"unknown":2}"#, 52..=63),
    // The same name, written in another way.
    (r#"{"id":"m1","type":"custom","payload":{},"\u0069d":"m1"}"#, 40..=54),
];

#[test]
fn row_25_duplicate_members() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for (text, second) in DOUBLED {
            let error = scene.refuse(text, "bad_message");
            let offset = json::number(&error, "payload.offset");
            assert!(second.contains(&offset), "{text}: offset {offset} is not in {second:?}");
        }
        // Members inside the payload are the application's own.
        let mut member = scene.member();
        member.ws.text(r#"{"id":"m1","type":"custom","echo":true,"to":null,"payload":{}}"#);
        assert!(json::is(&member.receive(), "payload.field", "to"));
        let own = member.connection_id().to_owned();
        let payload = r#"{"a":1,"a":2}"#;
        member
            .ws
            .text(&format!(r#"{{"id":"m2","type":"custom","to":{{"connectionId":"{own}"}},"payload":{payload}}}"#));
        let Event::Text(text) = member.ws.next() else { panic!("the message") };
        assert!(text.contains(payload), "{payload} in {text}");
        scene.end();
    });
}

/// So many bad messages are answered in a minute.
const BAD_MESSAGES_PER_MINUTE: usize = 20;

#[test]
fn row_25_more_than_twenty_a_minute() {
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for text in ["nonsense", r#"{"id":"m1","type":"two words","payload":{}}"#, r#"{"id":1}"#] {
            let mut member = scene.member();
            for _ in 0..BAD_MESSAGES_PER_MINUTE {
                member.expect_error(text, "bad_message");
            }
            member.expect_nothing();
            member.ws.text(text);
            expect_too_many(&mut member.ws.next(), || member.ws.next());
        }
        scene.end();
    });
}

/// The last error may still be answered; then comes the close.
#[track_caller]
fn expect_too_many(event: &mut Event, next: impl FnOnce() -> Event) {
    if matches!(event, Event::Text(text) if text.contains("bad_message")) {
        *event = next();
    }
    match event {
        Event::Closed { code: Some(4529), reason } => assert!(is_code(reason), "{reason:?}"),
        event => panic!("expected close 4529, not {event:?}"),
    }
}

/// A message with this payload.
fn with_payload(payload: &str) -> String {
    format!(r#"{{"id":"m1","type":"custom","payload":{payload}}}"#)
}

#[test]
fn row_26_too_deep() {
    let arrays = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let last = |depth: usize| format!(r#"{{"a":1,"b":[2,{}]}}"#, arrays(depth - 2));
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for depth in [33, 34, 64, 1000, 20_000] {
            let mut payloads = vec![arrays(depth), last(depth)];
            payloads.extend((depth <= 1000).then(|| objects(depth)));
            for payload in payloads {
                let start: String = payload.chars().take(20).collect();
                let error = scene.refuse(&with_payload(&payload), "too_deep");
                assert_reply_to(&error, Some("m1"), &format!("{depth} of {start}"));
            }
            // Whether the id of what is cut off as well can be read is up to the server.
            scene.refuse(&with_payload(&"[".repeat(depth)), "too_deep");
        }
        for payload in [arrays(32), objects(32), last(32)] {
            deep_enough(&scene, &payload);
        }
        scene.end();
    });
}

/// A payload that is nested as deep as it may be comes back as it was.
#[track_caller]
fn deep_enough(scene: &Scene<'_>, payload: &str) {
    let mut member = scene.member();
    let own = member.connection_id().to_owned();
    member.ws.text(&format!(r#"{{"id":"m1","type":"custom","to":{{"connectionId":"{own}"}},"payload":{payload}}}"#));
    match member.ws.next() {
        Event::Text(text) => assert!(text.contains(payload), "{payload} in {text}"),
        event => panic!("the message, not {event:?}"),
    }
    member.ws.close();
}

#[test]
fn row_26_over_the_limits_of_members() {
    let long = |bytes: usize| "x".repeat(bytes);
    let meta = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    let cases = [
        (format!(r#""id":"{}""#, long(129)), "id"),
        (format!(r#""id":"{}""#, "€".repeat(43)), "id"),
        (format!(r#""id":"{}""#, r"\u20ac".repeat(43)), "id"),
        (format!(r#""id":"{}""#, long(60_000)), "id"),
        (format!(r#""id":"m1","key":"{}""#, long(129)), "key"),
        (format!(r#""id":"m1","replyTo":"{}""#, long(129)), "replyTo"),
        (format!(r#""id":"m1","meta":{}"#, meta(1025)), "meta"),
        (format!(r#""id":"m1","meta":{}"#, meta(60_000)), "meta"),
        (r#""id":"m1","meta":{"a":{}}"#.to_owned(), "meta"),
        (r#""id":"m1","meta":{"a":[]}"#.to_owned(), "meta"),
        (r#""id":"m1","meta":{"a":1,"b":{"c":1}}"#.to_owned(), "meta"),
        (r#""id":"m1","meta":[1]"#.to_owned(), "meta"),
        (r#""id":"m1","meta":"a""#.to_owned(), "meta"),
        (r#""id":"m1","meta":7"#.to_owned(), "meta"),
    ];
    row::run(&[], |server| {
        let scene = Scene::open(server);
        for (members, field) in &cases {
            let text = format!(r#"{{{members},"type":"custom","payload":{{}}}}"#);
            let error = scene.refuse(&text, "bad_message");
            let start: String = members.chars().take(40).collect();
            assert!(json::is(&error, "payload.field", field), "{start}: {}", error.encode());
            assert_reply_to(&error, (*field != "id").then_some("m1"), &start);
        }
        scene.end();
    });
}

#[test]
fn row_26_just_within_the_limits() {
    let session = |bytes: usize| "s".repeat(bytes);
    let x = "x".repeat(128);
    let cases = [
        format!(r#""id":"{x}""#),
        format!(r#""id":"{}xx""#, "€".repeat(42)),
        format!(r#""id":"{}xx""#, r"\u20ac".repeat(42)),
        format!(r#""id":"m1","key":"{x}""#),
        format!(r#""id":"m1","replyTo":"{x}""#),
        format!(r#""id":"m1","meta":{{"a":"{}"}}"#, "x".repeat(1016)),
        format!(r#""id":"m1","sessionId":"{}""#, session(255)),
    ];
    row::run(&[], |server| {
        let mut client = super::common::client::Client::connect(server.address, "user-1", SESSION);
        client.join(&session(255));
        for members in &cases {
            client.ws.text(&format!(r#"{{{members},"type":"custom","payload":{{}}}}"#));
            let came = client.receive();
            assert!(json::is(&came, "type", "custom"), "{members}: {}", came.encode());
        }
        client.ws.close();
    });
}
