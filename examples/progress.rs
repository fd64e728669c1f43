//! Embeds the server and reports a real computation's progress to the session that asked for it.
//!
//! A client publishes `count_primes` with `{"below": 20000000}`. The answer is a sequence of `operation_*` messages to its
//! session: started, progress as the sieve moves on, completed with the result.
//!
//! ```sh
//! cargo run --release --example progress
//! ```

use std::thread;

use hashi::{Config, Context, Handle, Message, MessageOptions, MessageType, Server, Signals};
use serde::Deserialize;
use serde_json::{Value, json};

/// Numbers sieved between two reports.
const SEGMENT: usize = 1 << 20;
/// The largest bound that is taken.
const BELOW_MAX: usize = 1_000_000_000;

#[derive(Deserialize)]
struct Request {
    below: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let signals = Signals::catch()?;
    let (config, warnings) = Config::from_env(4)?; // 4 workers, unless HASHI_WORKERS says otherwise
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let server = Server::builder(config).on("count_primes", start).bind()?;
    signals.stop(server.handle())?;
    server.run()?;
    Ok(())
}

/// Runs on a worker. A handler should be short, so the computation gets a thread of its own.
fn start(message: &Message, context: &Context<'_>) {
    let request = message.payload_as::<Request>().ok().filter(|request| (2..=BELOW_MAX).contains(&request.below));
    let (Some(request), Some(session)) = (request, message.session_id.clone()) else {
        let error = json!({ "message": "count_primes needs a session and {\"below\": 2 to 1000000000}" });
        if let Err(error) = context.reply("count_primes_refused", &error) {
            log::error!("reply: {error}");
        }
        return;
    };
    let operation = Operation { handle: context.handle().clone(), id: message.id.clone(), session, started_at: now() };
    thread::spawn(move || operation.run(request.below));
}

/// One computation that reports to one session.
struct Operation {
    handle: Handle,
    id: String,
    session: String,
    started_at: String,
}

impl Operation {
    fn run(&self, below: usize) {
        self.report(MessageType::OPERATION_STARTED, "started", 0.0, json!({ "below": below }));
        let primes = count_primes(below, |done| {
            let progress = done as f64 / below as f64;
            self.report(MessageType::OPERATION_PROGRESS, "progress", progress, json!({ "below": below }));
        });
        let details = json!({ "below": below, "primes": primes });
        self.report(MessageType::OPERATION_COMPLETED, "completed", 1.0, details);
    }

    /// The payload's `operationId` becomes the message's key: a client that is slow gets the newest progress only.
    fn report(&self, kind: &str, status: &str, progress: f64, details: Value) {
        let payload = json!({
            "operationId": self.id,
            "operationType": "count_primes",
            "status": status,
            "progress": progress,
            "details": details,
            "startedAt": self.started_at,
            "updatedAt": now(),
        });
        match self.handle.create_message(kind, &payload, MessageOptions::default()) {
            Ok(message) => drop(self.handle.broadcast_to_session(&self.session, message)),
            Err(error) => log::error!("report: {error}"),
        }
    }
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// A segmented sieve of Eratosthenes; `report` is told how far it is after each segment.
fn count_primes(below: usize, report: impl Fn(usize)) -> usize {
    let root = below.isqrt() + 1;
    let small = primes_below(root + 1);
    let mut count = 0;
    for start in (0..below).step_by(SEGMENT) {
        let end = (start + SEGMENT).min(below);
        count += count_segment(start, end, &small);
        report(end);
    }
    count
}

fn primes_below(limit: usize) -> Vec<usize> {
    let mut composite = vec![false; limit];
    let mut primes = Vec::new();
    for n in 2..limit {
        if !composite[n] {
            primes.push(n);
            (n * n..limit).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    primes
}

fn count_segment(start: usize, end: usize, small: &[usize]) -> usize {
    let mut composite = vec![false; end - start];
    for &prime in small.iter().take_while(|&&prime| prime * prime < end) {
        let first = (prime * prime).max(start.div_ceil(prime) * prime);
        (first..end).step_by(prime).for_each(|multiple| composite[multiple - start] = true);
    }
    let smallest = 2_usize.saturating_sub(start).min(composite.len());
    composite[smallest..].iter().filter(|&&is_composite| !is_composite).count()
}
