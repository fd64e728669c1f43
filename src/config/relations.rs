//! What several variables must agree on, and how those that are not set follow those that are.

use super::error::Problem;
use super::{Config, rules};

/// Message <= service message <= queue <= history <= memory: what is let in must fit into the next. By name, in this
/// order.
const SIZES: [&str; 5] = [
    "HASHI_MAX_MESSAGE_BYTES",
    "HASHI_MAX_SERVICE_MESSAGE_BYTES",
    "HASHI_QUEUE_BYTES",
    "HASHI_HISTORY_BYTES",
    "HASHI_MEMORY_BYTES",
];
/// The place of the last one.
const MEMORY: usize = SIZES.len() - 1;

/// Memory that is not set holds at least this many full histories.
const HISTORIES_IN_MEMORY: u64 = 4;

/// Moves the sizes that are not set: up to the one below them, down to the lowest that is set above them.
///
/// So one limit alone can be set to anything that its range allows. Sizes that are set stay as they are, even where
/// they contradict each other; [`check`] then says so.
pub(super) fn adapt(config: &mut Config, is_set: impl Fn(&str) -> bool) {
    let mut sizes = sizes_of(config);
    for place in 0..SIZES.len() {
        if is_set(SIZES[place]) {
            continue;
        }
        let floor = match place {
            0 => 0,
            MEMORY => sizes[MEMORY - 1].saturating_mul(HISTORIES_IN_MEMORY),
            _ => sizes[place - 1],
        };
        let above = (place + 1..SIZES.len()).filter(|&above| is_set(SIZES[above]));
        let ceiling = above.map(|above| sizes[above]).min().unwrap_or(u64::MAX);
        sizes[place] = sizes[place].max(floor).min(ceiling);
    }
    put_sizes(config, sizes);
}

fn sizes_of(config: &Config) -> [u64; 5] {
    [
        u64::from(config.max_message_bytes),
        u64::from(config.max_service_message_bytes),
        u64::from(config.queue_bytes),
        u64::from(config.history_bytes),
        config.memory_bytes,
    ]
}

fn put_sizes(config: &mut Config, sizes: [u64; 5]) {
    let narrow = |bytes: u64| u32::try_from(bytes).expect("ok because only memory may have more than 32 bits");
    config.max_message_bytes = narrow(sizes[0]);
    config.max_service_message_bytes = narrow(sizes[1]);
    config.queue_bytes = narrow(sizes[2]);
    config.history_bytes = narrow(sizes[3]);
    config.memory_bytes = sizes[MEMORY];
}

/// Adds a problem for every relation that does not hold. Sizes are compared among those that are set; after
/// [`adapt`] the others hold by themselves.
///
/// In development mode, where a token proves nothing, the host must be loopback.
pub(super) fn check(config: &Config, development: bool, is_set: impl Fn(&str) -> bool, problems: &mut Vec<Problem>) {
    check_sizes(config, is_set, problems);
    check_paths(config, problems);
    if development {
        check_host(config, problems);
    }
}

