//! The rules of the source tree: what may know what, and how long a file may be.
//!
//! The tests read `src/` as text: comments are left out, `use` trees are written out as single paths. That is enough
//! for code that rustfmt has laid out; a path that a macro puts together would not be seen.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer, the lowest first. A module may use its own layer and those below, but of the modules of one layer
/// only [`MIXED`] may use each other.
const LAYERS: [&[&str]; 9] =
    [&["config"], &["message"], &["wire"], &["tables"], &["delivery"], MIXED, &["reactor"], &["server"], &["main"]];
const MIXED: &[&str] = &["auth", "rest", "handlers", "observe"];

/// What only the reactor, and what starts it, may name. `core::net` is not among it: it has addresses, no sockets.
const IMPURE: [&str; 5] = ["mio", "std::net", "std::thread", "std::time::Instant", "std::time::SystemTime"];
/// Where they may be named. Workers need threads, see [`may_name`].
const PURE_FROM: usize = 6;

/// Lines of a file before its tests.
const LINES_MAX: usize = 520;
/// Lines of `docs/ARCHITECTURE.md`, which is to be read in fifteen minutes.
const ARCHITECTURE_LINES_MAX: usize = 200;

struct File {
    name: String,
    /// The top module it belongs to.
    module: String,
    /// Its place in the module tree, without the crate.
    place: Vec<String>,
    /// Lines before the tests.
    lines: usize,
    /// The text without comments: before the tests, and the tests.
    code: [String; 2],
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read_tree(folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            read_tree(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(read_file(&path));
        }
    }
}

fn read_file(path: &Path) -> File {
    let text = fs::read_to_string(path).expect("the file can be read");
    let within = path.strip_prefix(root().join("src")).expect("the file is in src/").with_extension("");
    let mut place: Vec<String> = within.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    place.retain(|part| part != "mod" && part != "lib");
    let (code, tests) = text.split_once("\n#[cfg(test)]\nmod tests").unwrap_or((&text, ""));
    File {
        name: format!("src/{}.rs", within.display()),
        module: place.first().cloned().unwrap_or_default(),
        place,
        lines: code.lines().count(),
        code: [without_comments(code), without_comments(tests)],
    }
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split(" // ").next().unwrap_or_default().to_owned();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//")).map(code);
    lines.collect::<Vec<_>>().join("\n")
}

fn sources() -> Vec<File> {
    let mut files = Vec::new();
    read_tree(&root().join("src"), &mut files);
    files.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(files.len() > 30, "src/ was not found");
    files
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The places where `word` stands by itself: no longer name, and no path, goes on to its left, no name to its right.
fn find_word(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let is_free = |at: &usize| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        let after = bytes.get(at + word.len());
        !before.is_some_and(|byte| is_word_byte(byte) || byte == b':') && !after.is_some_and(|&byte| is_word_byte(byte))
    };
    code.match_indices(word).map(|(at, _)| at).filter(is_free).collect()
}

