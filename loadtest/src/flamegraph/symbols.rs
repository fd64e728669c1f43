//! From a place in the server's program to the functions that are inlined there: a release build inlines whole stages.
//!
//! Those of the standard library are left out. They are many, each a few instructions, and nobody looks for time in
//! `ptr::add`.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::fallible_iterator::FallibleIterator;
use addr2line::gimli::Reader;
use addr2line::{Frame, Loader};
use object::{Object, ObjectSegment};

/// The files of the standard library.
const STANDARD_LIBRARY: &str = "/rustc/";

/// The symbols of one program.
pub struct Symbols {
    pub program: PathBuf,
    loader: Loader,
    segments: Vec<Segment>,
}

/// Bytes of the file, and the address that they are loaded to.
struct Segment {
    file: Range<u64>,
    address: u64,
}

impl Symbols {
    pub fn of(program: &Path) -> io::Result<Self> {
        let program = program.canonicalize()?;
        let bytes = std::fs::read(&program)?;
        let file = object::File::parse(&*bytes).map_err(io::Error::other)?;
        let segment = |segment: object::Segment<'_, '_>| {
            let (start, len) = segment.file_range();
            Segment { file: start..start + len, address: segment.address() }
        };
        let segments = file.segments().map(segment).collect();
        let loader = Loader::new(&program).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { program, loader, segments })
    }

    /// The functions that are inlined at a place of the file, the innermost first.
    pub fn inlined(&self, offset: u64) -> Vec<String> {
        self.address(offset).map(|address| self.inlined_at(address)).unwrap_or_default()
    }

    fn inlined_at(&self, address: u64) -> Vec<String> {
        let Ok(frames) = self.loader.find_frames(address) else {
            return Vec::new();
        };
        let mut names: Vec<Option<String>> = frames.iterator().map_while(|frame| Some(name(&frame.ok()?))).collect();
        names.pop(); // the function that they are inlined into
        names.into_iter().flatten().collect()
    }

    fn address(&self, offset: u64) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| segment.file.contains(&offset))?;
        Some(offset - segment.file.start + segment.address)
    }
}

/// The function's path, or `module::function`: the debug information of a release build has only files and names.
fn name(frame: &Frame<'_, impl Reader>) -> Option<String> {
    let file = frame.location.as_ref()?.file.filter(|file| !file.starts_with(STANDARD_LIBRARY))?;
    let function = frame.function.as_ref()?.demangle().ok()?;
    let is_path = function.split('<').next().is_some_and(|start| start.is_empty() || start.contains("::"));
    if is_path { Some(function.into_owned()) } else { Some(format!("{}::{function}", module(Path::new(file))?)) }
}

/// A file's module as its path tells it; a crate's root is named by the crate's folder.
fn module(file: &Path) -> Option<&str> {
    let stem = match file.file_stem()?.to_str()? {
        "mod" => file.parent()?.file_name()?,
        "lib" => file.ancestors().nth(2)?.file_name()?,
        _ => file.file_stem()?,
    };
    stem.to_str()
}

#[cfg(test)]
mod tests {
    use object::ObjectSymbol;

    use super::*;

    #[inline(always)]
    fn inlined_function(text: &str) -> usize {
        std::hint::black_box(text).len()
    }

    #[inline(never)]
    fn outer_function() -> usize {
        inlined_function("text")
    }

    /// The test looks into its own program.
    #[test]
    fn functions_are_found_where_they_are_inlined() {
        assert_eq!(outer_function(), 4);
        let program = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&program).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let is_outer =
            |symbol: &object::Symbol<'_, '_>| symbol.name().is_ok_and(|name| name.contains("outer_function"));
        let outer = file.symbols().find(is_outer).unwrap();
        let symbols = Symbols::of(&program).unwrap();
        let mut addresses = outer.address()..outer.address() + outer.size();
        let is_there = |address| symbols.inlined_at(address).iter().any(|name| name.ends_with("::inlined_function"));
        assert!(addresses.any(is_there));
    }

    #[test]
    fn places_of_the_file_have_addresses() {
        let symbols = Symbols::of(&std::env::current_exe().unwrap()).unwrap();
        let segment = symbols.segments.last().unwrap();
        assert_eq!(symbols.address(segment.file.start + 1), Some(segment.address + 1));
        assert_eq!(symbols.address(u64::MAX), None);
    }

    #[test]
    fn modules_are_named_by_their_files() {
        assert_eq!(module(Path::new("src/reactor/drain.rs")), Some("drain"));
        assert_eq!(module(Path::new("src/reactor/mod.rs")), Some("reactor"));
        assert_eq!(module(Path::new("/registry/slab-0.4/src/lib.rs")), Some("slab-0.4"));
    }
}
