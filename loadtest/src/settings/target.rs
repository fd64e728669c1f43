//! Where and how to connect.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, FromArgMatches};
use serde::Deserialize;

use super::{nanoseconds, settings};
use crate::error::Result;
use crate::reactor::{Dialect, Target};
use crate::socket_io;

/// Where and how to connect.
#[derive(Debug, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetArgs {
    /// The server; only ws://
    #[arg(long, default_value = "ws://127.0.0.1:3001/ws")]
    pub url: String,
    /// Path to connect to, instead of the URL's
    #[arg(long)]
    path: Option<String>,
    /// Speak Socket.IO, at its usual path
    #[arg(long)]
    socket_io: bool,
    /// A connection must be open within this time
    #[arg(long, default_value_t = 10.0)]
    connect_timeout_seconds: f64,
    /// Connections that may be opening at the same time
    #[arg(long, default_value_t = 128)]
    opening_at_once: usize,
}

defaults_of_the_command_line!(TargetArgs);

impl TargetArgs {
    /// The target for messages of this length.
    pub fn target(&self, dialect: Dialect, message_bytes: usize, server_pid: Option<u32>) -> Result<Target> {
        let (host, path) = split_url(&self.url)?;
        let (dialect, path) = if self.socket_io { (Dialect::SocketIo, socket_io::PATH) } else { (dialect, path) };
        if self.opening_at_once == 0 {
            return settings("opening_at_once must be at least 1");
        }
        Ok(Target {
            address: resolve(host)?,
            host: host.into(),
            path: self.path.clone().unwrap_or_else(|| path.into()),
            dialect,
            message_bytes,
            opening_at_once: self.opening_at_once,
            timeout_ns: nanoseconds("connect_timeout_seconds", self.connect_timeout_seconds)?,
            server_pid,
            run: run_name(),
        })
    }
}

/// Splits `ws://host:port/path` into `host:port` and the path.
fn split_url(url: &str) -> Result<(&str, &str)> {
    let Some(rest) = url.strip_prefix("ws://") else {
        return settings(format!("{url}: only ws:// is supported"));
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(slash);
    Ok((host, if path.is_empty() { "/" } else { path }))
}

/// The first IPv4 address, or else the first.
fn resolve(host: &str) -> Result<SocketAddr> {
    let with_port = if host.contains("]:") || (!host.contains('[') && host.contains(':')) {
        host.to_string()
    } else {
        format!("{host}:80")
    };
    let found: Vec<SocketAddr> = match with_port.to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => return settings(format!("{host}: {error}")),
    };
    match found.iter().find(|address| address.is_ipv4()).or(found.first()) {
        Some(address) => Ok(*address),
        None => settings(format!("{host}: no address")),
    }
}

/// A name that differs from other runs' against the same server.
fn run_name() -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}", (time.as_millis() as u32).rotate_left(8) ^ std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        assert_eq!(split_url("ws://127.0.0.1:3001/ws").unwrap(), ("127.0.0.1:3001", "/ws"));
        assert_eq!(split_url("ws://localhost").unwrap(), ("localhost", "/"));
        assert!(split_url("wss://localhost/").is_err());
        assert_eq!(resolve("127.0.0.1").unwrap(), SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(resolve("[::1]:9").unwrap().port(), 9);
    }

    #[test]
    fn the_length_of_a_run_name_is_bounded() {
        assert_eq!(run_name().len(), 8);
    }
}
