//! The head over words of a test's own: killed at each of its stores, and in every interleaving of its two threads.

use engine::canonical::Canonical;
use engine::command::{AdvanceTime, CancelOrder};
use engine::{AccountId, ClientOrderId, OrderId, Stamp, Timestamp};

use super::*;

struct Words<W> {
    published: W,
    marks: [Vec<W>; 2],
    ring: Vec<W>,
}

impl<W: Word> Words<W> {
    fn of(ring_words: usize, word: impl Fn() -> W) -> Self {
        let words = |count| (0..count).map(|_| word()).collect();
        Self { published: word(), marks: [words(MARK_WORDS), words(MARK_WORDS)], ring: words(ring_words) }
    }

    /// What a process that comes after finds.
    fn image(&self) -> Result<HeadImage, HeadFault> {
        let load = |words: &[W]| words.iter().map(Word::load).collect::<Vec<_>>();
        let marks = self.marks.each_ref().map(|mark| load(mark));
        HeadImage::from_parts(marks.each_ref().map(Vec::as_slice), self.published.load(), &load(&self.ring))
    }
}

impl<W: Word> Memory for Words<W> {
    type Word = W;

    fn published(&self) -> &W {
        &self.published
    }

    fn mark(&self, index: usize) -> &[W] {
        &self.marks[index]
    }

    fn ring(&self) -> &[W] {
        &self.ring
    }
}

/// Every third is a long one, so that records end anywhere in the ring.
fn command(sequence: u64) -> Sequenced<Command> {
    let cancel = CancelOrder {
        account: AccountId(2),
        order_id: OrderId(sequence),
        original_client_order_id: ClientOrderId(sequence << 32),
        client_order_id: ClientOrderId(u64::MAX - sequence),
    };
    let value =
        if sequence.is_multiple_of(3) { Command::from_venue(cancel) } else { Command::from_venue(AdvanceTime {}) };
    Sequenced { stamp: Stamp { sequence: Sequence(sequence), time: Timestamp(sequence * 10) }, value }
}

/// A command's record in the head, by the format's description.
fn record(sequence: u64) -> Vec<u8> {
    let mut value = Vec::new();
    command(sequence).encode(&mut value);
    let length = u16::try_from(value.len()).unwrap();
    let mut record = [&length.to_le_bytes()[..], &[1, 0, 0, 0, 0, 0], &value].concat();
    record.resize(record.len().next_multiple_of(8), 0);
    record
}

fn records(range: impl IntoIterator<Item = u64>) -> Vec<u8> {
    range.into_iter().flat_map(record).collect()
}

/// The hash of the link that a command is durable in.
fn link(sequence: u64) -> ChainHash {
    ChainHash::of_link(&sequence.to_le_bytes())
}

const NOTHING_DURABLE: (Sequence, ChainHash) = (Sequence::NONE, ChainHash::GENESIS);

#[cfg(not(loom))]
mod kills {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    const RING_WORDS: usize = 48;
    const STEPS: usize = 60;

    /// A word that keeps nothing once the process is dead.
    struct MortalWord {
        value: Cell<u64>,
        life: Rc<Life>,
    }

    struct Life {
        stores_left: Cell<u64>,
        is_over: Cell<bool>,
    }

    impl Word for MortalWord {
        fn load(&self) -> u64 {
            self.value.get()
        }

        fn store(&self, word: u64, _: Ordering) {
            match self.life.stores_left.get().checked_sub(1) {
                None => self.life.is_over.set(true),
                Some(left) => {
                    self.life.stores_left.set(left);
                    self.value.set(word);
                }
            }
        }
    }

    /// Both threads of a process, in one order of their steps.
    struct Process {
        life: Rc<Life>,
        head: Arc<Head<Words<MortalWord>>>,
        appender: HeadAppender<Words<MortalWord>>,
        drain: HeadDrain<Words<MortalWord>>,
        /// Commands appended, acknowledged as published, taken, and synced to disk.
        appended: u64,
        acknowledged: u64,
        taken: u64,
        synced: u64,
    }

