//! The head over words of a test's own: killed at each of its stores, and in every interleaving of its two threads.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

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

/// A word that keeps nothing once the process is dead.
struct MortalWord<W> {
    word: W,
    life: Arc<Life>,
}

type MortalWords<W> = Words<MortalWord<W>>;

/// What a process did in its life; in a model, atomics that loom knows nothing of, so that they order nothing.
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

impl<W: Word> Word for MortalWord<W> {
    fn load(&self) -> u64 {
        self.word.load()
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

/// A head whose process lives for so many stores behind its making.
fn mortal_head<W: Word>(
    ring_words: usize,
    stores: u64,
    word: impl Fn() -> W,
) -> (Arc<Head<MortalWords<W>>>, Arc<Life>) {
    let life = Arc::new(Life { stores_left: AtomicU64::new(u64::MAX), ..Life::default() });
    let words = Words::of(ring_words, || MortalWord { word: word(), life: Arc::clone(&life) });
    let head = Arc::new(Head::over(words, NOTHING_DURABLE, Idle::Park));
    life.stores_left.store(stores, Ordering::Relaxed);
    (head, life)
}

/// What the head holds goes on behind what is on disk, and nothing that was acknowledged is missing.
fn assert_can_be_adopted<W: Word>(words: &Words<W>, life: &Life, context: &str) {
    let image = words.image().unwrap_or_else(|fault| panic!("{context}: {fault}"));
    let (mark, last) = (image.mark.sequence.0, image.last().0);
    assert!(mark <= life.synced.load(Ordering::Relaxed), "{context}: marked as durable, and not on disk");
    assert_eq!(image.mark.hash, if mark == 0 { ChainHash::GENESIS } else { link(mark) }, "{context}");
    assert!(last >= life.acknowledged.load(Ordering::Relaxed), "{context}: an acknowledged command is lost");
    for sequence in mark + 1..=last {
        assert_eq!(image.record(Sequence(sequence)), Some(&record(sequence)[..]), "{context}: {sequence}");
    }
}

#[cfg(not(loom))]
mod kills {
    use super::*;

    const RING_WORDS: usize = 48;
    const STEPS: usize = 60;

    /// Both threads of a process, in one order of their steps.
    struct Process {
        life: Arc<Life>,
        head: Arc<Head<MortalWords<AtomicU64>>>,
        appender: HeadAppender<MortalWords<AtomicU64>>,
        drain: HeadDrain<MortalWords<AtomicU64>>,
        appended: u64,
        taken: u64,
    }

    impl Process {
        fn new(stores: u64) -> Self {
            let (head, life) = mortal_head(RING_WORDS, stores, || AtomicU64::new(0));
            let (appender, drain) = (HeadAppender::new(Arc::clone(&head)), HeadDrain::new(Arc::clone(&head)));
            Self { life, head, appender, drain, appended: 0, taken: 0 }
        }

        fn is_dead(&self) -> bool {
            self.life.is_over.load(Ordering::Relaxed)
        }

        fn synced(&self) -> u64 {
            self.life.synced.load(Ordering::Relaxed)
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
                if self.is_dead() {
                    return;
                }
            }
        }

        /// Never where it would wait: the other thread's steps are this one's too.
        fn append(&mut self) {
            let pending = records(self.synced() + 1..=self.appended + 1);
            if pending.len() <= 8 * RING_WORDS {
                self.appended += 1;
                self.appender.append(&command(self.appended)).unwrap();
            }
        }

        fn publish(&mut self) {
            self.appender.publish().unwrap();
            // A process that died meanwhile tells nobody.
            let _ = self.life.reach(&self.life.acknowledged, self.appended);
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
            if self.taken > self.synced() && self.life.reach(&self.life.synced, self.taken).is_continue() {
                self.drain.mark_durable(Sequence(self.taken), link(self.taken));
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
            assert_can_be_adopted(&whole.head.memory, &whole.life, &format!("seed {seed}"));
            let stores = u64::MAX - whole.life.stores_left.load(Ordering::Relaxed);
            for kill in 0..stores {
                let mut process = Process::new(kill);
                process.run(seed);
                assert!(process.is_dead());
                let context = format!("seed {seed}, killed at store {kill}");
                assert_can_be_adopted(&process.head.memory, &process.life, &context);
                kills += 1;
            }
        }
        println!("{kills} kills");
    }
}

/// See docs/TESTING.md.
#[cfg(loom)]
mod loom_models {
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
        // Two short records or one long one.
        let ring_words = 2 * record(1).len() / WORD_BYTES;
        let (head, life) = mortal_head(ring_words, stores, || CheckedWord::new(0));
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

        assert_can_be_adopted(&head.memory, &life, &format!("killed at store {stores}"));
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
