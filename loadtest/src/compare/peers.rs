//! The servers that are compared, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::plan::Plan;

/// The server that all others are compared with.
pub const SUBJECT: &str = "hashi";

/// One server.
#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    pub title: &'static str,
    program: Program,
    /// Whether it knows sessions. One without can only send a message back to its sender.
    pub has_sessions: bool,
    /// Arguments that the harness needs to speak with it.
    pub dialect: &'static [&'static str],
    /// The parts whose versions matter.
    pub parts: &'static [Part],
}

#[derive(Debug, Clone, Copy)]
enum Program {
    Hashi,
    /// The bare loop, which is a command of the harness.
    Bare,
    Node(&'static str),
    Bun(&'static str),
    Rust(&'static str),
}

/// Something with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Node,
    Npm(&'static str),
    Crate(&'static str),
}

/// All servers, in the order in which they are shown.
pub const PEERS: &[Peer] = &[
    Peer { name: SUBJECT, title: "Hashi", program: Program::Hashi, has_sessions: true, dialect: &[], parts: &[] },
    Peer {
        name: "bare",
        title: "bare epoll loop",
        program: Program::Bare,
        has_sessions: false,
        dialect: &[],
        parts: &[],
    },
    Peer {
        name: "node-ws",
        title: "Node, ws and Express",
        program: Program::Node("node-ws.js"),
        has_sessions: true,
        dialect: &[],
        parts: &[Part::Node, Part::Npm("ws"), Part::Npm("express"), Part::Npm("bufferutil")],
    },
    Peer {
        name: "bun",
        title: "Bun's server",
        program: Program::Bun("bun.js"),
        has_sessions: true,
        dialect: &[],
        parts: &[Part::Npm("bun")],
    },
    Peer {
        name: "tungstenite",
        title: "tokio-tungstenite",
        program: Program::Rust("hashi-peer-tungstenite"),
        has_sessions: true,
        dialect: &[],
        parts: &[Part::Crate("tokio"), Part::Crate("tokio-tungstenite")],
    },
    Peer {
        name: "fastwebsockets",
        title: "fastwebsockets",
        program: Program::Rust("hashi-peer-fastwebsockets"),
        has_sessions: true,
        dialect: &[],
        parts: &[Part::Crate("tokio"), Part::Crate("fastwebsockets"), Part::Crate("hyper")],
    },
    Peer {
        name: "socket.io",
        title: "Node, Socket.IO",
        program: Program::Node("socketio.js"),
        has_sessions: true,
        dialect: &["--socket-io"],
        parts: &[Part::Node, Part::Npm("socket.io")],
    },
];

/// Where the programs are.
#[derive(Debug)]
pub struct Places {
    /// This program, whose folder has the other builds.
    pub harness: PathBuf,
    pub hashi: PathBuf,
}

impl Places {
    /// Beside this program, unless another build of the server is to be measured.
    pub fn find(hashi: Option<PathBuf>) -> std::io::Result<Self> {
        let harness = std::env::current_exe()?;
        let hashi = hashi.unwrap_or_else(|| harness.with_file_name("hashi"));
        Ok(Self { harness, hashi })
    }
}

/// The folder of the peers that are no Rust.
pub fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
}

impl Peer {
    /// Whether it can do what a scenario needs.
    pub fn can_run(&self, plan: &Plan) -> bool {
        let is_meant = plan.peers.is_empty() || plan.peers.contains(&self.name);
        is_meant && (self.has_sessions || !plan.needs_sessions)
    }

    /// The command that starts it on a port.
    pub fn command(&self, places: &Places, port: u16) -> Command {
        match self.program {
            Program::Hashi => hashi(&places.hashi, port),
            Program::Bare => with_args(&places.harness, &["bare-echo", "--port", &port.to_string()]),
            Program::Node(script) => scripted(Path::new("node"), script, port),
            Program::Rust(name) => with_args(&places.harness.with_file_name(name), &[&port.to_string()]),
            Program::Bun(script) => scripted(&folder().join("node_modules/.bin/bun"), script, port),
        }
    }
}

/// The server with its defaults, but for two limits: connections as many as are measured, and queues that hold the 32 messages
/// in flight of a fan-out with room to spare.
fn hashi(program: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.env("WEBSOCKET_PORT", port.to_string());
    command.env("WEBSOCKET_MAX_CONNECTIONS", "20000");
    command.env("WEBSOCKET_MESSAGE_QUEUE_SIZE", "1024");
    command
}

fn scripted(program: &Path, script: &str, port: u16) -> Command {
    let mut command = Command::new(program);
    command.arg(folder().join(script)).arg(port.to_string()).env("NODE_ENV", "production");
    command
}

fn with_args(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_name_exists() {
        let package = std::fs::read_to_string(folder().join("package.json")).unwrap();
        let manifest = std::fs::read_to_string(folder().join("rust/Cargo.toml")).unwrap();
        for peer in PEERS {
            if let Program::Node(script) | Program::Bun(script) = peer.program {
                assert!(folder().join(script).exists(), "{script}");
            }
            for part in peer.parts {
                match part {
                    Part::Node => {}
                    Part::Npm(name) => assert!(package.contains(&format!("\"{name}\": ")), "{name}"),
                    Part::Crate(name) => assert!(manifest.contains(&format!("\n{name} = ")), "{name}"),
                }
            }
        }
    }

    #[test]
    fn the_subject_is_the_first() {
        assert_eq!(PEERS[0].name, SUBJECT);
    }
}
