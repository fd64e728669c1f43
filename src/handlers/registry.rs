//! Which handler and which observers belong to a type.

use std::collections::HashMap;
use std::sync::Arc;

use super::message::{Context, Message};

/// The code of a handler or observer.
pub type HandlerFn = Arc<dyn Fn(&Message, &Context<'_>) + Send + Sync>;

/// Names a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandlerId(pub(super) u64);

/// Whether a registration consumes its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It consumes them.
    Handler,
    /// It only sees them.
    Observer,
}

struct Registration {
    id: HandlerId,
    role: Role,
    run: HandlerFn,
}

/// All registrations. Types are named by the embedder, not by peers.
#[derive(Default)]
pub struct Registry {
    by_kind: HashMap<String, Vec<Registration>>,
}

impl Registry {
    /// Adds a registration.
    pub fn add(&mut self, id: HandlerId, kind: String, role: Role, run: HandlerFn) {
        self.by_kind.entry(kind).or_default().push(Registration { id, role, run });
    }

    /// Removes a registration, if it is there.
    pub fn remove(&mut self, id: HandlerId) {
        self.by_kind.retain(|_, list| {
            list.retain(|registration| registration.id != id);
            !list.is_empty()
        });
    }

    /// Whether anything is registered for a type.
    pub fn concerns(&self, kind: &str) -> bool {
        !self.by_kind.is_empty() && self.by_kind.contains_key(kind)
    }

    /// The handler of a type: the one registered last.
    pub fn handler(&self, kind: &str) -> Option<&HandlerFn> {
        let list = self.by_kind.get(kind)?;
        list.iter().rev().find(|r| r.role == Role::Handler).map(|r| &r.run)
    }

    /// The observers of a type, in the order of registration.
    pub fn observers(&self, kind: &str) -> impl Iterator<Item = &HandlerFn> {
        let list = self.by_kind.get(kind).map_or(&[][..], Vec::as_slice);
        list.iter().filter(|r| r.role == Role::Observer).map(|r| &r.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> HandlerFn {
        Arc::new(|_, _| {})
    }

    #[test]
    fn the_newest_handler_counts_and_the_older_one_comes_back() {
        let mut registry = Registry::default();
        let (old, new) = (code(), code());
        registry.add(HandlerId(1), "t".into(), Role::Handler, Arc::clone(&old));
        registry.add(HandlerId(2), "t".into(), Role::Handler, Arc::clone(&new));
        registry.add(HandlerId(3), "t".into(), Role::Observer, code());
        assert!(Arc::ptr_eq(registry.handler("t").unwrap(), &new));
        assert_eq!(registry.observers("t").count(), 1);
        registry.remove(HandlerId(2));
        assert!(Arc::ptr_eq(registry.handler("t").unwrap(), &old));
        registry.remove(HandlerId(1));
        registry.remove(HandlerId(3));
        assert!(!registry.concerns("t") && registry.handler("t").is_none());
    }
}
