//! From the server to a second thread and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::{self, Thread};

use crossbeam_queue::ArrayQueue;

/// What both threads share. A message is the number of its connection.
#[derive(Debug)]
pub(super) struct Queues {
    requests: ArrayQueue<usize>,
    answers: ArrayQueue<usize>,
    server_sleeps: AtomicBool,
    has_ended: AtomicBool,
}

impl Queues {
    /// With room for as many as can be outstanding.
    pub(super) fn new(outstanding_max: usize) -> Self {
        Self {
            requests: ArrayQueue::new(outstanding_max),
            answers: ArrayQueue::new(outstanding_max),
            server_sleeps: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    /// There are no more requests.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }
}

/// The second thread's work: every request is an answer at once. Sleeps while there is none.
pub(super) fn answer(queues: &Queues, wake: impl Fn()) {
    loop {
        while let Some(connection) = queues.requests.pop() {
            queues.answers.push(connection).expect("there is room for all that is outstanding");
            fence(Ordering::SeqCst);
            if queues.server_sleeps.load(Ordering::Relaxed) && queues.server_sleeps.swap(false, Ordering::Relaxed) {
                wake();
            }
        }
        if queues.has_ended.load(Ordering::Acquire) {
            return;
        }
        thread::park();
    }
}

/// The server's end.
#[derive(Debug)]
pub(super) struct Exchange {
    queues: Arc<Queues>,
    second: Thread,
}

impl Exchange {
    pub(super) fn new(queues: Arc<Queues>, second: Thread) -> Self {
        Self { queues, second }
    }

    /// Hands over so many requests of a connection.
    pub(super) fn hand_over(&self, connection: usize, count: usize) {
        for _ in 0..count {
            self.queues.requests.push(connection).expect("there is room for all that is outstanding");
        }
        self.second.unpark();
    }

    /// The connection of the next answer.
    pub(super) fn take(&self) -> Option<usize> {
        self.queues.answers.pop()
    }

    /// Whether the server may sleep: no answer is there, and for the next one it is woken.
    pub(super) fn may_sleep(&self) -> bool {
        self.queues.server_sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.queues.answers.is_empty()
    }

    /// The server is awake.
    pub(super) fn is_awake(&self) {
        self.queues.server_sleeps.store(false, Ordering::Relaxed);
    }
}