    impl Process {
        /// Its life begins when its head is complete.
        fn new(stores: u64) -> Self {
            let life = Rc::new(Life { stores_left: Cell::new(u64::MAX), is_over: Cell::new(false) });
            let words = Words::of(RING_WORDS, || MortalWord { value: Cell::new(0), life: Rc::clone(&life) });
            #[expect(
                clippy::arc_with_non_send_sync,
                reason = "the appender and the drain share one, here on one thread"
            )]
            let head = Arc::new(Head::over(words, NOTHING_DURABLE, Idle::Park));
            life.stores_left.set(stores);
            let (appender, drain) = (HeadAppender::new(Arc::clone(&head)), HeadDrain::new(Arc::clone(&head)));
            Self { life, head, appender, drain, appended: 0, acknowledged: 0, taken: 0, synced: 0 }
        }

        fn run(&mut self, seed: u64) {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..STEPS {
                match random.u8(..8) {
                    0..4 => self.append(),
                    4..6 => self.publish(),
                    6 => self.take(random.usize(0..8 * RING_WORDS)),
                    _ => self.sync(),
                }
                if self.life.is_over.get() {
                    return;
                }
            }
        }

        /// Never where it would wait: the other thread's steps are this one's too.
        fn append(&mut self) {
            let pending = records(self.synced + 1..=self.appended + 1);
            if pending.len() <= 8 * RING_WORDS {
                self.appended += 1;
                self.appender.append(&command(self.appended)).unwrap();
            }
        }

        fn publish(&mut self) {
            self.appender.publish().unwrap();
            if !self.life.is_over.get() {
                self.acknowledged = self.appended;
            }
        }

        fn take(&mut self, bytes_max: usize) {
            let mut out = Vec::new();
            self.drain.take(&mut out, bytes_max);
            let from = self.taken + 1;
            while records(from..=self.taken).len() < out.len() {
                self.taken += 1;
            }
            assert_eq!(out, records(from..=self.taken), "whole records, in order");
        }

        fn sync(&mut self) {
            if self.taken > self.synced {
                self.synced = self.taken;
                self.drain.mark_durable(Sequence(self.synced), link(self.synced));
            }
        }

        fn assert_can_be_adopted(&self, context: &str) {
            let image = self.head.memory.image().unwrap_or_else(|fault| panic!("{context}: {fault}"));
            let (mark, last) = (image.mark.sequence.0, image.last().0);
            assert!(mark <= self.synced, "{context}: marked as durable, and not on disk");
            assert_eq!(image.mark.hash, if mark == 0 { ChainHash::GENESIS } else { link(mark) }, "{context}");
            assert!(last.max(self.synced) >= self.acknowledged, "{context}: an acknowledged command is lost");
            assert!(last <= self.appended, "{context}");
            for sequence in mark + 1..=last {
                assert_eq!(image.record(Sequence(sequence)), Some(&record(sequence)[..]), "{context}: {sequence}");
            }
        }
    }

    /// The stores of both threads, in many orders, up to each of them.
    #[test]
    fn a_process_killed_at_any_store_leaves_what_can_be_adopted() {
        let first = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
        let seeds = first..first + if cfg!(miri) { 1 } else { 30 };
        println!("SEED={first}");
        let mut kills = 0;
        for seed in seeds {
            let mut whole = Process::new(u64::MAX);
            whole.run(seed);
            whole.assert_can_be_adopted(&format!("seed {seed}"));
            let stores = u64::MAX - whole.life.stores_left.get();
            for kill in 0..stores {
                let mut process = Process::new(kill);
                process.run(seed);
                assert!(process.life.is_over.get());
                process.assert_can_be_adopted(&format!("seed {seed}, killed at store {kill}"));
                kills += 1;
            }
        }
        println!("{kills} kills");
    }
}

/// See docs/TESTING.md.
#[cfg(loom)]
mod loom_models {
    use std::ops::ControlFlow;
    use std::sync::atomic::AtomicBool;

    use loom::sync::atomic::AtomicU64 as CheckedWord;
    use loom::thread;

    use super::*;

    impl Word for CheckedWord {
        fn load(&self) -> u64 {
            self.load(Ordering::Relaxed)
        }

        fn store(&self, word: u64, order: Ordering) {
            self.store(word, order);
        }
    }

    fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(preemptions);
        builder.max_branches = 100_000;
        let executions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&executions);
        builder.check(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            model();
        });
        println!("{} executions", executions.load(Ordering::Relaxed));
    }

    fn head(ring_bytes: usize) -> Arc<Head<Words<CheckedWord>>> {
        let words = Words::of(ring_bytes / WORD_BYTES, || CheckedWord::new(0));
        Arc::new(Head::over(words, NOTHING_DURABLE, Idle::Park))
    }

    /// Takes and frees everything; tells `sync` what is durable before it is marked, and stops when that stops.
    fn drain_all<W: Word>(mut drain: HeadDrain<Words<W>>, sync: impl Fn(u64) -> ControlFlow<()>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last = 0;
        while drain.wait().is_ok() {
            drain.take(&mut out, usize::MAX);
            while records(1..=last).len() < out.len() {
                last += 1;
            }
            if sync(last).is_break() {
                drain.head.freed.poison();
                break;
            }
            drain.mark_durable(Sequence(last), link(last));
        }
        out
    }

    fn always(_: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A word that keeps nothing once the process is dead.
    struct MortalWord {
        word: CheckedWord,
        life: Arc<Life>,
    }

    /// What a process did in its life; kept by atomics that loom knows nothing of, so that they order nothing.
    #[derive(Default)]
    struct Life {
        stores_left: AtomicU64,
        is_over: AtomicBool,
        acknowledged: AtomicU64,
        synced: AtomicU64,
    }

    impl Life {
        /// Raises a number, if there still is somebody to do so.
        fn reach(&self, number: &AtomicU64, value: u64) -> ControlFlow<()> {
            if self.is_over.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            number.store(value, Ordering::Relaxed);
            ControlFlow::Continue(())
        }
    }

    impl Word for MortalWord {
        fn load(&self) -> u64 {
            Word::load(&self.word)
        }

        fn store(&self, word: u64, order: Ordering) {
            let left = self.life.stores_left.load(Ordering::Relaxed);
            if left == 0 {
                self.life.is_over.store(true, Ordering::Relaxed);
            } else {
                self.life.stores_left.store(left - 1, Ordering::Relaxed);
                self.word.store(word, order);
            }
        }
    }

    /// Both threads stop at one moment, wherever each is.
    #[test]
    fn a_process_killed_at_any_store_of_either_thread_leaves_what_can_be_adopted() {
        for stores in 0.. {
            let any_killed = Arc::new(AtomicBool::new(false));
            let any = Arc::clone(&any_killed);
            check(2, move || {
                if live_for(stores) {
                    any.store(true, Ordering::Relaxed);
                }
            });
            if !any_killed.load(Ordering::Relaxed) {
                println!("killed at each of {stores} stores");
                return;
            }
        }
    }

    /// Whether the process was killed before it had done everything.
    fn live_for(stores: u64) -> bool {
        let life = Arc::new(Life { stores_left: AtomicU64::new(u64::MAX), ..Life::default() });
        // Two short records or one long one.
        let ring_words = 2 * record(1).len() / WORD_BYTES;
        let words = Words::of(ring_words, || MortalWord { word: CheckedWord::new(0), life: Arc::clone(&life) });
        let head = Arc::new(Head::over(words, NOTHING_DURABLE, Idle::Park));
        life.stores_left.store(stores, Ordering::Relaxed);
        let (mut appender, publishing) = (HeadAppender::new(Arc::clone(&head)), Arc::clone(&life));
        let appending = thread::spawn(move || {
            for last in [1, 2, 3] {
                let published = appender.append(&command(last)).and_then(|()| appender.publish());
                if published.is_err() || publishing.reach(&publishing.acknowledged, last).is_break() {
                    return;
                }
            }
        });
        drain_all(HeadDrain::new(Arc::clone(&head)), |last| life.reach(&life.synced, last));
        appending.join().unwrap();

        let image = head.memory.image().unwrap_or_else(|fault| panic!("killed at store {stores}: {fault}"));
        let (mark, last) = (image.mark.sequence.0, image.last().0);
        assert!(mark <= life.synced.load(Ordering::Relaxed), "killed at store {stores}: marked, and not on disk");
        assert!(last >= life.acknowledged.load(Ordering::Relaxed), "killed at store {stores}: a command is lost");
        for sequence in mark + 1..=last {
            assert_eq!(image.record(Sequence(sequence)), Some(&record(sequence)[..]), "killed at store {stores}");
        }
        life.is_over.load(Ordering::Relaxed)
    }

    /// The ring holds one long record or one short one and a half: every record waits for the one before to be freed, and
    /// lies around the ring's end.
    #[test]
    fn the_writer_takes_each_record_whole_and_once_around_the_rings_end() {
        check(4, || {
            let head = head(record(3).len());
            let mut appender = HeadAppender::new(Arc::clone(&head));
            let appending = thread::spawn(move || {
                for sequence in 1..=3 {
                    appender.append(&command(sequence)).unwrap();
                }
                appender.publish().unwrap();
            });
            assert_eq!(drain_all(HeadDrain::new(Arc::clone(&head)), always), records(1..=3));
            appending.join().unwrap();
            let image = head.memory.image().unwrap();
            assert_eq!((image.mark.sequence, image.mark.hash, image.last()), (Sequence(3), link(3), Sequence(3)));
        });
    }

    #[test]
    fn what_is_published_in_one_go_is_taken_in_one_go_or_two() {
        check(4, || {
            let head = head(1_024);
            let mut appender = HeadAppender::new(Arc::clone(&head));
            let appending = thread::spawn(move || {
                appender.append(&command(1)).unwrap();
                appender.append(&command(2)).unwrap();
                appender.publish().unwrap();
                appender.append(&command(3)).unwrap();
                appender.publish().unwrap();
            });
            assert_eq!(drain_all(HeadDrain::new(head), always), records(1..=3));
            appending.join().unwrap();
        });
    }

    /// The writer stops while the core waits for room, or before: the core is told, and does not sleep over it.
    #[test]
    fn a_core_that_waits_for_room_is_told_that_the_writer_stopped() {
        check(5, || {
            let head = head(record(3).len());
            let mut appender = HeadAppender::new(Arc::clone(&head));
            let stopping = thread::spawn(move || head.freed.poison());
            let outcome = (1..=3).try_for_each(|sequence| appender.append(&command(sequence)));
            assert_eq!(outcome, Err(Poisoned { reached: 0 }));
            stopping.join().unwrap();
        });
    }
}
