//! What a value may look like, one function per kind. Text in, value or "must be ..." out.

use std::ops::RangeInclusive;

/// Longer paths are refused; a request's whole target may have 2 KiB.
const PATH_BYTES: usize = 256;

/// The longest name that DNS knows.
const HOST_BYTES: usize = 253;

/// More origins than this are refused: each is compared with at every upgrade.
const ORIGINS: usize = 256;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The suffixes of byte counts, the largest first.
const SUFFIXES: [(&str, u64); 3] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];

/// Routes of the server itself that no WebSocket path may hide.
const OWN_ROUTES: [&str; 4] = ["/", "/healthz", "/readyz", "/metrics"];

/// Every route that starts like this belongs to the REST interface.
const OWN_PREFIX: &str = "/ws-api";

/// A whole number in decimal digits, without a sign.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A count of bytes: digits, optionally followed by `KiB`, `MiB` or `GiB` in any case.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    for (suffix, scale) in SUFFIXES {
        if let Some(count) = strip_suffix_any_case(text, suffix) {
            return parse_number(count.trim_end())?.checked_mul(scale);
        }
    }
    parse_number(text)
}

fn strip_suffix_any_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

/// The count in its largest unit, when it is a whole number of one.
pub(super) fn show_in_unit(bytes: u64) -> Option<String> {
    let fits = |&(_, scale): &(&str, u64)| bytes >= scale && bytes.is_multiple_of(scale);
    let (suffix, scale) = SUFFIXES.into_iter().find(fits)?;
    Some(format!("{} {suffix}", bytes / scale))
}

/// The count in its largest unit, rounded to a tenth.
pub(super) fn show_rounded(bytes: u64) -> String {
    let larger = |&(_, scale): &(&str, u64)| bytes >= scale;
    let Some((suffix, scale)) = SUFFIXES.into_iter().find(larger) else {
        return format!("{bytes} bytes");
    };
    let tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
    format!("{}.{} {suffix}", tenths / 10, tenths % 10)
}

/// The number, if the range has it.
pub(super) fn within(number: Option<u64>, range: &RangeInclusive<u64>) -> Option<u64> {
    number.filter(|number| range.contains(number))
}

/// A path on which WebSocket upgrades are accepted. It is compared byte by byte, so it holds nothing that could be
/// written in two ways.
pub(super) fn parse_path(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\\"<>".contains(&byte);
    if !text.starts_with('/') || text.len() > PATH_BYTES || !text.bytes().all(plain) {
        return Err(format!(
            "a path that starts with \"/\", at most {PATH_BYTES} visible ASCII characters without ? # % \\ \" < >"
        ));
    }
    if OWN_ROUTES.contains(&text) || text.starts_with(OWN_PREFIX) {
        return Err(format!("a path of its own: {} and {OWN_PREFIX}* are taken", OWN_ROUTES.join(", ")));
    }
    Ok(text.to_owned())
}

/// `localhost`, an IPv4 or IPv6 address, or a host name. Whether it resolves is seen when it is listened on.
pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let bare = without_brackets(text);
    let allowed = || "localhost, an IPv4 or IPv6 address, or a host name, without a port".to_owned();
    if is_host_name(text) || is_ipv6_like(bare) { Ok(bare.to_ascii_lowercase()) } else { Err(allowed()) }
}

fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

/// Labels of letters, digits, `-` and `_`; what has only digits and dots must be a dotted quad.
fn is_host_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.len() <= HOST_BYTES && text.split('.').all(label) && (!numeric || dotted_quad(text).is_some())
}

/// The characters of an IPv6 address. Its exact form is left to the resolver.
fn is_ipv6_like(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let zone_holds = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric());
    address.matches(':').count() >= 2 && address.len() <= 45 && address.bytes().all(plain) && zone_holds
}

/// Four numbers up to 255 without leading zeros, which some resolvers read as octal.
fn dotted_quad(text: &str) -> Option<[u8; 4]> {
    let octet = |part: &str| -> Option<u8> {
        let canonical = part == "0" || !part.starts_with('0');
        parse_number(part).filter(|_| canonical)?.try_into().ok()
    };
    let octets: Option<Vec<u8>> = text.split('.').map(octet).collect();
    octets?.try_into().ok()
}

