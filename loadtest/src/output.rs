//! The files of a result.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{LoadError, Result};
use crate::hdr;
use crate::html;
use crate::junit;
use crate::outcome::Outcome;

/// Writes all files of a result into a folder, which is made if it is not there.
pub fn write(outcome: &Outcome, folder: &Path) -> Result<()> {
    write_files(outcome, folder).map_err(|error| LoadError::System("--out", error))
}

fn write_files(outcome: &Outcome, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("result.json"), outcome.json())?;
    fs::write(folder.join("report.html"), html::page(outcome))?;
    fs::write(folder.join("junit.xml"), junit::xml(outcome).map_err(io::Error::other)?)?;
    if let Some(latency) = &outcome.report.latency {
        fs::write(folder.join("latency.hgrm"), hdr::percentile_text(latency))?;
        fs::write(folder.join("latency.hlog"), &outcome.recording.interval_log)?;
    }
    Ok(())
}
