//! The command line, made from the table. Every flag takes a text; the table judges it together with the environment,
//! so that one error lists all that is wrong.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::table::VARIABLES;
use super::variable::{Kind, Unit, Variable};

/// Columns of `hashi --help`.
const HELP_COLUMNS: usize = 96;

/// The `hashi` command: its flags and its subcommands `check` and `config-table`.
pub fn command() -> Command {
    Command::new("hashi")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A real-time messaging server: WebSocket and REST on one port. Without a command it serves.")
        .after_help(wrap(AFTER_HELP))
        .next_line_help(true)
        .args(VARIABLES.iter().map(argument))
        .subcommand(Command::new("check").about("Print the effective configuration and the memory it allows"))
        .subcommand(Command::new("config-table").about("Print the documentation's table of variables").hide(true))
}

const AFTER_HELP: &str = "Each flag is also an environment variable, named in its brackets; the flag wins, and an \
                          empty value counts as not set. Bytes are plain numbers or have a suffix: 64KiB, 1MiB, 2GiB. \
                          RUST_LOG sets what is logged: error, warn, info, debug or trace.";

/// What was given on the command line, as pairs of a variable's name and its text.
pub fn given(matches: &ArgMatches) -> Vec<(String, String)> {
    let value = |variable: &Variable| matches.get_one::<String>(variable.name).cloned();
    VARIABLES.iter().filter_map(|variable| Some((variable.name.to_owned(), value(variable)?))).collect()
}

fn argument(variable: &'static Variable) -> Arg {
    let default = variable.default_text();
    let about = format!("[{}; default: {default}]", variable.name);
    let argument = Arg::new(variable.name)
        .long(variable.flag())
        .value_name(value_name(variable))
        .help(format!("{}\n{about}", wrap(variable.help)))
        .help_heading(variable.group.title())
        .action(ArgAction::Set)
        .allow_negative_numbers(true)
        .global(true);
    match variable.kind {
        // `--hashi-insecure-development` alone is enough, and a command behind it is not taken for its value.
        Kind::Switch(_) => argument.num_args(0..=1).require_equals(true).default_missing_value("1"),
        _ => argument,
    }
}

fn value_name(variable: &Variable) -> &'static str {
    match (&variable.kind, variable.unit()) {
        (Kind::Number(..), Unit::Name) => "PORT",
        (Kind::Number(..), Unit::Count) => "COUNT",
        (Kind::Number(..), Unit::Ms) => "MS",
        (Kind::Number(..), Unit::Us) => "US",
        (Kind::Number(..), Unit::Bytes) => "BYTES",
        (Kind::Path(_) | Kind::OptionalPath(_), _) => "PATH",
        (Kind::Host(_), _) => "HOST",
        (Kind::Origins(_), _) => "ORIGINS",
        (Kind::Switch(_), _) => "1|0",
    }
}

/// Breaks at spaces, so that help is readable without asking the terminal for its width.
fn wrap(text: &str) -> String {
    let indent = 10;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("ok because there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() + indent <= HELP_COLUMNS {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs_of(arguments: &[&str]) -> Vec<(String, String)> {
        let line = std::iter::once("hashi").chain(arguments.iter().copied());
        given(&command().try_get_matches_from(line).expect("valid"))
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_command() {
        command().debug_assert();
    }

    #[test]
    fn flags_before_and_behind_a_command_are_the_same() {
        let expected = [("WEBSOCKET_PORT".to_owned(), "80".to_owned())];
        assert_eq!(pairs_of(&["--websocket-port", "80"]), expected);
        assert_eq!(pairs_of(&["--websocket-port=80", "check"]), expected);
        assert_eq!(pairs_of(&["check", "--websocket-port", "80"]), expected);
        assert_eq!(pairs_of(&[]), []);
    }

    #[test]
    fn the_switch_needs_no_value() {
        let on = |text: &str| [("HASHI_INSECURE_DEVELOPMENT".to_owned(), text.to_owned())];
        assert_eq!(pairs_of(&["--hashi-insecure-development", "check"]), on("1"));
        assert_eq!(pairs_of(&["--hashi-insecure-development=0"]), on("0"));
    }

    #[test]
    fn wrong_texts_reach_the_table() {
        assert_eq!(pairs_of(&["--websocket-port", "-1"])[0].1, "-1");
        assert_eq!(pairs_of(&["--hashi-echo-path="])[0].1, "");
        assert!(command().try_get_matches_from(["hashi", "--websocket-prot", "1"]).is_err());
    }

    #[test]
    fn the_help_has_every_flag_with_its_variable_and_default_in_narrow_lines() {
        let help = command().render_help().to_string();
        for variable in &VARIABLES {
            assert!(help.contains(&format!("--{}", variable.flag())), "{}", variable.name);
            let about = format!("[{}; default: {}]", variable.name, variable.default_text());
            assert!(help.contains(&about), "{about}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= HELP_COLUMNS), "{help}");
        assert!(!help.contains("config-table"));
    }
}
