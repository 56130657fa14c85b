//! A venue keeps its past beside its core: it starts again from a snapshot, its history is what happened, and what is
//! lost of it is derived again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use engine::command::{AddAsset, AdminNote, Deposit, OpenAccount};
use engine::{
    AccountId, Amount, AssetId, Capacity, Command, CommandBody, Event, EventHeader, Sequence, StpGroup, Text,
};
use journal::{
    AsOf, Direction, History, JournalCopy, Keep, Key, Query, Reader, Retention, SnapshotStore, rebuild, replay,
};
use venue::archive::ArchivePlan;
use venue::topology::{Topology, Venue};

const ACCOUNTS: u32 = 8;

fn topology() -> Topology {
    let archive = ArchivePlan {
        snapshot_every: Some(2_048),
        keep: Keep::at_most(3),
        retention: Retention::Everything,
        key: SigningKey::from_bytes(&[7; 32]),
    };
    let capacity = Capacity { accounts: 16, ..Capacity::SMALL };
    Topology { capacity, segment_bytes: 64 << 10, archive: Some(archive), ..Topology::default() }
}

fn setting_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> =
        vec![AddAsset { asset: AssetId(1), name: Text::new("USD").unwrap(), decimals: 2, note }.into()];
    let open =
        |account| OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note };
    bodies.extend((2..2 + ACCOUNTS).map(|account| CommandBody::from(open(AccountId(account)))));
    bodies
}

/// Deposits, each of another amount, to one account after the other.
fn deposits(from: u64, count: u64) -> Vec<CommandBody> {
    let deposit = |number: u64| Deposit {
        account: AccountId(2 + (number % u64::from(ACCOUNTS)) as u32),
        asset: AssetId(1),
        amount: Amount(u128::from(number)),
        note: AdminNote::NONE,
    };
    (from..from + count).map(|number| deposit(number).into()).collect()
}

fn submit(venue: &Venue, bodies: Vec<CommandBody>) {
    for body in bodies {
        while venue.commands().submit(Command::from_venue(body)).is_err() {
            std::thread::yield_now();
        }
    }
}

/// Waits until the history shows everything up to there, and as many snapshots were taken.
fn wait(venue: &Venue, sequence: u64, snapshots: u64) {
    let status = venue.archive().unwrap().status();
    status.reached().wait_for(sequence).unwrap();
    while status.snapshot_count() < snapshots {
        assert!(!status.is_failing());
        std::thread::yield_now();
    }
}

/// A venue of 5,009 commands, stopped in order.
fn stopped(data: &Path) {
    let venue = Venue::start(data, &topology(), |_| {}).unwrap();
    submit(&venue, setting_up());
    submit(&venue, deposits(1, 3_000));
    wait(&venue, 3_009, 1);
    submit(&venue, deposits(3_001, 2_000));
    wait(&venue, 5_009, 2);
    venue.stop().unwrap();
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

fn events_of(history: &History, account: u32) -> Vec<(EventHeader, Event)> {
    let query =
        Query { key: Some(Key::Account(AccountId(account))), from: None, to: None, direction: Direction::Forward };
    history.events(&query).map(Result::unwrap).collect()
}

#[test]
fn a_venue_starts_again_from_its_newest_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let venue = Venue::start(folder.path(), &topology(), |engine| {
        // Account 2 has every eighth deposit: 8, 16, …, 5,000.
        let expected: u128 = (1..=625).map(|number| 8 * number).sum();
        assert_eq!(engine.balance(AccountId(2), AssetId(1)).unwrap().available, Amount(expected));
    })
    .unwrap();
    let report = venue.report().join("\n");
    assert!(report.contains("restored from a snapshot: behind command 4096, 913 commands replayed"), "{report}");
    let ended = venue.stop().unwrap();
    let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
    assert_eq!((replayed.event_digest, replayed.last), (ended.event_digest, Sequence(5_009)));
    let checkpoints = SnapshotStore::open(folder.path()).checkpoints().unwrap();
    assert_eq!(checkpoints.iter().map(|signed| signed.checkpoint.sequence.0).collect::<Vec<_>>(), [2_048, 4_096]);
}

