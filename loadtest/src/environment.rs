//! Where and when a run took place.

use std::{env, fs, thread};

use serde::Serialize;

use crate::server::Identity;

/// What one needs to know to compare a result with another.
#[derive(Debug, Clone, Serialize)]
pub struct Environment {
    pub started: String,
    pub harness_version: &'static str,
    /// The arguments of the harness.
    pub arguments: Vec<String>,
    pub url: String,
    pub kernel: String,
    pub cpu: String,
    pub cpus: usize,
    /// A server that tells.
    pub server: Option<Identity>,
}

impl Environment {
    /// Here and now.
    pub fn here(url: &str, server: Option<Identity>) -> Self {
        Self {
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            harness_version: env!("CARGO_PKG_VERSION"),
            arguments: env::args().skip(1).collect(),
            url: url.into(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            cpu: cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()).into(),
            cpus: thread::available_parallelism().map_or(0, usize::from),
            server,
        }
    }
}

fn cpu_model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_the_processor_is_found() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Fast 9: X\n"), "Fast 9: X");
        assert_eq!(cpu_model(""), "");
    }

    #[test]
    fn there_is_a_kernel_and_a_processor() {
        let here = Environment::here("ws://x", None);
        assert!(!here.kernel.is_empty() && here.cpus > 0 && here.started.ends_with('Z'));
    }
}
