//! What an `EventSource` makes of the bytes of a stream (WHATWG HTML, section 9.2.6): lines, fields, and events that are
//! dispatched at an empty line. What stands behind the last empty line when a stream ends was no event.

/// An event as a listener gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Dispatched {
    /// Its type; empty for one without a name.
    pub name: String,
    pub data: String,
    /// The last event id then.
    pub last_id: String,
}

#[derive(Default)]
pub struct Parser {
    /// Bytes after the last whole line.
    bytes: Vec<u8>,
    name: String,
    data: String,
    id: String,
}

impl Parser {
    /// The events that some more bytes complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Dispatched> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                events.extend(self.dispatch());
            } else {
                self.take_field(&line);
            }
        }
        events
    }

    /// A line ends with LF, CR, or both. A CR at the end waits for what follows.
    fn next_line(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
        let ends_with_both = self.bytes[end] == b'\r' && *self.bytes.get(end + 1)? == b'\n';
        let line = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        self.bytes.drain(..=end + usize::from(ends_with_both));
        Some(line)
    }

    fn take_field(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_owned(),
            "data" => self.data += &format!("{value}\n"),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Dispatched> {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        let data = data.strip_suffix('\n')?.to_owned();
        Some(Dispatched { name, data, last_id: self.id.clone() })
    }
}

#[test]
fn bytes_become_events_however_they_are_cut() {
    let text =
        b": hello\n\nid: 1\ndata: a\ndata:b\n\nevent: close\r\ndata:  c\r\n\r\ndata\n\nid\rdata: d\r\rid: 7\ndata: e\n";
    let event = |name: &str, data: &str, last_id: &str| Dispatched {
        name: name.to_owned(),
        data: data.to_owned(),
        last_id: last_id.to_owned(),
    };
    let expected = [event("", "a\nb", "1"), event("close", " c", "1"), event("", "", "1"), event("", "d", "")];
    for step in 1..text.len() {
        let mut parser = Parser::default();
        let events: Vec<_> = text.chunks(step).flat_map(|part| parser.take(part)).collect();
        assert_eq!(events, expected, "{step}");
    }
}
