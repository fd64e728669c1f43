//! The only module with `unsafe`: three calls to the C library that the standard library does not offer.
//!
//! Invariant of every block below: the pointers passed are to live, initialised locals of exactly the type and size that
//! the call expects, the call keeps none of them after it returns, and its return value is checked.

use std::io;
use std::mem::size_of;

/// Binds this thread (and those it starts later) to one processor.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no processor {cpu}")));
    }
    // SAFETY: `cpu_set_t` is a plain array of integers for which all zeroes is the empty set; `cpu` is inside it
    // (checked above); the set outlives the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    check(result)
}

/// Raises the limit of open files to the hard limit, and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live `rlimit` that the call fills in.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a live `rlimit` that the call only reads.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(limit.rlim_cur)
}

/// The unit of the times in `/proc/<pid>/stat`, in ticks per second.
pub fn ticks_per_second() -> u64 {
    setting(libc::_SC_CLK_TCK).unwrap_or(100)
}

/// Bytes of a page of memory.
pub fn page_bytes() -> u64 {
    setting(libc::_SC_PAGESIZE).unwrap_or(4096)
}

fn setting(name: libc::c_int) -> Option<u64> {
    // SAFETY: takes no pointer.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|&value| value > 0)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_can_be_raised() {
        assert!(raise_open_files().unwrap() > 0);
        assert!(ticks_per_second() > 0 && page_bytes() > 0);
    }

    #[test]
    fn a_processor_that_cannot_exist_is_refused() {
        assert!(pin_to_cpu(1 << 20).is_err());
    }
}
