//! The configuration as text: the documentation's table and the page of `hashi check`.

use std::fmt::Write;

use super::settings::{Settings, Source};
use super::table::VARIABLES;
use super::variable::Variable;
use super::{Config, memory, rules};

/// The table of variables in Markdown, for `docs/OPERATIONS.md`. Ends with a newline.
pub fn markdown_table() -> String {
    let mut table = "| variable | default | allowed | meaning |\n|---|---|---|---|\n".to_owned();
    for variable in &VARIABLES {
        table.push_str(&markdown_row(variable));
    }
    table
}

fn markdown_row(variable: &Variable) -> String {
    let cells = [variable.default_text(), variable.allowed(), variable.help.to_owned()];
    let [default, allowed, help] = cells.map(|cell| cell.replace('|', "\\|").replace('<', "&lt;"));
    format!("| `{}` | {default} | {allowed} | {help} |\n", variable.name)
}

/// The effective configuration and the memory that it allows, line by line. Ends with a newline.
pub fn check_page(config: &Config, settings: &Settings) -> String {
    let mut page = "The configuration is valid.\n".to_owned();
    let mut group = None;
    let name_width = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
    let width = VARIABLES.iter().map(|variable| variable.describe(config).chars().count()).max().unwrap_or(0).min(30);
    for variable in &VARIABLES {
        if group.replace(variable.group) != Some(variable.group) {
            line(&mut page, format_args!("\n{}", variable.group.title()));
        }
        let (value, origin) = (variable.describe(config), origin(variable, config, settings));
        line(&mut page, format_args!("  {:<name_width$}  {value:<width$}  {origin}", variable.name));
    }
    page.push_str(&memory_page(config));
    page
}

fn origin(variable: &Variable, config: &Config, settings: &Settings) -> &'static str {
    match settings.source(variable.name) {
        Source::Flag => "set by its flag",
        Source::Environment => "set",
        Source::Default if follows_others(variable, config) => "default, follows the others",
        Source::Default => "default",
    }
}

/// Whether a value that is not set differs from the table's. Workers do too, but those follow the machine.
fn follows_others(variable: &Variable, config: &Config) -> bool {
    let workers = Config { workers: config.workers, ..Config::default() };
    variable.show(config) != variable.show(&workers)
}

fn memory_page(config: &Config) -> String {
    let rows = memory::worst_case_memory(config);
    let total: u64 = rows.iter().map(|(_, bytes)| bytes).sum();
    let mut page = "\nMemory at worst, in bytes\n".to_owned();
    for (what, bytes) in &rows {
        line(&mut page, format_args!("  {bytes:>16}  {what}"));
    }
    line(&mut page, format_args!("  {total:>16}  in all, about {}", rules::show_rounded(total)));
    page.push_str("Not counted: the kernel's socket buffers, the allocator's overhead, the program itself.\n");
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("ok because writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::new(1, pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())), [])
    }

    #[test]
    fn the_markdown_table_has_a_row_of_four_cells_per_variable() {
        let table = markdown_table();
        assert_eq!(table.lines().count(), 2 + VARIABLES.len());
        assert!(table.lines().all(|line| line.replace("\\|", "").matches('|').count() == 5), "{table}");
        assert!(table.contains("| `WEBSOCKET_PORT` | 3001 | 0 to 65535 | Port for WebSocket and REST."));
        assert!(table.contains("| `HASHI_QUEUE_BYTES` | 1048576 (1 MiB) | 256 bytes to 1073741824 (1 GiB) |"));
    }

    #[test]
    fn the_check_page_says_where_each_value_comes_from() {
        let settings = settings(&[("HASHI_MAX_MESSAGE_BYTES", "2MiB")]);
        let (config, _) = settings.load().expect("valid");
        let page = check_page(&config, &settings);
        let row = |name: &str| {
            let found = page.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
            found.expect(name).split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("WEBSOCKET_PORT"), "3001 default");
        assert_eq!(row("HASHI_MAX_MESSAGE_BYTES"), "2097152 (2 MiB) set");
        assert_eq!(row("HASHI_QUEUE_BYTES"), "2097152 (2 MiB) default, follows the others");
        assert_eq!(row("HASHI_ALLOWED_ORIGINS"), "(same origin) default");
    }

    #[test]
    fn the_check_page_adds_the_memory_up() {
        let config = Config::for_cores(64);
        let page = check_page(&config, &settings(&[]));
        let total: u64 = memory::worst_case_memory(&config).iter().map(|(_, bytes)| bytes).sum();
        assert!(page.contains(&format!("{total}  in all, about ")), "{page}");
        assert!(!page.contains("follows"), "{page}");
    }
}
