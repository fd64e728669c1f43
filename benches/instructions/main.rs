//! How many instructions each hot function takes, counted by valgrind and compared with `baseline.txt`. Unlike times,
//! counts do not depend on what else the machine does.
//!
//! ```text
//! cargo bench --bench instructions               compares
//! cargo bench --bench instructions -- accept     makes what is counted now the baseline
//! ```
//!
//! Each case runs twice, in processes of their own: with a few calls, and with more. The difference is what the further
//! calls took; setting up, warming up and the start of the process are in both runs and cancel out.

#[path = "../cases/mod.rs"]
mod cases;

mod baseline;
mod valgrind;

use std::process::ExitCode;
use std::thread;

use baseline::{Baseline, Count};
use cases::Case;

/// Calls of the shorter run: buffers have grown by then.
const WARM_CALLS: u32 = 8;
/// Operations that the longer run has more, at least: what differs between two starts of a process, a few dozen
/// instructions, must vanish in them.
const COUNTED_OPERATIONS: u32 = 1000;
/// And calls, so that what happens once in a while has its share.
const COUNTED_CALLS_MIN: u32 = 32;

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [] => compare(),
        ["accept"] => accept(),
        // What this program runs of itself under valgrind.
        ["call", name, calls] => call(name, calls),
        ["features"] => {
            println!("{}", valgrind::features());
            Ok(())
        }
        _ => Err("usage: instructions [accept]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), String> {
    let baseline = Baseline::read()?;
    let machine = valgrind::machine()?;
    if machine != baseline.machine {
        println!("instruction counts: not compared, because they depend on compiler, libc and processor.");
        println!("  here:     {machine}\n  baseline: {}", baseline.machine);
        return Ok(());
    }
    baseline.compare(&count_all()?)
}

fn accept() -> Result<(), String> {
    Baseline { machine: valgrind::machine()?, counts: count_all()? }.write()
}

fn call(name: &str, calls: &str) -> Result<(), String> {
    let case = cases::all().find(|case| case.name == name).ok_or("no such case")?;
    let calls: u32 = calls.parse().map_err(|_| "not a number of calls")?;
    let mut operation = (case.prepare)();
    for _ in 0..calls {
        operation();
    }
    Ok(())
}

/// Counts every case, on all cores.
fn count_all() -> Result<Vec<Count>, String> {
    let cases: Vec<&Case> = cases::all().collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = |core| -> Vec<_> { cases.iter().skip(core).step_by(cores).map(|case| count(case)).collect() };
    let mut shares: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || share(core).into_iter())).collect();
        threads.into_iter().map(|thread| thread.join().expect("counting does not panic")).collect()
    });
    // Put together in the order of the cases again.
    (0..cases.len()).filter_map(|index| shares[index % cores].next()).collect()
}

fn count(case: &Case) -> Result<Count, String> {
    let run = |calls: u32| valgrind::count(&["call", case.name, &calls.to_string()]);
    let counted_calls = (COUNTED_OPERATIONS / case.operations).max(COUNTED_CALLS_MIN);
    let counted = run(WARM_CALLS + counted_calls)? - run(WARM_CALLS)?;
    let instructions = counted as f64 / f64::from(counted_calls) / f64::from(case.operations);
    Ok(Count { case: case.name.to_owned(), instructions })
}
