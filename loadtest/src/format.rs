//! How values are written for people: short, with their unit.

/// Writes a value.
pub type Format = fn(f64) -> String;

/// Microseconds in the unit that reads best, with three digits at most.
pub fn duration(us: f64) -> String {
    let (value, unit) = match us {
        ..1e3 => (us, "µs"),
        ..1e6 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    let factor = match value {
        ..10.0 => 100.0,
        ..100.0 => 10.0,
        _ => 1.0,
    };
    format!("{} {unit}", (value * factor).round() / factor)
}

/// Without what is behind the point.
pub fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// A count in three digits or so.
pub fn short(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..10.0 => format!("{}", (value * 100.0).round() / 100.0),
        ..10_000.0 => format!("{value:.0}"),
        ..1e6 => format!("{} k", (value / 100.0).round() / 10.0),
        _ => format!("{} M", (value / 1e4).round() / 100.0),
    }
}

/// A number of percent.
pub fn percent(value: f64) -> String {
    format!("{value:.0} %")
}

/// A share of 1 as percent.
pub fn share(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// A number of bytes.
pub fn bytes(value: f64) -> String {
    format!("{value:.0} B")
}

/// A number of mebibytes.
pub fn mib(value: f64) -> String {
    format!("{value:.1} MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_that_reads_best() {
        let written = [0.5, 12.41, 100.0, 1234.0, 410_260.0, 2_500_000.0].map(duration);
        assert_eq!(written, ["0.5 µs", "12.4 µs", "100 µs", "1.23 ms", "410 ms", "2.5 s"]);
    }

    #[test]
    fn counts_are_short() {
        let written = [0.0, 0.5, 12.0, 4321.0, 30_049.0, 698_072.0, 1_234_567.0].map(short);
        assert_eq!(written, ["0", "0.5", "12", "4321", "30 k", "698.1 k", "1.23 M"]);
    }
}
