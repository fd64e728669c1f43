//! Cursors: where a reader stands in its sessions, as one line of text.
//!
//! `session:epoch:seq`, joined by commas. Names are percent-encoded; `~` alone stands for the user's personal session.
//! Only the form is checked here: a place that cannot be is a claim like any other, and is answered like one that is too old.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::percent_decode;
use crate::config::limits::{RESUME_POSITIONS_MAX, SESSION_BYTES_MAX};
use crate::message::encode::write_number;
use crate::message::system::Claim;

/// Stands for the personal session. In a name it is encoded.
const PERSONAL: &str = "~";
/// What a name does not show as it is: all but the other unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Where a reader stands in one session.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The session's name; `None` for the personal one.
    pub name: Option<&'a str>,
    /// The life of the session that the position counts in.
    pub epoch: String,
    /// The position.
    pub seq: u64,
}

/// Appends the cursor of `places`.
pub fn write_cursor<'a>(out: &mut Vec<u8>, places: impl IntoIterator<Item = Place<'a>>) {
    for (index, place) in places.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match place.name {
            None => out.extend_from_slice(PERSONAL.as_bytes()),
            Some(name) => utf8_percent_encode(name, ENCODED).for_each(|part| out.extend_from_slice(part.as_bytes())),
        }
        out.push(b':');
        out.extend_from_slice(place.epoch.as_bytes());
        out.push(b':');
        write_number(out, place.seq);
    }
}

/// Reads a cursor: names of sessions, the personal one's for `~`, and what is claimed of each. `None` for what has not
/// the form of one, or names more sessions than a resume may.
pub fn parse_cursor(text: &str, personal: &str) -> Option<Vec<(String, Claim)>> {
    let places: Option<Vec<_>> = text.split(',').map(|place| parse_place(place, personal)).collect();
    places.filter(|places| places.len() <= RESUME_POSITIONS_MAX)
}

fn parse_place(text: &str, personal: &str) -> Option<(String, Claim)> {
    let mut parts = text.split(':');
    let (name, epoch, seq) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let name = if name == PERSONAL { personal.to_owned() } else { percent_decode(name)?.into_owned() };
    let claim = Claim { epoch: Some(epoch.to_owned()), seq: parse_seq(seq) };
    (1..=SESSION_BYTES_MAX).contains(&name.len()).then_some((name, claim))
}

/// Digits only: `+1` is none.
fn parse_seq(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(epoch: &str, seq: Option<u64>) -> Claim {
        Claim { epoch: Some(epoch.to_owned()), seq }
    }

    #[test]
    fn names_are_encoded_and_the_personal_session_is_a_tilde() {
        let mut out = Vec::new();
        let places = [
            Place { name: Some("a b/ü~,:%"), epoch: "0f".into(), seq: 7 },
            Place { name: None, epoch: "e_-1".into(), seq: 0 },
        ];
        write_cursor(&mut out, places);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a%20b%2F%C3%BC%7E%2C%3A%25:0f:7,~:e_-1:0");
        let expected = vec![("a b/ü~,:%".to_owned(), claim("0f", Some(7))), ("@me".to_owned(), claim("e_-1", Some(0)))];
        assert_eq!(parse_cursor(&text, "@me"), Some(expected));
    }

    #[test]
    fn what_cannot_be_a_position_is_a_claim_without_one() {
        for seq in ["-1", "+1", "1.5", "18446744073709551616", "x", ""] {
            assert_eq!(
                parse_cursor(&format!("s:e:{seq}"), "@me"),
                Some(vec![("s".to_owned(), claim("e", None))]),
                "{seq}"
            );
        }
    }

    #[test]
    fn what_has_another_form_is_no_cursor() {
        for text in ["", "s", "s:e", "s:e:1:2", ":e:1", "s:e:1,", "%:e:1", "%ff:e:1", &"x".repeat(300)] {
            assert_eq!(parse_cursor(text, "@me"), None, "{text}");
        }
        let many = vec!["s:e:1"; RESUME_POSITIONS_MAX + 1].join(",");
        assert_eq!(parse_cursor(&many, "@me"), None);
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(name in "[^\u{0}-\u{1f}@\u{7f}-\u{9f}].{0,20}", seq in 0_u64..1 << 53) {
            let mut out = Vec::new();
            write_cursor(&mut out, [Place { name: Some(&name), epoch: "e".into(), seq }]);
            prop_assert!(out.iter().all(|byte| byte.is_ascii_graphic()));
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(parse_cursor(&text, "@me"), Some(vec![(name, claim("e", Some(seq)))]));
        }

        #[test]
        fn no_text_is_too_much(text in any::<String>()) {
            let _ = parse_cursor(&text, "@me");
        }
    }
}
