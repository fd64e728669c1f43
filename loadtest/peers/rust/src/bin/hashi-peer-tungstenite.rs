//! Peer: tokio-tungstenite. `hashi-peer-tungstenite PORT`

fn main() -> std::io::Result<()> {
    hashi_peers::main(hashi_peers::tungstenite::serve)
}
