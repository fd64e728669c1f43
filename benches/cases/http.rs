//! Request heads: a browser's opening handshake and a REST request.

use std::hint::black_box;

use hashi::wire::http::{header_slots, parse_head};
use hashi::wire::upgrade::check_upgrade;

use super::{Case, Operation};

pub const CASES: [Case; 2] = [
    Case { name: "http/handshake", operations: 1, prepare: handshake },
    Case { name: "http/rest-head", operations: 1, prepare: rest_head },
];

/// As a browser sends it.
pub const HANDSHAKE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: localhost:3001\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nSec-WebSocket-Version: 13\r\n\
    Origin: http://localhost:5173\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: keep-alive, Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n";

const REST: &[u8] = b"POST /ws-api/send HTTP/1.1\r\nHost: localhost:3001\r\nAuthorization: Bearer service:jobs\r\n\
    Content-Type: application/json\r\nContent-Length: 200\r\nAccept: */*\r\n\r\n";

fn handshake() -> Operation {
    Box::new(|| {
        let mut slots = header_slots();
        let head = parse_head(black_box(HANDSHAKE), &mut slots).expect("a valid head").expect("a whole head");
        let upgrade = check_upgrade(&head).expect("a valid handshake");
        black_box(upgrade.protocols().count());
    })
}

fn rest_head() -> Operation {
    Box::new(|| {
        let mut slots = header_slots();
        let head = parse_head(black_box(REST), &mut slots).expect("a valid head").expect("a whole head");
        black_box(head.body);
    })
}
