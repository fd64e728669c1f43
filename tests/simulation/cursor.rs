//! Cursors, as a client writes and reads them (docs/PROTOCOL.md, "Cursors").

use super::audit::Claim;

/// The cursor of what a user claims.
pub fn write(claims: &[(String, Claim)], user: &str) -> String {
    let place = |(name, claim): &(String, Claim)| {
        let name = if *name == personal(user) { "~".to_owned() } else { encode(name) };
        format!("{name}:{}:{}", claim.epoch, claim.seq)
    };
    claims.iter().map(place).collect::<Vec<_>>().join(",")
}

/// What a cursor of the server says.
pub fn read(text: &str, user: &str) -> Vec<(String, Claim)> {
    let place = |place: &str| {
        let parts: Vec<&str> = place.split(':').collect();
        let [name, epoch, seq] = parts[..] else {
            panic!("{place} is no place in a cursor");
        };
        let name = if name == "~" { personal(user) } else { decode(name) };
        (name, Claim { epoch: epoch.to_owned(), seq: seq.parse().expect("a position is a number") })
    };
    text.split(',').filter(|text| !text.is_empty()).map(place).collect()
}

pub fn personal(user: &str) -> String {
    format!("@{user}")
}

/// Everything but letters and digits as escapes, more than must be.
pub fn encode(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().expect("ok because a split has a first part").as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("an escape is two digits"));
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("a name is UTF-8")
}
