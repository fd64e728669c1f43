//! What was measured on and with: the machine, and the versions of all programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::peers::{self, Part, Peer};

/// The day, as `2026-05-01`.
pub fn today() -> String {
    jiff::Timestamp::now().strftime("%F").to_string()
}

/// The commit of this source tree, marked when its files differ from it. Documents do not count: the results are written to one.
pub fn commit() -> String {
    let commit = first_line(git().args(["rev-parse", "--short", "HEAD"])).unwrap_or_else(|| "unknown".into());
    let changed = first_line(git().args(["status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/*.md"]));
    if changed.is_some() { commit + " with changes" } else { commit }
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.args(["-C", env!("CARGO_MANIFEST_DIR")]);
    command
}

/// Lines that name the machine and the versions of what was compared.
pub fn description<'a>(peers: impl Iterator<Item = &'a Peer>) -> Vec<String> {
    let mut parts: Vec<Part> = Vec::new();
    for part in peers.flat_map(|peer| peer.parts) {
        if !parts.contains(part) {
            parts.push(*part);
        }
    }
    let rust = first_line(Command::new("rustc").arg("--version")).unwrap_or_default();
    let versions: Vec<String> = [rust].into_iter().chain(parts.into_iter().filter_map(version)).collect();
    vec![
        format!("{} cores of {}, {} of memory, Linux {}", cores(), processor(), memory(), kernel()),
        versions.join(", "),
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

/// The name and version of a part; `None` when it is not there.
fn version(part: Part) -> Option<String> {
    match part {
        Part::Node => {
            let version = first_line(Command::new("node").arg("--version"))?;
            Some(format!("node {}", version.trim_start_matches('v')))
        }
        Part::Crate(name) => Some(format!("{name} {}", crate_version(name)?)),
        Part::Npm(name) => Some(format!("{name} {}", npm_version(name)?)),
    }
}

fn npm_version(name: &str) -> Option<String> {
    let path = peers::folder().join("node_modules").join(name).join("package.json");
    let package: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    Some(package["version"].as_str()?.to_owned())
}

/// The version that the lock file names.
fn crate_version(name: &str) -> Option<String> {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).ok()?;
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split('"').next()?.to_owned())
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?.stdout;
    Some(String::from_utf8_lossy(&output).lines().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let lines = description(peers::PEERS.iter());
        assert!(lines[0].contains("GiB") && lines[0].contains("Linux"), "{lines:?}");
        assert_eq!(crate_version("no such crate"), None);
        assert!(crate_version("mio").unwrap().starts_with("1."));
        assert!(lines[1].starts_with("rustc 1."), "{lines:?}");
    }
}
