//! What became of a publication.

use super::OutcomeId;
use crate::message::encode::{write_json_string, write_number};

/// What became of a publication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The position it took; `None` for messages without a sequence.
    pub seq: Option<u64>,
    /// Connections it was addressed to, without the excluded sender.
    pub matched: u32,
    /// Those of them whose ring took it.
    pub queued: u32,
    /// Where its confirmations are counted, if its sender wants to know them.
    pub(crate) outcome: Option<OutcomeId>,
}

impl Published {
    /// Writes `{"id":…,"seq":…,"matched":…,"queued":…}`.
    pub fn write(&self, out: &mut Vec<u8>, id: &str) {
        out.extend_from_slice(b"{\"id\":");
        write_json_string(out, id);
        write_seq(out, self.seq);
        write_count(out, "matched", self.matched);
        write_count(out, "queued", self.queued);
        out.push(b'}');
    }
}

/// How many of a message's receivers have done what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub matched: u32,
    /// Those that have confirmed it.
    pub confirmed: u32,
    /// Those for which its time or its attempts ran out, or a newer message of its key came.
    pub expired: u32,
    /// Those that do not confirm.
    pub unconfirmable: u32,
}

impl Counts {
    /// Whether nothing changes any more.
    pub const fn are_settled(&self) -> bool {
        self.confirmed + self.expired + self.unconfirmable == self.matched
    }

    /// Writes `{"id":…,"matched":…,"confirmed":…,"expired":…,"unconfirmable":…}`, with the position behind the id if one is
    /// given.
    pub fn write(&self, out: &mut Vec<u8>, id: &str, seq: Option<Option<u64>>) {
        out.extend_from_slice(b"{\"id\":");
        write_json_string(out, id);
        if let Some(seq) = seq {
            write_seq(out, seq);
        }
        write_count(out, "matched", self.matched);
        write_count(out, "confirmed", self.confirmed);
        write_count(out, "expired", self.expired);
        write_count(out, "unconfirmable", self.unconfirmable);
        out.push(b'}');
    }
}

fn write_seq(out: &mut Vec<u8>, seq: Option<u64>) {
    out.extend_from_slice(b",\"seq\":");
    match seq {
        Some(seq) => write_number(out, seq),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_count(out: &mut Vec<u8>, name: &str, count: u32) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_number(out, u64::from(count));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_are_written_in_one_order() {
        let published = Published { seq: Some(7), matched: 3, queued: 2, outcome: None };
        assert_eq!(text(|out| published.write(out, "m")), r#"{"id":"m","seq":7,"matched":3,"queued":2}"#);
        let counts = Counts { matched: 3, confirmed: 1, expired: 1, unconfirmable: 1 };
        let rest = r#""matched":3,"confirmed":1,"expired":1,"unconfirmable":1}"#;
        assert_eq!(text(|out| counts.write(out, "m", None)), format!(r#"{{"id":"m",{rest}"#));
        assert_eq!(text(|out| counts.write(out, "m", Some(None))), format!(r#"{{"id":"m","seq":null,{rest}"#));
        assert!(counts.are_settled() && !Counts { matched: 4, ..counts }.are_settled());
    }
}
