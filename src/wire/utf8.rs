//! UTF-8 checked as it arrives: a fault is told with the bytes that hold it, not at the message's end.

/// The unfinished code point at the end of what was checked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8Stream {
    tail: [u8; 4],
    tail_len: u8,
}

/// The bytes so far cannot be the start of valid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl Utf8Stream {
    /// Checks the next bytes.
    ///
    /// # Errors
    /// As soon as no continuation could make the whole valid.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), InvalidUtf8> {
        while self.tail_len > 0 && !bytes.is_empty() {
            self.tail[usize::from(self.tail_len)] = bytes[0];
            self.tail_len += 1;
            bytes = &bytes[1..];
            self.check_tail()?;
        }
        match simdutf8::compat::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(error) => {
                let rest = &bytes[error.valid_up_to()..];
                self.tail[..rest.len()].copy_from_slice(rest);
                self.tail_len = rest.len() as u8; // at most 3: a code point short of a byte
                Ok(())
            }
        }
    }

    /// Whether the text may end here.
    pub const fn is_complete(&self) -> bool {
        self.tail_len == 0
    }

    fn check_tail(&mut self) -> Result<(), InvalidUtf8> {
        match std::str::from_utf8(&self.tail[..usize::from(self.tail_len)]) {
            Ok(_) => {
                self.tail_len = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds byte by byte; returns after how many bytes the fault was told.
    fn fails_at(bytes: &[u8]) -> Option<usize> {
        let mut stream = Utf8Stream::default();
        bytes.iter().position(|b| stream.push(std::slice::from_ref(b)).is_err())
    }

    #[test]
    fn faults_are_told_at_the_first_byte_that_cannot_be_mended() {
        assert_eq!(fails_at("κόσμε 😀".as_bytes()), None);
        assert_eq!(fails_at(b"\xff"), Some(0));
        assert_eq!(fails_at(b"a\xc0"), Some(1));
        assert_eq!(fails_at(b"\xed\xa0\x80"), Some(1));
        assert_eq!(fails_at(b"\xf4\x90\x80\x80"), Some(1));
        assert_eq!(fails_at(b"\xe2\x82a"), Some(2));
        let mut stream = Utf8Stream::default();
        stream.push(b"\xe2\x82").unwrap();
        assert!(!stream.is_complete());
        stream.push(b"\xac!").unwrap();
        assert!(stream.is_complete());
    }

    proptest! {
        #[test]
        fn agrees_with_the_whole_at_any_split(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                ".{0,40}".prop_map(String::into_bytes),
            ],
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut places: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let mut stream = Utf8Stream::default();
            let pushed = places.windows(2).all(|w| stream.push(&bytes[w[0]..w[1]]).is_ok());
            prop_assert_eq!(pushed && stream.is_complete(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
