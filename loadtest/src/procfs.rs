//! What a process used (CPU time and resident memory) and what sockets take in the kernel, from `/proc`.

use std::{fs, io};

use crate::sys;

/// What a process had used at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// User and system time of all its threads, in seconds (resolution: one tick, usually 10 ms).
    pub cpu_seconds: f64,
    /// Resident memory.
    pub rss_bytes: u64,
}

/// Reads the usage of the process `pid`.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid} is not as expected"));
    let ticks = cpu_ticks(&stat).ok_or_else(malformed)?;
    Ok(Usage {
        cpu_seconds: ticks as f64 / sys::ticks_per_second() as f64,
        rss_bytes: rss_bytes(&status).ok_or_else(malformed)?,
    })
}

/// The sum of `utime` and `stime`. The command's name, in parentheses, may hold spaces and parentheses itself.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    // Field 3 (the state) is the first after the name; `utime` is field 14, `stime` field 15 (proc(5)).
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Memory of all TCP sockets of this machine in the kernel: what is queued in them, both ways.
pub fn socket_memory_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let pages = tcp_pages(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no TCP memory"))?;
    Ok(pages * sys::page_bytes())
}

fn tcp_pages(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    line.split_ascii_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()
}

/// The slope of the straight line that fits the points best (least squares); `None` for fewer than two distinct `x`.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let covariance: f64 = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    (spread > 0.0).then(|| covariance / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "17 (a) (b c) S 1 17 17 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 12345 1000 200";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("garbage"), None);
    }

    #[test]
    fn resident_memory_is_given_in_bytes() {
        assert_eq!(rss_bytes("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n"), Some(2 << 20));
        assert_eq!(rss_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn pages_of_sockets_are_found_by_name() {
        let text = "sockets: used 13\nTCP: inuse 1 orphan 0 tw 2003 alloc 1 mem 42\nUDP: inuse 0 mem 7\n";
        assert_eq!(tcp_pages(text), Some(42));
        assert_eq!(tcp_pages("UDP: inuse 0 mem 7\n"), None);
        assert!(socket_memory_bytes().is_ok());
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(usage(std::process::id()).unwrap().rss_bytes > 0);
    }

    #[test]
    fn the_slope_of_a_line_is_found() {
        assert_eq!(slope(&[(0.0, 100.0), (10.0, 120.0), (20.0, 140.0)]), Some(2.0));
        assert_eq!(slope(&[(1.0, 5.0), (1.0, 6.0)]), None);
        assert_eq!(slope(&[]), None);
    }
}
