//! From texts to a configuration: what was set, where, and what follows from it.

use super::table::{self, VARIABLES};
use super::{Config, ConfigError, Problem, Warning, relations};

/// Names in the environment that start like this are meant for us.
const PREFIXES: [&str; 2] = ["WEBSOCKET_", "HASHI_"];

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was not set: the table's default, adapted to what was set.
    Default,
    /// An environment variable.
    Environment,
    /// A flag, which beats the environment.
    Flag,
}

/// What was set, as texts: the environment and the flags, both by the variables' names.
///
/// An empty value counts as not set. An empty flag takes back what the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    cores: u32,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String)>,
}

impl Settings {
    /// Keeps of the environment what has one of our prefixes.
    pub fn new(
        cores: u32,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Settings {
        let ours = |(name, _): &(String, String)| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let mut environment: Vec<_> = environment.into_iter().filter(ours).collect();
        environment.sort();
        Settings { cores, environment, flags: flags.into_iter().collect() }
    }

    /// The process environment, and flags.
    pub fn from_env(cores: u32, flags: impl IntoIterator<Item = (String, String)>) -> Settings {
        // What is not UTF-8 gets replacement characters, which no rule lets pass.
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Settings::new(cores, std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))), flags)
    }

    /// Reads everything that was set and checks how it agrees.
    ///
    /// # Errors
    /// Every wrong variable, in one error.
    pub fn load(&self) -> Result<(Config, Vec<Warning>), ConfigError> {
        let mut config = Config::for_cores(self.cores);
        let mut problems = Vec::new();
        let set = self.read_into(&mut config, &mut problems);
        relations::adapt(&mut config, |name| set.contains(&name));
        relations::check(&config, true, |name| set.contains(&name), &mut problems);
        for problem in &mut problems {
            problem.source = self.source(problem.variable);
        }
        ConfigError::unless_empty(problems)?;
        Ok((config, self.warnings()))
    }

    /// Where the value of a variable comes from.
    pub fn source(&self, name: &str) -> Source {
        self.given(name).map_or(Source::Default, |(source, _)| source)
    }

    /// The names of the variables that could be read. The others keep their defaults.
    fn read_into(&self, config: &mut Config, problems: &mut Vec<Problem>) -> Vec<&'static str> {
        let mut set = Vec::new();
        for variable in &VARIABLES {
            let Some((_, text)) = self.given(variable.name) else {
                continue;
            };
            match variable.read(config, text) {
                Ok(()) => set.push(variable.name),
                Err(allowed) => problems.push(Problem::new(variable.name, text, allowed)),
            }
        }
        set
    }

    fn given(&self, name: &str) -> Option<(Source, &str)> {
        let flag = value_of(&self.flags, name).map(|value| (Source::Flag, value));
        let given = flag.or_else(|| value_of(&self.environment, name).map(|value| (Source::Environment, value)));
        given.filter(|(_, value)| !value.is_empty())
    }

    fn warnings(&self) -> Vec<Warning> {
        let names = self.environment.iter().map(|(name, _)| name);
        let unknown = names.filter(|name| table::find(name).is_none());
        unknown.map(|name| Warning::UnknownVariable { name: name.clone(), nearest: nearest_name(name) }).collect()
    }
}

fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.trim())
}

/// The known name that is most like the given one, if less than a third of it differs.
fn nearest_name(name: &str) -> Option<&'static str> {
    let distances = VARIABLES.iter().map(|variable| (distance(name, variable.name), variable.name));
    let (distance, nearest) = distances.min()?;
    let few = distance <= (stem(name).len() / 3).max(2);
    few.then_some(nearest)
}

/// Edits between the names; the two prefixes, often taken for each other, count as one edit.
fn distance(name: &str, known: &str) -> usize {
    let same_prefix = PREFIXES.iter().any(|prefix| name.starts_with(prefix) && known.starts_with(prefix));
    strsim::damerau_levenshtein(stem(name), stem(known)) + usize::from(!same_prefix)
}