/// All paths that a piece of code names: those of its `use` trees, written out, and those that begin with `start`.
fn paths(code: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    for at in find_word(code, "use") {
        let tree: String = code[at + 3..].split(';').next().unwrap_or_default().split_whitespace().collect();
        expand("", &tree, &mut found);
    }
    found.retain(|path| path == start || path.starts_with(&format!("{start}::")));
    for at in find_word(code, start) {
        let is_path_byte = |byte: &u8| is_word_byte(*byte) || *byte == b':';
        let path: String = code[at..].bytes().take_while(is_path_byte).map(char::from).collect();
        found.push(path.trim_end_matches(':').to_owned());
    }
    found
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`. `tree` has no white space.
fn expand(before: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((path, inner)) = tree.split_once('{') else {
        paths.push(format!("{before}{tree}"));
        return;
    };
    let before = format!("{before}{path}");
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut from) = (0, 0);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                expand(&before, &inner[from..at], paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if from < inner.len() {
        expand(&before, &inner[from..], paths);
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The crate's own modules that a file uses: by `crate::`, by as many `super::` as lead out of its module.
fn used_modules(file: &File, exports: &[(String, String)]) -> Vec<String> {
    let mut used = Vec::new();
    for (code, depth) in file.code.iter().zip([file.place.len(), file.place.len() + 1]) {
        let absolute = paths(code, "crate").into_iter().filter_map(|path| path.split("::").nth(1).map(str::to_owned));
        let relative = paths(code, "super").into_iter().filter_map(|path| {
            let ups = path.split("::").take_while(|part| *part == "super").count();
            let name = path.split("::").nth(ups)?.to_owned();
            (ups == depth).then_some(name)
        });
        used.extend(absolute.chain(relative));
    }
    let resolve = |name: String| match exports.iter().find(|(export, _)| *export == name) {
        Some((_, module)) => module.clone(),
        None => name,
    };
    let mut modules: Vec<String> = used.into_iter().map(resolve).filter(|name| layer_of(name).is_some()).collect();
    modules.sort();
    modules.dedup();
    modules
}

/// What `lib.rs` gives a second name to: the name, and the module it comes from.
fn exports(files: &[File]) -> Vec<(String, String)> {
    let lib = files.iter().find(|file| file.name == "src/lib.rs").expect("src/lib.rs");
    let modules = LAYERS.iter().flat_map(|layer| layer.iter());
    let named = |module: &&str| {
        let module = (*module).to_owned();
        let last = |path: String| path.rsplit("::").next().unwrap_or_default().to_owned();
        paths(&lib.code[0], &module).into_iter().map(last).map(|name| (name, module.clone())).collect::<Vec<_>>()
    };
    modules.flat_map(named).filter(|(name, module)| name != module).collect()
}

fn may_use(user: &str, used: &str) -> bool {
    let (above, below) = (layer_of(user), layer_of(used));
    user == used || below < above || (MIXED.contains(&user) && MIXED.contains(&used))
}

fn may_name(file: &File, name: &str) -> bool {
    layer_of(&file.module).is_none_or(|layer| layer >= PURE_FROM)
        || (file.module == "handlers" && name == "std::thread")
}

#[track_caller]
fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_file_belongs_to_a_layer() {
    let unknown = sources().into_iter().filter(|file| !file.module.is_empty() && layer_of(&file.module).is_none());
    assert_none(unknown.map(|file| format!("{} belongs to no layer", file.name)).collect());
}

#[test]
fn only_the_reactor_knows_sockets_threads_and_clocks() {
    let mut violations = Vec::new();
    for file in sources() {
        for name in IMPURE.into_iter().filter(|name| !may_name(&file, name)) {
            // A type may be imported by its parent: `Instant::now` is caught as well as `std::time::Instant`.
            let short = name.strip_prefix("std::time::").unwrap_or(name);
            if file.code.iter().any(|code| !paths(code, name).is_empty() || !find_word(code, short).is_empty()) {
                violations.push(format!("{} names {name}", file.name));
            }
        }
    }
    assert_none(violations);
}

#[test]
fn modules_use_only_what_is_below_them() {
    let files = sources();
    let exports = exports(&files);
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| !file.module.is_empty()) {
        let wrong = used_modules(file, &exports).into_iter().filter(|used| !may_use(&file.module, used));
        violations.extend(wrong.map(|used| format!("{} uses {used}", file.name)));
    }
    assert_none(violations);
}

#[test]
fn nothing_is_unsafe() {
    let is_unsafe = |file: &File| file.code.iter().any(|code| !find_word(code, "unsafe").is_empty());
    assert_none(sources().into_iter().filter(is_unsafe).map(|file| format!("{} is unsafe", file.name)).collect());
}

#[test]
fn a_file_is_one_idea() {
    let long = sources().into_iter().filter(|file| file.lines > LINES_MAX);
    assert_none(long.map(|file| format!("{} has {} lines before its tests", file.name, file.lines)).collect());
}

#[test]
fn the_architecture_is_read_in_fifteen_minutes() {
    let Ok(text) = fs::read_to_string(root().join("docs/ARCHITECTURE.md")) else {
        return;
    };
    let lines = text.lines().count();
    assert!(lines < ARCHITECTURE_LINES_MAX, "docs/ARCHITECTURE.md has {lines} lines");
}

/// The rules above would hold of nothing if this did not work.
#[test]
fn paths_are_found() {
    let code = "use std::{io, net::{self, TcpStream}};\nfn f() { crate::reactor::x(); muse::std::thread(); }";
    assert_eq!(paths(code, "std::net"), ["std::net::self", "std::net::TcpStream"]);
    assert_eq!(paths(code, "crate"), ["crate::reactor::x"]);
    assert!(paths(code, "std::thread").is_empty());
    let file = |place: &[&str], code: &str, tests: &str| File {
        name: String::new(),
        module: place[0].to_owned(),
        place: place.iter().map(|part| (*part).to_owned()).collect(),
        lines: 0,
        code: [code.to_owned(), tests.to_owned()],
    };
    let exports = [("Server".to_owned(), "server".to_owned())];
    let deep = file(&["wire", "http"], "use super::super::tables::Wheel; use super::utf8;", "use super::super::utf8;");
    assert_eq!(used_modules(&deep, &exports), ["tables"]);
    assert!(!may_use("wire", "tables") && may_use("rest", "handlers") && !may_use("rest", "reactor"));
    assert_eq!(used_modules(&file(&["wire"], "use crate::Server;", ""), &exports), ["server"]);
    assert_eq!(without_comments("a // mio\n    /// mio\nb"), "a\nb");
}