/// Whether a host can only mean this machine: `localhost`, 127.0.0.0/8 as a full dotted quad, `::1` or `[::1]`.
///
/// Purely by its text: other spellings of the same addresses (`127.1`, `0:0:0:0:0:0:0:1`) are not recognised, and a
/// port must be taken off before.
pub fn is_loopback_host(host: &str) -> bool {
    let quad = dotted_quad(host).is_some_and(|octets| octets[0] == 127);
    quad || host.eq_ignore_ascii_case("localhost") || host == "::1" || host == "[::1]"
}

/// Comma-separated origins, each once, as a browser writes them: lower case, a scheme's own port left out.
pub(super) fn parse_origins(text: &str) -> Result<Vec<String>, String> {
    let mut origins = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let origin = parse_origin(part).ok_or_else(|| origin_rule(part))?;
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    if origins.len() > ORIGINS {
        return Err(format!("at most {ORIGINS} origins"));
    }
    Ok(origins)
}

fn origin_rule(part: &str) -> String {
    let start: String = part.chars().take(80).flat_map(char::escape_debug).collect();
    format!("origins of the form scheme://host[:port] with commas between them; \"{start}\" is not one")
}

/// `scheme://host[:port]` and nothing behind it, in the form of RFC 6454 section 6.
fn parse_origin(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://")?;
    let (host, port) = split_port(authority)?;
    if !is_scheme(scheme) || !is_origin_host(host) {
        return None;
    }
    match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => Some(format!("{scheme}://{host}")),
        (_, Some(port)) => Some(format!("{scheme}://{host}:{port}")),
    }
}

/// The host and, behind the last colon outside brackets, a port from 1 to 65535.
fn split_port(authority: &str) -> Option<(&str, Option<u64>)> {
    let host_end = authority.rfind(']').unwrap_or(0);
    let Some(colon) = authority[host_end..].find(':').map(|at| host_end + at) else {
        return Some((authority, None));
    };
    let port = within(parse_number(&authority[colon + 1..]), &(1..=65_535))?;
    Some((&authority[..colon], Some(port)))
}

fn is_scheme(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(plain)
}

fn is_origin_host(text: &str) -> bool {
    let bare = without_brackets(text);
    if bare.len() == text.len() { is_host_name(text) } else { is_ipv6_like(bare) && !bare.contains('%') }
}

