//! Sessions: who is in them and their newest positions. A member is the sending end of its connection's queue of `T`, what the
//! WebSocket library takes as a message and clones cheaply.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

/// All sessions, shared by all connections.
#[derive(Debug)]
pub struct Sessions<T>(Arc<Mutex<HashMap<String, Session<T>>>>);

#[derive(Debug)]
struct Session<T> {
    members: Vec<UnboundedSender<T>>,
    seq: u64,
}

impl<T> Default for Sessions<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Sessions<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Sessions<T> {
    pub fn join(&self, name: &str, member: &UnboundedSender<T>) {
        let mut sessions = self.lock();
        let session = sessions.entry(name.to_owned()).or_insert_with(|| Session { members: Vec::new(), seq: 0 });
        session.members.push(member.clone());
    }

    /// A session that nobody is left in is forgotten.
    pub fn leave(&self, name: &str, member: &UnboundedSender<T>) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(name) else { return };
        session.members.retain(|found| !found.same_channel(member));
        if session.members.is_empty() {
            sessions.remove(name);
        }
    }

    /// Makes a message for the session's next position, once, and queues it for all members but `excluded`.
    pub fn publish(&self, name: &str, excluded: Option<&UnboundedSender<T>>, make: impl FnOnce(u64) -> T) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(name) else { return };
        session.seq += 1;
        let message = make(session.seq);
        for member in &session.members {
            if !excluded.is_some_and(|excluded| excluded.same_channel(member)) {
                // A member that has just gone gets nothing.
                let _ = member.send(message.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session<T>>> {
        // One thread holds it at a time, and none panics meanwhile.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    #[test]
    fn a_message_reaches_all_members_but_the_excluded() {
        let sessions = Sessions::default();
        let (first, mut to_first) = unbounded_channel();
        let (second, mut to_second) = unbounded_channel();
        sessions.join("s", &first);
        sessions.join("s", &second);
        sessions.publish("s", Some(&first), |seq| seq);
        sessions.publish("s", None, |seq| seq);
        assert_eq!((to_first.try_recv(), to_second.try_recv(), to_second.try_recv()), (Ok(2), Ok(1), Ok(2)));
        sessions.leave("s", &first);
        sessions.leave("s", &second);
        assert!(sessions.lock().is_empty());
    }
}
