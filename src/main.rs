//! The `hashi` command: reads the configuration, starts the server, stops it on a signal.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::thread;

use hashi::config::{ConfigError, Settings, Warning, check_page, flags, markdown_table};
use hashi::{Config, Server, Signals};

/// The exit code for a wrong configuration; the command line's own errors have the same.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let matches = flags::command().get_matches();
    let settings = Settings::from_env(cores(), flags::given(&matches));
    match matches.subcommand_name() {
        Some("config-table") => print(&markdown_table()),
        Some("check") => check(&settings),
        _ => serve(&settings),
    }
}

fn cores() -> u32 {
    thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

fn check(settings: &Settings) -> ExitCode {
    match settings.load() {
        Ok((config, warnings)) => {
            warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            print(&check_page(&config, settings))
        }
        Err(error) => refuse(&error),
    }
}

fn serve(settings: &Settings) -> ExitCode {
    let (config, warnings) = match settings.load() {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error),
    };
    start_log(&warnings);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hashi: {message}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &ConfigError) -> ExitCode {
    eprintln!("hashi: {error}");
    ExitCode::from(WRONG_CONFIGURATION)
}

/// Prints a page. A reader that goes away early (`hashi check | head`) is no failure.
fn print(page: &str) -> ExitCode {
    match io::stdout().write_all(page.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn start_log(warnings: &[Warning]) {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
}

/// Serves until a signal has stopped the server. The error is the one message that the user sees.
fn run(config: Config) -> Result<(), String> {
    let (host, port) = (config.host.clone(), config.port);
    // Before anybody can know that the server listens, so that no signal comes too early.
    let signals = Signals::catch().map_err(|error| format!("cannot handle signals: {error}"))?;
    let server = Server::builder(config).bind().map_err(|error| bind_message(&host, port, &error))?;
    signals.stop(server.handle()).map_err(|error| format!("cannot handle signals: {error}"))?;
    server.run().map_err(|error| format!("the event loop failed: {error}"))
}

fn bind_message(host: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} on {host} is already in use; stop the program that has it, or choose another port with \
             WEBSOCKET_PORT or --websocket-port (0 takes a free one)"
        ),
        ErrorKind::PermissionDenied => format!(
            "no permission to listen on port {port} of {host}; choose one above 1023 with WEBSOCKET_PORT or \
             --websocket-port"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("{host} is not an address of this machine; choose another one with HASHI_HOST or --hashi-host")
        }
        _ => {
            format!("cannot listen on port {port} of {host} (WEBSOCKET_PORT, HASHI_HOST): {error}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_its_variable() {
        let message = bind_message("localhost", 3001, &ErrorKind::AddrInUse.into());
        assert!(message.starts_with("port 3001 on localhost is already in use"), "{message}");
        assert!(message.contains("WEBSOCKET_PORT") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn other_failures_to_listen_name_what_to_change() {
        for (kind, name) in [
            (ErrorKind::PermissionDenied, "WEBSOCKET_PORT"),
            (ErrorKind::AddrNotAvailable, "HASHI_HOST"),
            (ErrorKind::InvalidInput, "HASHI_HOST"),
        ] {
            let message = bind_message("example", 80, &kind.into());
            assert!(message.contains(name), "{message}");
        }
    }
}
