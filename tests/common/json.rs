//! Short ways into parsed JSON. A path names members, separated by dots.

use simd_json::OwnedValue;
use simd_json::prelude::*;

/// Parses one JSON text.
#[track_caller]
pub fn parse(text: impl AsRef<[u8]>) -> OwnedValue {
    let text = text.as_ref();
    let mut bytes = text.to_vec();
    simd_json::to_owned_value(&mut bytes)
        .unwrap_or_else(|error| panic!("no JSON ({error}): {}", String::from_utf8_lossy(text)))
}

/// The member at `path`, if it is there.
pub fn find<'a>(value: &'a OwnedValue, path: &str) -> Option<&'a OwnedValue> {
    path.split('.').try_fold(value, |at, name| at.get(name))
}

/// The string at `path`.
#[track_caller]
pub fn string<'a>(value: &'a OwnedValue, path: &str) -> &'a str {
    find(value, path).and_then(|found| found.as_str()).unwrap_or_else(|| missing("string", path, value))
}

/// The whole number at `path`.
#[track_caller]
pub fn number(value: &OwnedValue, path: &str) -> u64 {
    find(value, path).and_then(|found| found.as_u64()).unwrap_or_else(|| missing("number", path, value))
}

/// The boolean at `path`.
#[track_caller]
pub fn boolean(value: &OwnedValue, path: &str) -> bool {
    find(value, path).and_then(|found| found.as_bool()).unwrap_or_else(|| missing("boolean", path, value))
}

/// Whether the string at `path` is `expected`.
pub fn is(value: &OwnedValue, path: &str, expected: &str) -> bool {
    find(value, path).and_then(|found| found.as_str()) == Some(expected)
}

#[track_caller]
fn missing(kind: &str, path: &str, value: &OwnedValue) -> ! {
    panic!("no {kind} at {path} in {}", value.encode())
}
