//! Peer: fastwebsockets. `hashi-peer-fastwebsockets PORT`

fn main() -> std::io::Result<()> {
    hashi_peers::main(hashi_peers::fastwebsockets::serve)
}
