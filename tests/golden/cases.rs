//! The files of tests/golden.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One envelope and its committed answers.
pub struct Case {
    /// The file's name without its folder and ending.
    pub name: String,
    /// The message, byte for byte.
    pub text: String,
    pub answers: Vec<Value>,
}

impl Case {
    /// Whether it is the first message of its connection.
    pub fn is_first(&self) -> bool {
        self.label().starts_with("first-")
    }

    /// The code and field that the name of an invalid case tells.
    #[track_caller]
    pub fn expected_error(&self) -> (&str, Option<&str>) {
        let parts: Vec<&str> = self.name.split("--").collect();
        let [code, field, _] = parts[..] else { panic!("{}: <code>--<field or none>--<case>", self.name) };
        (code, Some(field).filter(|field| *field != "none"))
    }

    fn label(&self) -> &str {
        self.name.rsplit("--").next().unwrap_or(&self.name)
    }
}

/// Every case of `valid` or `invalid`, by name. A case without an answer fails, and so does an answer without a case.
#[track_caller]
pub fn read(folder: &str) -> Vec<Case> {
    let (cases, answers) = (root().join(folder), root().join("answers").join(folder));
    let names = names_in(&cases);
    assert_eq!(names, names_in(&answers), "{} and {} have the same names", cases.display(), answers.display());
    names.into_iter().map(|name| read_case(&cases, &answers, name)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[track_caller]
fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a file in the folder").path();
        assert!(path.extension().is_some_and(|ending| ending == "json"), "{}: not .json", path.display());
        path.file_stem().and_then(|stem| stem.to_str()).expect("a name in ASCII").to_owned()
    };
    entries.map(name).collect()
}

#[track_caller]
fn read_case(cases: &Path, answers: &Path, name: String) -> Case {
    let file = format!("{name}.json");
    let text = read_text(&cases.join(&file));
    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    let answers = read_text(&answers.join(&file));
    let answers = serde_json::from_str(&answers).unwrap_or_else(|error| panic!("the answers of {file}: {error}"));
    Case { name, text, answers }
}

#[track_caller]
fn read_text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
