//! The documents say what the code does: tables that are made from the code, and names that exist in it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use hashi::ErrorCode;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("the document is there")
}

/// The lines between `<!-- name: begin -->` and `<!-- name: end -->`.
fn section<'a>(document: &'a str, name: &str) -> &'a str {
    let begin = format!("<!-- {name}: begin -->\n");
    let (_, rest) = document.split_once(&begin).expect("the section begins");
    rest.split_once(&format!("<!-- {name}: end -->")).expect("the section ends").0
}

/// All Rust files below `folder`, put together.
fn source(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            text.push_str(&source(&path));
        } else {
            text.push_str(&fs::read_to_string(&path).expect("the file can be read"));
        }
    }
    text
}

/// The names in `text` that consist of what `is_part` takes, from each place where `start` is.
fn names(text: &str, start: &str, is_part: fn(char) -> bool) -> BTreeSet<String> {
    let whole = |(at, _)| text[at..].chars().take_while(|c| is_part(*c)).collect();
    text.match_indices(start).map(whole).collect()
}

fn is_name(c: char) -> bool {
    c.is_ascii_lowercase() || c == '_'
}

fn error_table() -> String {
    let mut table = "| code | status | close code | temporary | meaning |\n|---|---|---|---|---|\n".to_owned();
    for code in ErrorCode::ALL {
        let close = code.close_code().map_or_else(|| "-".to_owned(), |close| close.to_string());
        let temporary = if code.is_temporary() { "yes" } else { "no" };
        let (name, status, meaning) = (code.name(), code.status(), code.default_message());
        writeln!(table, "| `{name}` | {status} | {close} | {temporary} | {meaning} |").expect("a String grows");
    }
    table
}

#[test]
fn the_table_of_errors_is_that_of_the_code() {
    let table = error_table();
    assert!(section(&document("PROTOCOL.md"), "error table") == table, "docs/PROTOCOL.md should have\n{table}");
}

#[test]
fn the_table_of_variables_is_that_of_the_code() {
    let table = hashi::config::markdown_table();
    let written = document("OPERATIONS.md");
    assert!(section(&written, "configuration table") == table, "docs/OPERATIONS.md is old: run `make docs`");
}

#[test]
fn examples_are_json() {
    for name in ["PROTOCOL.md", "OPERATIONS.md"] {
        let text = document(name);
        let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        let sent = text.lines().filter_map(|line| line.strip_prefix("> {").or(line.strip_prefix("< {")));
        for example in blocks.map(str::to_owned).chain(sent.map(|rest| format!("{{{rest}"))) {
            let value: Result<serde_json::Value, _> = serde_json::from_str(&example);
            assert!(value.is_ok() || is_meant_to_be_wrong(&example), "docs/{name}: {example}");
        }
    }
}

fn is_meant_to_be_wrong(example: &str) -> bool {
    example.ends_with(",}")
}

#[test]
fn metrics_are_those_of_the_code() {
    let written = names(&document("OPERATIONS.md"), "`hashi_", |c| is_name(c) || c == '`');
    let written: BTreeSet<String> = written.into_iter().map(|name| name.trim_matches('`').to_owned()).collect();
    let code = names(&source(&root().join("src/observe")), "\"hashi_", |c| is_name(c) || c == '"');
    let code: BTreeSet<String> = code.into_iter().map(|name| name.trim_matches('"').to_owned()).collect();
    assert_eq!(written, code);
}

#[test]
fn close_codes_of_the_loop_are_explained() {
    let text = document("PROTOCOL.md");
    let is_code = |word: &&str| word.len() == 4 && word.starts_with('4') && word.bytes().all(|b| b.is_ascii_digit());
    let code = source(&root().join("src/reactor")) + &source(&root().join("src/message"));
    let own: BTreeSet<&str> = code.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_code).collect();
    assert!(own.len() > 5, "close codes were not found");
    let no_codes = ["4096", "4499", "4500"]; // a size, and the bounds of ranges
    for code in own.into_iter().filter(|code| !no_codes.contains(code)) {
        assert!(text.contains(&format!("\n| {code} |")), "docs/PROTOCOL.md does not explain {code}");
    }
}

/// A name in capitals between backticks is a variable of the table, or a constant of the source.
#[test]
fn names_in_capitals_exist() {
    const FOREIGN: [&str; 2] = ["RUST_LOG", "TCP_NOTSENT_LOWAT"];
    let code = source(&root().join("src"));
    let exists = |name: &str| {
        FOREIGN.contains(&name)
            || hashi::config::table::find(name).is_some()
            || code.contains(&format!("const {name}: "))
    };
    let is_capital = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
    for document_name in ["PROTOCOL.md", "OPERATIONS.md", "ARCHITECTURE.md"] {
        let text = document(document_name);
        let quoted = text.split('`').skip(1).step_by(2);
        let words = quoted.map(|word| word.split('=').next().unwrap_or_default());
        for word in words.filter(|word| word.contains('_') && !word.ends_with('_') && word.chars().all(is_capital)) {
            assert!(exists(word), "docs/{document_name} names {word}");
        }
    }
}
