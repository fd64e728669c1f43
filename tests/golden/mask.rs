//! What differs from run to run is checked for its form and masked. What has another form stays, and is a difference.

use serde_json::Value;

/// Masks an answer to the message `sent`.
pub fn mask(answer: &Value, sent: &str) -> Value {
    let mut answer = answer.clone();
    replace(&mut answer, "timestamp", "<time>", is_time);
    let own_id = answer["id"].as_str().is_some_and(|id| !sent.contains(id));
    if own_id {
        replace(&mut answer, "id", "<id>", is_uuid_7);
    }
    let is_of_the_server = answer.get("from").is_none();
    if is_of_the_server && let Some(payload) = answer.get_mut("payload") {
        mask_payload(payload);
    }
    answer
}

/// Masks the payload of a system message.
fn mask_payload(payload: &mut Value) {
    replace(payload, "serverTime", "<time>", is_time);
    replace(payload, "connectionId", "<connection id>", is_connection_id);
    replace(payload, "server", "<server>", |text| !text.is_empty());
    replace(payload, "epoch", "<epoch>", is_epoch);
    if payload.get("code").is_some() {
        replace(payload, "message", "<text>", |text| !text.is_empty());
    }
    for position in payload.get_mut("positions").and_then(Value::as_array_mut).into_iter().flatten() {
        replace(position, "epoch", "<epoch>", is_epoch);
    }
}

fn replace(object: &mut Value, member: &str, mask: &str, has_form: impl Fn(&str) -> bool) {
    if let Some(value) = object.get_mut(member)
        && value.as_str().is_some_and(has_form)
    {
        *value = mask.into();
    }
}

/// UTC with milliseconds.
fn is_time(text: &str) -> bool {
    shape(text, |c| c.is_ascii_digit()) == "0000-00-00T00:00:00.000Z"
}

fn is_uuid_7(text: &str) -> bool {
    shape(text, |c| c.is_ascii_hexdigit()) == "00000000-0000-0000-0000-000000000000" && text.as_bytes()[14] == b'7'
}

/// 128 bits.
fn is_connection_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_epoch(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(plain)
}

/// The text with every digit as zero.
fn shape(text: &str, is_digit: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if is_digit(c) { '0' } else { c }).collect()
}