#[test]
fn its_history_is_what_happened_while_it_runs_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let mut all: Vec<(EventHeader, Event)> = Vec::new();
    rebuild(Reader::open(folder.path()).unwrap(), &mut all, |_| {}).unwrap();
    let of_account = |account: u32| -> Vec<_> {
        let concerns = |(_, event): &&(EventHeader, Event)| match event {
            Event::BalanceChanged(changed) => changed.account == AccountId(account),
            Event::AccountOpened(opened) => opened.command.account == AccountId(account),
            _ => false,
        };
        all.iter().filter(concerns).copied().collect()
    };
    let venue = Venue::start(folder.path(), &topology(), |_| {}).unwrap();
    wait(&venue, 5_009, 0);
    let history = venue.archive().unwrap().history().get().unwrap();
    for account in 2..2 + ACCOUNTS {
        assert_eq!(events_of(&history, account).len(), 626);
        assert_eq!(events_of(&history, account), of_account(account));
    }
    venue.stop().unwrap();
    // Files hold whole blocks of 1,024 commands.
    let on_disk = History::open(folder.path()).unwrap().unwrap();
    assert_eq!((on_disk.first(), on_disk.last()), (Sequence(1), Sequence(4_096)));
    let up_to = |events: Vec<(EventHeader, Event)>| -> Vec<_> {
        events.into_iter().filter(|(header, _)| header.id.sequence <= Sequence(4_096)).collect()
    };
    assert_eq!(events_of(&on_disk, 3), up_to(of_account(3)));
}

/// Deleted, cut, and a bit flipped: while the venue runs the same files come to be again.
#[test]
fn what_is_lost_of_the_history_is_derived_again_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let history = folder.path().join("history");
    let expected = files(&history);
    let file = expected.keys().find(|path| path.extension() == Some("events".as_ref())).unwrap().clone();
    let half = expected[&file].len() / 2;
    let losses: [(&str, &dyn Fn()); 3] = [
        ("deleted", &|| fs::remove_dir_all(&history).unwrap()),
        ("cut", &|| fs::write(&file, &expected[&file][..half]).unwrap()),
        ("flipped", &|| {
            let mut bytes = expected[&file].clone();
            bytes[half] ^= 0x10;
            fs::write(&file, bytes).unwrap();
        }),
    ];
    for (what, lose) in losses {
        lose();
        let venue = Venue::start(folder.path(), &topology(), |_| {}).unwrap();
        wait(&venue, 5_009, 0);
        venue.stop().unwrap();
        assert!(files(&history) == expected, "{what}");
    }
}

/// A journal was brought back to an earlier point, and the history of what came later left beside it. It was shown as what
/// had happened.
#[test]
fn a_history_that_is_ahead_of_the_journal_is_derived_again() {
    let (folder, earlier) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    stopped(folder.path());
    let until = AsOf::Sequence(Sequence(2_500));
    JournalCopy::restore(folder.path(), earlier.path(), until, &mut |_| {}).unwrap().place().unwrap();
    let history = earlier.path().join("history");
    fs::create_dir(&history).unwrap();
    for (path, bytes) in files(&folder.path().join("history")) {
        fs::write(history.join(path.file_name().unwrap()), bytes).unwrap();
    }
    let venue = Venue::start(earlier.path(), &topology(), |_| {}).unwrap();
    submit(&venue, deposits(1, 2_000));
    wait(&venue, 4_500, 1);
    let shown = events_of(&venue.archive().unwrap().history().get().unwrap(), 3);
    venue.stop().unwrap();
    let mut all: Vec<(EventHeader, Event)> = Vec::new();
    rebuild(Reader::open(earlier.path()).unwrap(), &mut all, |_| {}).unwrap();
    let of_account = |(_, event): &&(EventHeader, Event)| match event {
        Event::BalanceChanged(changed) => changed.account == AccountId(3),
        Event::AccountOpened(opened) => opened.command.account == AccountId(3),
        _ => false,
    };
    assert_eq!(shown, all.iter().filter(of_account).copied().collect::<Vec<_>>());
}
