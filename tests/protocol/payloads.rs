//! A payload is passed on byte for byte.

use super::common::client::Client;
use super::common::frame::{CONTINUATION, Frame, TEXT};
use super::common::json;
use super::common::websocket::Event;
use super::server;

const PAYLOADS: [&str; 42] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1.10",
    "1E5",
    "1e+05",
    "-1.5e-300",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
    r#""""#,
    r#"" ""#,
    r#""text""#,
    r#""é€😀\u00e9\u20ac\ud83d\ude00""#,
    r#""\"\\\/\b\f\n\r\t\u0000\u001f""#,
    r#""\\""#,
    r#""\\\"}""#,
    r#""a,}]{[:\"payload\":1""#,
    "\"\u{7f}\u{80}\u{2028}\u{feff}\u{10ffff}\"",
    "[]",
    "[ ]",
    "[\t]",
    "{}",
    "{ }",
    "[1,2 ,3 , 4]",
    "[[],[[]],{}]",
    r#"{"a":1,"a":2}"#,
    r#"{"":{"":""}}"#,
    r#"{"id":"x","type":"y","payload":{"payload":"z"},"seq":1}"#,
    r#"{ "a" : [ 1 , { "b" : null } ] , "c" : "d" }"#,
    "{\n  \"a\": 1,\r\n\t\"b\": [\n  ]\n}",
    r#"{"\u0061":"\u0062"}"#,
    r#"{"html":"<a href='x'>&amp;</a>"}"#,
    r#"["key","ack","to",{"echo":true}]"#,
    r#"{"__proto__":{"x":1},"constructor":null}"#,
    r#"{"z":1,"y":2,"x":3,"10":4,"9":5}"#,
    r#"["\ud83d\ude00","\uD83D\uDE00"]"#,
];

/// The payload in the text of a message, which is known to begin like this.
#[track_caller]
fn assert_payload(event: &Event, payload: &str) {
    let Event::Text(text) = event else { panic!("the message with {payload}, not {event:?}") };
    let start = text.find(r#""payload":"#).unwrap_or_else(|| panic!("no payload in {text}")) + r#""payload":"#.len();
    let rest = text[start..].strip_prefix(payload);
    assert!(rest.is_some_and(|rest| rest.starts_with(['}', ','])), "{payload} is not as it was in {text}");
    json::parse(text);
}

#[test]
fn payloads_are_passed_on_byte_for_byte() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let mut other = Client::connect(server.address, "user-2", "s1");
    for payload in PAYLOADS {
        for text in [
            format!(r#"{{"id":"m1","type":"custom","payload":{payload}}}"#),
            format!(r#"{{"payload":{payload},"id":"m1","type":"custom"}}"#),
            format!("\r\n{{ \"id\" : \"m1\" ,\n\"payload\"\t:  {payload} \n,\"type\" :\"custom\" }} "),
            format!(r#"{{"id":"m\u0031","type":"custom","pay\u006coad":{payload},"unknown":{payload}}}"#),
        ] {
            client.ws.text(&text);
            assert_payload(&client.ws.next(), payload);
            assert_payload(&other.ws.next(), payload);
        }
    }
    client.ws.close();
    other.ws.close();
}

#[test]
fn nested_as_deep_as_allowed() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let arrays = format!("{}{}", "[ ".repeat(32), "]\n".repeat(31) + "]");
    let objects = format!("{}0{}", r#"{"a":"#.repeat(32), "}".repeat(32));
    let wide = format!("[{}]", vec![format!("{}{}", "[".repeat(31), "]".repeat(31)); 50].join(", "));
    for payload in [arrays, objects, wide] {
        client.ws.text(&format!(r#"{{"id":"m1","type":"custom","payload":{payload}}}"#));
        assert_payload(&client.ws.next(), &payload);
    }
    client.ws.close();
}

#[test]
fn small_and_large() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let around = |middle: usize| (middle.saturating_sub(3)..middle + 4).collect::<Vec<_>>();
    let sizes = [around(60), around(125), around(256), around(4096), vec![16_384, 65_000, 65_535]].concat();
    for size in sizes {
        let mut text = r#"{"id":"m1","type":"custom","payload":""#.to_owned();
        let fill = size.saturating_sub(text.len() + 2);
        let payload = format!("\"{}\"", "é".repeat(fill / 2) + &"x".repeat(fill % 2));
        text.truncate(text.len() - 1);
        text += &payload;
        client.ws.text(&(text + "}"));
        assert_payload(&client.ws.next(), &payload);
    }
    client.ws.close();
}

#[test]
fn in_fragments() {
    let server = server();
    let mut client = Client::connect(server.address, "user-1", "s1");
    let payload = r#"{ "a" : "é\u00e9" , "b":[ ] }"#;
    let text = format!(r#"{{"id":"m1","type":"custom","payload":{payload}}}"#);
    for length in [1, 2, 3, 7, 40] {
        let mut pieces = text.as_bytes().chunks(length).enumerate().peekable();
        while let Some((index, piece)) = pieces.next() {
            let frame = Frame::new(if index == 0 { TEXT } else { CONTINUATION }, piece);
            client.ws.send(&if pieces.peek().is_some() { frame.not_final() } else { frame });
        }
        assert_payload(&client.ws.next(), payload);
    }
    client.ws.close();
}
