//! Chains: ordered lists through the slots of one table, constant time to append to and to take out of.
//!
//! The table that owns the slots keeps one [`Chain`] for each list and one [`Links`] for each kind of list. A slot is in at
//! most one chain of a kind.

const NONE: u32 = u32::MAX;

/// One list: its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl Chain {
    /// Slots in it.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slot that was appended first.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// The neighbours of every slot in the chains of one kind.
#[derive(Debug, Default)]
pub struct Links {
    /// By slot; valid for slots that are in a chain.
    links: Vec<Link>,
}

impl Links {
    /// Puts a slot at a chain's end.
    pub fn append(&mut self, chain: &mut Chain, slot: u32) {
        let at = slot as usize;
        if self.links.len() <= at {
            self.links.resize(at + 1, Link { previous: NONE, next: NONE });
        }
        self.links[at] = Link { previous: chain.last, next: NONE };
        match self.links.get_mut(chain.last as usize) {
            Some(before) => before.next = slot,
            None => chain.first = slot,
        }
        chain.last = slot;
        chain.len += 1;
    }

    /// Takes a slot out of the chain that it is in.
    pub fn remove(&mut self, chain: &mut Chain, slot: u32) {
        let Link { previous, next } = self.links[slot as usize];
        match self.links.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => chain.first = next,
        }
        match self.links.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => chain.last = previous,
        }
        chain.len -= 1;
    }

    /// The slots of a chain, in the order they were appended.
    pub fn iter(&self, chain: Chain) -> impl Iterator<Item = u32> + '_ {
        let mut at = chain.first;
        std::iter::from_fn(move || {
            let slot = at;
            at = self.links.get(slot as usize)?.next;
            Some(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chains_are_what_plain_vectors_say(steps in proptest::collection::vec((0_usize..3, 0_u32..20), 0..200)) {
            let mut links = Links::default();
            let mut chains = [Chain::default(); 3];
            let mut model: [Vec<u32>; 3] = Default::default();
            for (which, slot) in steps {
                match model.iter().position(|list| list.contains(&slot)) {
                    Some(owner) => {
                        links.remove(&mut chains[owner], slot);
                        model[owner].retain(|other| *other != slot);
                    }
                    None => {
                        links.append(&mut chains[which], slot);
                        model[which].push(slot);
                    }
                }
                for (chain, list) in chains.iter().zip(&model) {
                    prop_assert_eq!(&links.iter(*chain).collect::<Vec<_>>(), list);
                    prop_assert_eq!((chain.len(), chain.first()), (list.len(), list.first().copied()));
                }
            }
        }
    }
}
