//! What was measured on and with: the machine, and the versions of all programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::peers::{self, Part, Peer};

/// The day, as `2026-05-01`.
pub fn today() -> String {
    jiff::Timestamp::now().strftime("%F").to_string()
}

/// The commit of this source tree, marked when files differ from it.
pub fn commit() -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    first_line(Command::new("git").args(["-C", root, "describe", "--always", "--dirty", "--exclude=*"]))
}

/// Lines that name the machine and the versions of what was compared.
pub fn description<'a>(peers: impl Iterator<Item = &'a Peer>) -> Vec<String> {
    let mut parts: Vec<Part> = Vec::new();
    for part in peers.flat_map(|peer| peer.parts) {
        if !parts.contains(part) {
            parts.push(*part);
        }
    }
    let versions: Vec<String> = parts.into_iter().map(version).collect();
    vec![
        format!("{} cores of {}, {} of memory, Linux {}", cores(), processor(), memory(), kernel()),
        format!("{}, {}", first_line(Command::new("rustc").arg("--version")), versions.join(", ")),
    ]
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown processor".into())
}

fn memory() -> String {
    let kib: Option<f64> = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    kib.map_or_else(|| "an unknown amount".into(), |kib| format!("{:.0} GiB", kib / f64::from(1 << 20)))
}

/// The kernel's version, without what its builder has put behind it.
fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

/// The value of the first line `name : value` of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

fn version(part: Part) -> String {
    match part {
        Part::Node => format!("node {}", first_line(Command::new("node").arg("--version")).trim_start_matches('v')),
        Part::Crate(name) => format!("{name} {}", crate_version(name)),
        Part::Npm(name) => format!("{name} {}", npm_version(name)),
    }
}

fn npm_version(name: &str) -> String {
    let text = fs::read_to_string(peers::folder().join("node_modules").join(name).join("package.json"));
    let package: Option<serde_json::Value> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
    package.and_then(|package| Some(package["version"].as_str()?.to_owned())).unwrap_or_else(|| "?".into())
}

/// The version that the lock file names.
fn crate_version(name: &str) -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let text = fs::read_to_string(lock).unwrap_or_default();
    let start = format!("name = \"{name}\"\nversion = \"");
    let found = text.split_once(&start).and_then(|(_, rest)| rest.split('"').next());
    found.unwrap_or("?").to_owned()
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let lines = description(peers::PEERS.iter());
        assert!(lines[0].contains("GiB") && lines[0].contains("Linux"), "{lines:?}");
        assert_eq!(crate_version("no such crate"), "?");
        assert!(crate_version("mio").starts_with("1."));
        assert!(lines[1].starts_with("rustc 1."), "{lines:?}");
    }
}