fn check_sizes(config: &Config, is_set: impl Fn(&str) -> bool, problems: &mut Vec<Problem>) {
    let sizes = SIZES.into_iter().zip(sizes_of(config));
    let set: Vec<(&'static str, u64)> = sizes.filter(|(name, _)| is_set(name)).collect();
    for pair in set.windows(2) {
        let [(lower, lower_bytes), (upper, upper_bytes)] = [pair[0], pair[1]];
        if lower_bytes > upper_bytes {
            problems.push(Problem::new(
                upper,
                upper_bytes.to_string(),
                format!("at least {lower}, which is {lower_bytes}"),
            ));
        }
    }
}

fn check_paths(config: &Config, problems: &mut Vec<Problem>) {
    if config.echo_path.as_ref() == Some(&config.path) {
        problems.push(Problem::new("HASHI_ECHO_PATH", &*config.path, "another path than WEBSOCKET_PATH"));
    }
}

fn check_host(config: &Config, problems: &mut Vec<Problem>) {
    if config.insecure_development || rules::is_loopback_host(&config.host) {
        return;
    }
    let allowed = "localhost, 127.x.x.x or ::1: without authentication the server is in development mode, where \
                   anybody who reaches it can be any user. HASHI_INSECURE_DEVELOPMENT=1 lets it listen beyond this \
                   machine all the same";
    problems.push(Problem::new("HASHI_HOST", &*config.host, allowed));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problems_of(config: &Config) -> Vec<Problem> {
        let mut problems = Vec::new();
        check(config, true, |_| true, &mut problems);
        problems
    }

    #[test]
    fn unset_sizes_rise_with_those_below() {
        let mut config = Config { max_message_bytes: 16 << 20, ..Config::default() };
        adapt(&mut config, |name| name == SIZES[0]);
        assert_eq!(sizes_of(&config), [16 << 20, 16 << 20, 16 << 20, 16 << 20, 256 << 20]);

        let mut config = Config { queue_bytes: 1 << 30, ..Config::default() };
        adapt(&mut config, |name| name == SIZES[2]);
        assert_eq!(sizes_of(&config), [64 << 10, 1 << 20, 1 << 30, 1 << 30, 4 << 30]);
    }

    #[test]
    fn unset_sizes_sink_with_those_above() {
        let mut config = Config { queue_bytes: 4096, ..Config::default() };
        adapt(&mut config, |name| name == SIZES[2]);
        assert_eq!(sizes_of(&config), [4096, 4096, 4096, 1 << 20, 256 << 20]);

        let mut config = Config { memory_bytes: 100_000, ..Config::default() };
        adapt(&mut config, |name| name == SIZES[MEMORY]);
        assert_eq!(sizes_of(&config), [64 << 10, 100_000, 100_000, 100_000, 100_000]);
    }

    #[test]
    fn the_problem_of_a_size_names_the_other_set_one() {
        let mut config = Config { max_message_bytes: 2 << 20, queue_bytes: 1 << 20, ..Config::default() };
        let is_set = |name: &str| name == SIZES[0] || name == SIZES[2];
        adapt(&mut config, is_set);
        let mut problems = Vec::new();
        check(&config, true, is_set, &mut problems);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].variable, "HASHI_QUEUE_BYTES");
        assert!(problems[0].allowed.contains("HASHI_MAX_MESSAGE_BYTES, which is 2097152"));
    }

    #[test]
    fn the_echo_path_is_another_one() {
        let config = Config { echo_path: Some("/ws".to_owned()), ..Config::default() };
        assert_eq!(problems_of(&config)[0].variable, "HASHI_ECHO_PATH");
        let config = Config { echo_path: Some("/echo".to_owned()), ..Config::default() };
        assert!(problems_of(&config).is_empty());
    }

    #[test]
    fn development_mode_stays_on_loopback_unless_told_otherwise() {
        let open = Config { host: "0.0.0.0".to_owned(), ..Config::default() };
        let problem = problems_of(&open)[0].to_string();
        for word in ["HASHI_HOST=\"0.0.0.0\"", "HASHI_INSECURE_DEVELOPMENT=1", "development mode"] {
            assert!(problem.contains(word), "{problem}");
        }
        let told = Config { insecure_development: true, ..open };
        assert!(problems_of(&told).is_empty());
    }

    proptest! {
        #[test]
        fn sizes_that_agree_always_make_a_valid_start(
            mut given in prop::array::uniform5(256u64..64 << 20),
            set in prop::array::uniform5(any::<bool>()),
        ) {
            given.sort_unstable();
            let is_set = |name: &str| SIZES.iter().zip(set).any(|(size, set)| *size == name && set);
            let mut config = Config::default();
            let defaults = sizes_of(&config);
            let start = |place: usize| if set[place] { given[place] } else { defaults[place] };
            put_sizes(&mut config, std::array::from_fn(start));
            adapt(&mut config, is_set);
            let sizes = sizes_of(&config);
            prop_assert!(sizes.is_sorted());
            prop_assert!((0..SIZES.len()).all(|place| !set[place] || sizes[place] == given[place]));
            prop_assert!(problems_of(&config).is_empty());
        }
    }
}