fn stem(name: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn load(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<(Config, Vec<Warning>), ConfigError> {
        Settings::new(1, pairs(environment), pairs(flags)).load()
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        assert_eq!(load(&[], &[]), Ok((Config::default(), Vec::new())));
        assert_eq!(load(&[("PATH", "/bin"), ("WEBSOCKET_PORT", " ")], &[]), Ok((Config::default(), Vec::new())));
    }

    #[test]
    fn a_flag_beats_the_environment_and_an_empty_one_takes_it_back() {
        let environment = [("WEBSOCKET_PORT", "1"), ("HASHI_ECHO_PATH", "/echo"), ("HASHI_WORKERS", "7")];
        let flags = [("WEBSOCKET_PORT", " 2 "), ("HASHI_ECHO_PATH", "")];
        let (config, _) = load(&environment, &flags).expect("valid");
        assert_eq!((config.port, config.echo_path, config.workers), (2, None, 7));
        let settings = Settings::new(1, pairs(&environment), pairs(&flags));
        assert_eq!(settings.source("WEBSOCKET_PORT"), Source::Flag);
        assert_eq!(settings.source("HASHI_WORKERS"), Source::Environment);
        assert_eq!(settings.source("HASHI_ECHO_PATH"), Source::Default);
    }

    #[test]
    fn a_flag_hides_a_wrong_variable() {
        assert!(load(&[("WEBSOCKET_PORT", "x")], &[("WEBSOCKET_PORT", "1")]).is_ok());
    }

    #[test]
    fn one_error_lists_every_wrong_variable() {
        let environment = [
            ("HASHI_MEMORY_BYTES", "1M"),
            ("WEBSOCKET_PORT", "65536"),
            ("WEBSOCKET_HEARTBEAT_INTERVAL", "99"),
            ("WEBSOCKET_PATH", "ws"),
            ("HASHI_ALLOWED_ORIGINS", "https://a,*"),
            ("HASHI_HOST", "0.0.0.0"),
            ("HASHI_QUEUE_BYTES", "65536"),
            ("HASHI_MAX_SERVICE_MESSAGE_BYTES", "128KiB"),
        ];
        let error = load(&environment, &[("HASHI_WORKERS", "none")]).expect_err("nine wrong");
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 9, "{text}");
        assert_eq!(lines[1], "  WEBSOCKET_PORT=\"65536\" must be a whole number from 0 to 65535");
        assert!(
            text.contains("WEBSOCKET_HEARTBEAT_INTERVAL=\"99\" must be a whole number of milliseconds from 100 to")
        );
        assert!(text.contains("HASHI_WORKERS=\"none\" (given as --hashi-workers) must be a whole number"));
        assert!(text.contains("HASHI_QUEUE_BYTES=\"65536\" must be at least HASHI_MAX_SERVICE_MESSAGE_BYTES"));
    }

    #[test]
    fn one_size_alone_is_a_valid_start() {
        for size in ["256", "4096", "64KiB", "16MiB", "64MiB"] {
            for name in ["HASHI_MAX_MESSAGE_BYTES", "HASHI_MAX_SERVICE_MESSAGE_BYTES", "HASHI_QUEUE_BYTES"] {
                let (config, _) = load(&[(name, size)], &[]).expect(name);
                assert_eq!(config.validate(true), Ok(()), "{name}={size}");
            }
        }
    }

    #[test]
    fn unknown_names_are_warned_about_with_the_nearest() {
        let nearest = |name: &str| {
            let (_, warnings) = load(&[(name, "1")], &[]).expect("only a warning");
            let [Warning::UnknownVariable { nearest, .. }] = warnings.as_slice() else { panic!("one warning") };
            *nearest
        };
        assert_eq!(nearest("WEBSOCKET_PROT"), Some("WEBSOCKET_PORT"));
        assert_eq!(nearest("HASHI_PORT"), Some("WEBSOCKET_PORT"));
        assert_eq!(nearest("WEBSOCKET_MAX_CONNECTION"), Some("WEBSOCKET_MAX_CONNECTIONS"));
        assert_eq!(nearest("HASHI_ALLOWED_ORIGIN"), Some("HASHI_ALLOWED_ORIGINS"));
        assert_eq!(nearest("WEBSOCKET_HEARTBEAT_INTERVAL_MS"), Some("WEBSOCKET_HEARTBEAT_INTERVAL"));
        assert_eq!(nearest("HASHI_COMPLETELY_OTHER"), None);
        assert!(nearest(&format!("HASHI_{}", "é".repeat(1000))).is_none());
    }

    #[test]
    fn what_is_not_utf8_is_refused_wherever_it_counts() {
        for variable in &VARIABLES {
            assert!(load(&[(variable.name, "\u{fffd}")], &[]).is_err(), "{}", variable.name);
        }
    }
}
