//! Memberships: joining and leaving a session of a few and of many, finding one by its name.

use std::hint::black_box;

use hashi::tables::Sessions;

use super::{Case, Operation};

pub const CASES: [Case; 4] = [
    Case { name: "sessions/join-and-leave-of-10", operations: 1, prepare: || join_and_leave(10) },
    Case { name: "sessions/join-and-leave-of-1000", operations: 1, prepare: || join_and_leave(1000) },
    Case { name: "sessions/leave-all", operations: JOINED, prepare: leave_all },
    Case { name: "sessions/find", operations: 1, prepare: find },
];

/// Sessions of one connection.
const JOINED: u32 = 8;
const SEED: [u64; 4] = [1, 2, 3, 4];

fn join_and_leave(members: u32) -> Operation {
    let mut sessions = Sessions::new(16, SEED);
    let id = sessions.open("session-123", 0);
    for connection in 0..members {
        sessions.join(connection, id);
    }
    Box::new(move || {
        assert!(sessions.join(members, id));
        assert!(sessions.leave(members, id, 0));
    })
}

fn leave_all() -> Operation {
    let mut sessions = Sessions::new(16, SEED);
    let open = |index| sessions.open(&format!("session-{index}"), 0);
    let ids: Vec<_> = (0..JOINED).map(open).collect();
    Box::new(move || {
        for &id in &ids {
            sessions.join(0, id);
        }
        sessions.leave_all(0, 0);
    })
}

fn find() -> Operation {
    let mut sessions = Sessions::new(2000, SEED);
    for index in 0..1000 {
        sessions.open(&format!("session-{index}"), 0);
    }
    Box::new(move || assert!(sessions.find(black_box("session-123")).is_some()))
}
