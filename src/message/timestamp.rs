//! RFC 3339 timestamps: checking a client's, writing the server's.

/// Bytes of a timestamp in UTC with milliseconds, as in `2026-05-01T12:34:56.789Z`.
pub const TIMESTAMP_BYTES: usize = 24;

/// The text of the most recent millisecond, so that a tick formats its time once.
#[derive(Debug)]
pub struct TimestampText {
    unix_ms: u64,
    text: [u8; TIMESTAMP_BYTES],
}

impl Default for TimestampText {
    fn default() -> Self {
        Self { unix_ms: 0, text: *b"1970-01-01T00:00:00.000Z" }
    }
}

impl TimestampText {
    /// The text of `unix_ms`: UTC, milliseconds.
    pub fn get(&mut self, unix_ms: u64) -> &[u8; TIMESTAMP_BYTES] {
        if self.unix_ms != unix_ms {
            self.unix_ms = unix_ms;
            self.text = format_timestamp(unix_ms);
        }
        &self.text
    }
}

/// Writes `unix_ms` as RFC 3339 in UTC with milliseconds. Times past the year 9999 are written as its end.
pub fn format_timestamp(unix_ms: u64) -> [u8; TIMESTAMP_BYTES] {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    let text = format!("{timestamp:.3}");
    text.as_bytes().try_into().unwrap_or(*b"9999-12-31T23:59:59.999Z")
}

/// Whether `text` is an RFC 3339 `date-time` (section 5.6). A leap second is allowed.
pub fn is_rfc3339(text: &str) -> bool {
    let b = text.as_bytes();
    if b.len() < 20 || !has_separators(b) {
        return false;
    }
    let field = |at: usize, len: usize| number(&b[at..at + len]);
    let (Some(year), Some(month), Some(day)) = (field(0, 4), field(5, 2), field(8, 2)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (field(11, 2), field(14, 2), field(17, 2)) else {
        return false;
    };
    (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60
        && is_fraction_and_offset(&b[19..])
}

fn has_separators(b: &[u8]) -> bool {
    b[4] == b'-' && b[7] == b'-' && matches!(b[10], b'T' | b't') && b[13] == b':' && b[16] == b':'
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n: u32, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
}

/// Days of the month, or zero for a month that does not exist.
fn days_in_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    }
}

fn is_fraction_and_offset(rest: &[u8]) -> bool {
    let rest = match rest.split_first() {
        Some((b'.', tail)) => {
            let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &tail[digits..]
        }
        _ => rest,
    };
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            number(&[*h1, *h2]).is_some_and(|h| h <= 23) && number(&[*m1, *m2]).is_some_and(|m| m <= 59)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_what_it_accepts() {
        assert_eq!(&format_timestamp(0), b"1970-01-01T00:00:00.000Z");
        assert_eq!(&format_timestamp(1_683_030_896_789), b"2023-05-02T12:34:56.789Z");
        assert_eq!(&format_timestamp(u64::MAX), b"9999-12-30T22:00:00.999Z");
        let mut cache = TimestampText::default();
        assert_eq!(cache.get(0), b"1970-01-01T00:00:00.000Z");
        assert_eq!(cache.get(1_000), b"1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn accepts_rfc3339_and_nothing_else() {
        for good in [
            "2023-05-01T12:34:56.789Z",
            "2023-05-01T12:34:56Z",
            "2024-02-29t00:00:00z",
            "2016-12-31T23:59:60Z",
            "2023-05-01T12:34:56.123456789+05:30",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "",
            "2023-05-01",
            "2023-05-01 12:34:56Z",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-05-01T24:00:00Z",
            "2023-05-01T12:60:00Z",
            "2023-05-01T12:34:61Z",
            "2023-05-01T12:34:56",
            "2023-05-01T12:34:56.Z",
            "2023-05-01T12:34:56+0530",
            "2023-05-01T12:34:56Zjunk",
            "yyyy-05-01T12:34:56Z",
            "2023-05-01T12:34:5é.000Z",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }
}
