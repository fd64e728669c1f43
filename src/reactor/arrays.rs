//! Array frames: what one drain holds for a client with the feature `batch`, as one JSON array.
//!
//! The frame is made when it is written, and used again for rows with the same batch. What the socket does not take of it is kept
//! as it is; its messages are done with when that is written.

use super::Reactor;
use super::net::{Clock, Net};
use crate::config::limits::{ARRAY_MESSAGES_MAX, BATCH_SCRATCH_BYTES_KEPT};
use crate::tables::batch::Batch;
use crate::tables::{MessageId, Messages};
use crate::wire::websocket::{SERVER_HEADER_BYTES_MAX, prepend_text_header, text_of};

/// The frame of the last array and the messages in it.
#[derive(Default)]
pub(super) struct ArrayFrame {
    ids: Vec<MessageId>,
    /// The frame, behind room for a longer header.
    buffer: Vec<u8>,
    start: usize,
}

impl ArrayFrame {
    /// Puts the batch's messages together, unless the last array was of the same ones. All of them are text.
    fn fill(&mut self, batch: &Batch, messages: &Messages) {
        if !self.ids.is_empty() && batch.ids().eq(self.ids.iter().copied()) {
            return;
        }
        self.ids.clear();
        self.ids.extend(batch.ids());
        self.buffer.clear();
        self.buffer.resize(SERVER_HEADER_BYTES_MAX, 0);
        for id in batch.ids() {
            let is_first = self.buffer.len() == SERVER_HEADER_BYTES_MAX;
            self.buffer.push(if is_first { b'[' } else { b',' });
            self.buffer.extend_from_slice(text_of(messages.frame(id)).expect("ok because arrays are made of text"));
        }
        self.buffer.push(b']');
        self.start = prepend_text_header(&mut self.buffer).start;
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// As for gathered bytes: nothing is kept over a tick, nor past a free.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
        if self.buffer.capacity() > BATCH_SCRATCH_BYTES_KEPT {
            self.buffer = Vec::new();
        }
    }
}

/// How many messages at the front of a batch go out together: as many as are text, or one that is not.
pub(super) fn leading_messages(batch: &Batch, messages: &Messages) -> usize {
    let is_text = |id: &MessageId| text_of(messages.frame(*id)).is_some();
    batch.ids().take(ARRAY_MESSAGES_MAX).take_while(is_text).count().max(1)
}

impl<N: Net, C: Clock> Reactor<N, C> {
    /// Writes the collected batch, of text messages only, as one array. Returns how many bytes the socket took.
    pub(super) fn write_array(&mut self, slot: u32) -> usize {
        self.gathered.array.fill(&self.batch, &self.core.delivery.tables.messages);
        let offered = self.gathered.array.bytes().len();
        let result = self.net.write(slot, self.gathered.array.bytes());
        let Some(written) = self.note_write(slot, result) else {
            return 0;
        };
        self.core.metrics.arrays += u64::from(written > 0);
        if written == offered {
            self.consume(slot, self.batch.bytes());
        } else if written > 0 && !self.keep_rest_of_array(slot, written) {
            return written;
        }
        self.note_progress(slot, written, offered);
        written
    }

    /// Keeps what the socket did not take. Without memory for it the row is cut: its client comes back with its positions.
    fn keep_rest_of_array(&mut self, slot: u32, written: usize) -> bool {
        let core = &mut self.core;
        let kept = core.delivery.store_text(&self.gathered.array.bytes()[written..]);
        self.gathered.forget(); // storing may have freed what history kept
        match kept {
            Ok(text) => {
                let tables = &mut core.delivery.tables;
                tables.outputs.carry(slot, &self.batch, text, &tables.messages);
                true
            }
            Err(error) => {
                log::debug!("array: {error}");
                core.doom(slot);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Priority;
    use crate::tables::Outputs;
    use crate::tables::messages::Description;
    use crate::wire::websocket::{write_close, write_frame};
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    struct Bench {
        outputs: Outputs,
        messages: Messages,
        batch: Batch,
    }

    impl Bench {
        fn new() -> Self {
            let mut outputs = Outputs::default();
            outputs.open(0);
            Self { outputs, messages: Messages::new(1 << 20), batch: Batch::default() }
        }

        fn push(&mut self, frame: &[u8]) {
            let id = self.messages.store(frame, Description::plain(Priority::Normal, 0), 0).unwrap();
            self.outputs.push(0, Priority::Normal, id, frame.len() as u32);
        }

        fn push_text(&mut self, text: &str) {
            let mut frame = Vec::new();
            write_frame(&mut frame, OpCode::Data(Data::Text), text.as_bytes());
            self.push(&frame);
        }

        fn leading(&mut self) -> usize {
            self.outputs.collect(0, &self.messages, &mut self.batch);
            leading_messages(&self.batch, &self.messages)
        }
    }

    #[test]
    fn texts_become_one_array_frame() {
        let mut bench = Bench::new();
        let long = format!("\"{}\"", "x".repeat(300));
        for text in ["{}", "1", &long] {
            bench.push_text(text);
        }
        assert_eq!(bench.leading(), 3);
        let mut array = ArrayFrame::default();
        array.fill(&bench.batch, &bench.messages);
        assert_eq!(text_of(array.bytes()), Some(format!("[{{}},1,{long}]").as_bytes()));
        let made_at = array.buffer.as_ptr();
        array.fill(&bench.batch, &bench.messages);
        assert_eq!(array.buffer.as_ptr(), made_at);
    }

    #[test]
    fn what_is_no_text_ends_an_array() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            bench.push_text("{}");
        }
        let mut close = Vec::new();
        write_close(&mut close, 1000, "");
        bench.push(&close);
        bench.push_text("{}");
        assert_eq!(bench.leading(), 2);
        bench.batch.truncate(2, &bench.messages);
        assert_eq!((bench.batch.ids().len(), bench.batch.bytes()), (2, 8));
        bench.outputs.consume(0, &bench.batch, 8, &mut bench.messages, |messages, id| {
            messages.release(id);
        });
        assert_eq!(bench.leading(), 1);
    }

    #[test]
    fn an_array_has_at_most_so_many() {
        let mut bench = Bench::new();
        for _ in 0..2 * ARRAY_MESSAGES_MAX {
            bench.push_text("{}");
        }
        assert_eq!(bench.leading(), ARRAY_MESSAGES_MAX);
    }
}
