//! Runs this program under valgrind, and says what counts depend on.

use std::env;
use std::process::{Command, Output};

/// Instructions that this program takes from its start to its end when it is given `arguments`.
pub fn count(arguments: &[&str]) -> Result<u64, String> {
    let run = run_self("callgrind", arguments)?;
    let report = String::from_utf8_lossy(&run.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind counted nothing:\n{report}"))
}

/// All that counts depend on besides the code: compiler, libc, and the processor as valgrind shows it, by whose features
/// some functions choose their code.
pub fn machine() -> Result<String, String> {
    let version = |program: &str, argument| Ok::<_, String>(line(&output(Command::new(program).arg(argument))?));
    let (valgrind, rustc) = (version("valgrind", "--version")?, version("rustc", "--version")?);
    let libc = version("getconf", "GNU_LIBC_VERSION").unwrap_or_else(|_| "another libc".into());
    Ok(format!("{rustc}; {libc}; {valgrind}; {}", line(&run_self("none", &["features"])?)))
}

/// The architecture and the features that code chooses by, as this process sees them.
pub fn features() -> String {
    let mut words = vec![env::consts::ARCH];
    #[cfg(target_arch = "x86_64")]
    {
        let detected = [
            ("sse4.2", is_x86_feature_detected!("sse4.2")),
            ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("bmi2", is_x86_feature_detected!("bmi2")),
            ("aes", is_x86_feature_detected!("aes")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
        ];
        words.extend(detected.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)));
    }
    words.join(" ")
}

fn run_self(tool: &str, arguments: &[&str]) -> Result<Output, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.arg(format!("--tool={tool}"));
    if tool == "callgrind" {
        valgrind.arg("--callgrind-out-file=/dev/null");
    }
    output(valgrind.arg(program).args(arguments))
}

fn output(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

fn line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
