//! Worker threads: they take jobs from one bounded channel and run handlers.
//!
//! A handler that runs too long cannot be stopped. Its job is given up, and its worker is replaced, as long as not more
//! workers are lost than there are configured; the lost one ends when its handler does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::handle::{Command, Handle};
use super::message::{Context, Message};
use super::registry::HandlerFn;
use crate::config::limits::JOBS_MAX;

/// States of a job, shared by the loop and the worker that runs it.
const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const ENDED: u8 = 2;
/// Given up; the worker goes on with the next job.
const GIVEN_UP: u8 = 3;
/// Given up and the worker has been replaced: it must end.
const REPLACED: u8 = 4;

/// One message for one handler.
#[derive(Clone)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// The code to run.
    pub run: HandlerFn,
    /// The message.
    pub message: Arc<Message>,
    state: Arc<AtomicU8>,
    /// Counts the message's bytes until its last job is gone.
    _held: Arc<Held>,
}

impl Job {
    /// A job that waits.
    pub fn new(id: u64, run: HandlerFn, message: Arc<Message>, held: Arc<Held>) -> Self {
        Self { id, run, message, state: Arc::new(AtomicU8::new(WAITING)), _held: held }
    }
}

/// Bytes of a message that jobs hold on to; they are given back when it is dropped, on whatever thread.
pub struct Held {
    sum: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    /// Adds `bytes` to `sum`.
    pub fn new(sum: &Arc<AtomicUsize>, bytes: usize) -> Self {
        sum.fetch_add(bytes, Ordering::Relaxed);
        Self { sum: Arc::clone(sum), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The threads and the way to them.
pub struct Workers {
    jobs: Sender<Job>,
    receiver: Receiver<Job>,
    handle: Handle,
    count: usize,
    lost: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts `count` threads that report to `handle`.
    pub fn start(count: usize, handle: Handle) -> Self {
        let (jobs, receiver) = bounded(JOBS_MAX);
        let workers = Self { jobs, receiver, handle, count, lost: Arc::new(AtomicUsize::new(0)) };
        for _ in 0..count {
            workers.spawn();
        }
        workers
    }

    /// Hands a job to any free worker. False if as many wait as may.
    pub fn try_start(&self, job: Job) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Gives a job up. If a worker is stuck in it, another takes its place.
    pub fn give_up(&self, job: &Job) {
        if job.state.compare_exchange(WAITING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return;
        }
        let replace = self.lost.load(Ordering::SeqCst) < self.count;
        let state = if replace { REPLACED } else { GIVEN_UP };
        if job.state.compare_exchange(RUNNING, state, Ordering::SeqCst, Ordering::SeqCst).is_ok() && replace {
            self.lost.fetch_add(1, Ordering::SeqCst);
            self.spawn();
        }
    }

    /// Workers lost to handlers that do not end.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    fn spawn(&self) {
        let (receiver, handle, lost) = (self.receiver.clone(), self.handle.clone(), Arc::clone(&self.lost));
        let spawned = thread::Builder::new().name("hashi-worker".into()).spawn(move || work(&receiver, &handle, &lost));
        if let Err(error) = spawned {
            log::error!("cannot start a worker: {error}");
        }
    }
}

fn work(jobs: &Receiver<Job>, handle: &Handle, lost: &AtomicUsize) {
    for job in jobs {
        if job.state.compare_exchange(WAITING, RUNNING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            continue;
        }
        let context = Context { handle, job: job.id, message: &job.message };
        let panicked = catch_unwind(AssertUnwindSafe(|| (job.run)(&job.message, &context))).is_err();
        match job.state.compare_exchange(RUNNING, ENDED, Ordering::SeqCst, Ordering::SeqCst) {
            Err(REPLACED) => {
                lost.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            Err(_) => {}
            Ok(_) => {
                if handle.send(Command::Done { job: job.id, panicked }).is_err() {
                    return;
                }
            }
        }
    }
}
