//! Outputs with one row, for tests.

use super::Outputs;
use crate::message::Priority;
use crate::tables::batch::Batch;
use crate::tables::messages::{Description, Place};
use crate::tables::{MessageId, Messages, SessionId};

pub fn store(messages: &mut Messages, priority: Priority, text: &[u8]) -> MessageId {
    let description = Description::plain(priority, 0);
    messages.store(text, description, 0).unwrap()
}

pub struct Bench {
    pub outputs: Outputs,
    pub messages: Messages,
    pub batch: Batch,
}

impl Bench {
    pub fn new() -> Self {
        let mut outputs = Outputs::default();
        outputs.open(0);
        Self { outputs, messages: Messages::new(1 << 30), batch: Batch::default() }
    }

    pub fn push(&mut self, priority: Priority, text: &[u8]) {
        let id = store(&mut self.messages, priority, text);
        self.outputs.push(0, priority, id, text.len() as u32);
    }

    pub fn push_of_session(&mut self, priority: Priority, text: &[u8]) {
        let session = SessionId { slot: 0, generation: 0 };
        let description = Description { place: Some(Place { session, seq: 1 }), ..Description::plain(priority, 0) };
        let id = self.messages.store(text, description, 0).unwrap();
        self.outputs.push(0, priority, id, text.len() as u32);
    }

    /// Writes up to `room` bytes of one batch; what came out.
    pub fn write(&mut self, room: usize) -> Vec<u8> {
        self.outputs.collect(0, &self.messages, &mut self.batch);
        let mut bytes = Vec::new();
        if let Some((id, offset)) = self.batch.partial() {
            bytes.extend_from_slice(&self.messages.frame(id)[offset..]);
        }
        for id in self.batch.ids() {
            bytes.extend_from_slice(self.messages.frame(id));
        }
        assert_eq!(bytes.len(), self.batch.bytes());
        bytes.truncate(room);
        self.outputs.consume(0, &self.batch, bytes.len(), &mut self.messages, |messages, id| {
            messages.release(id);
        });
        self.outputs.invariants(&self.messages);
        bytes
    }
}