/// A switch that is on or off.
pub(super) fn parse_switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("1 or true to switch it on, 0 or false (or nothing) to leave it off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(parse_number("0"), Some(0));
        assert_eq!(parse_number("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "+5", "-1", "1_000", "0x10", "1.5", "18446744073709551616", "٣", "10s"] {
            assert_eq!(parse_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn byte_counts_take_suffixes() {
        assert_eq!(parse_bytes("65536"), Some(65_536));
        assert_eq!(parse_bytes("64KiB"), Some(65_536));
        assert_eq!(parse_bytes("1 mib"), Some(1 << 20));
        assert_eq!(parse_bytes("2GiB"), Some(2 << 30));
        for wrong in ["KiB", "1.5MiB", "1MB", "1K", "18446744073709551615KiB", "€iB", "-1KiB"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn byte_counts_are_shown_in_the_largest_whole_unit() {
        assert_eq!(show_in_unit(65_536).as_deref(), Some("64 KiB"));
        assert_eq!(show_in_unit(1 << 20).as_deref(), Some("1 MiB"));
        assert_eq!(show_in_unit(1025), None);
        assert_eq!(show_in_unit(0), None);
        assert_eq!(show_rounded(1000), "1000 bytes");
        assert_eq!(show_rounded(1536), "1.5 KiB");
        assert_eq!(show_rounded(u64::MAX), "17179869184.0 GiB");
    }

    #[test]
    fn paths() {
        for good in ["/ws", "/a/b", "/ws-ap", "/~x", "/healthz2"] {
            assert_eq!(parse_path(good).as_deref(), Ok(good));
        }
        for wrong in [
            "",
            "ws",
            "/",
            "/ws-api",
            "/ws-api/echo",
            "/healthz",
            "/readyz",
            "/metrics",
            "/a b",
            "/a?b",
            "/a#b",
            "/%61",
            "/é",
            "/\u{fffd}",
        ] {
            assert!(parse_path(wrong).is_err(), "{wrong}");
        }
        assert!(parse_path(&format!("/{}", "a".repeat(PATH_BYTES))).is_err());
    }

    #[test]
    fn hosts() {
        for good in ["localhost", "0.0.0.0", "127.0.0.1", "::", "::1", "fe80::1%eth0", "my-host.example", "a_b"] {
            assert_eq!(parse_host(good).as_deref(), Ok(good));
        }
        assert_eq!(parse_host("[::1]").as_deref(), Ok("::1"));
        assert_eq!(parse_host("LocalHost").as_deref(), Ok("localhost"));
        for wrong in
            ["", "a b", "localhost:80", "1.2.3", "256.0.0.1", "1.2.3.04", "a..b", "[::1", "é", "http://a", "::1%"]
        {
            assert!(parse_host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_told_by_the_text() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1", "[::1]"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "0.0.0.0",
            "::",
            "128.0.0.1",
            "127.0.0.1.example",
            "127.1",
            "127.0.0.256",
            "127.0.0.01",
            "localhost.example",
            "127.0.0.1:80",
            "::ffff:127.0.0.1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn origins_are_brought_to_the_form_of_a_browser() {
        let text = " https://App.example , http://localhost:5173,https://app.example:443,,tauri://x,http://[::1]:80 ";
        let expected = ["https://app.example", "http://localhost:5173", "tauri://x", "http://[::1]"];
        assert_eq!(parse_origins(text).expect("all good"), expected);
    }

    #[test]
    fn what_is_not_an_origin_is_refused_and_quoted() {
        for wrong in [
            "*",
            "null",
            "app.example",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a:0",
            "https://a:65536",
            "https://a:",
            "https://u@a",
            "https://*.a",
            "https://::1",
            "1a://b",
            "https://[::1]x",
        ] {
            let error = parse_origins(&format!("https://good.example,{wrong}")).expect_err(wrong);
            assert!(error.contains(&format!("\"{wrong}\"")), "{error}");
        }
        let many: Vec<String> = (0..=ORIGINS).map(|n| format!("https://a{n}")).collect();
        assert!(parse_origins(&many.join(",")).is_err());
    }

    #[test]
    fn switches() {
        assert_eq!(parse_switch("1"), Ok(true));
        assert_eq!(parse_switch("TRUE"), Ok(true));
        assert_eq!(parse_switch("0"), Ok(false));
        assert_eq!(parse_switch("false"), Ok(false));
        assert!(parse_switch("maybe").is_err());
    }

    proptest! {
        #[test]
        fn no_rule_panics_and_what_passes_is_stable(text in ".*") {
            let _ = (parse_number(&text), parse_bytes(&text), parse_switch(&text), is_loopback_host(&text));
            for rule in [parse_path, parse_host] {
                if let Ok(value) = rule(&text) {
                    prop_assert_eq!(rule(&value), Ok(value.clone()));
                }
            }
            if let Ok(origins) = parse_origins(&text) {
                prop_assert_eq!(parse_origins(&origins.join(",")), Ok(origins));
            }
        }

        #[test]
        fn origins_like_texts_are_stable(text in "[a-z]{1,3}://[a-z0-9.:\\[\\]%-]{0,12}") {
            if let Ok(origins) = parse_origins(&text) {
                prop_assert_eq!(parse_origins(&origins.join(",")), Ok(origins));
            }
        }

        #[test]
        fn a_byte_count_reads_back_from_its_unit(bytes in 1u64..1 << 50) {
            if let Some(text) = show_in_unit(bytes) {
                prop_assert_eq!(parse_bytes(&text), Some(bytes));
            }
        }
    }
}
