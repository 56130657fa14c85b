//! A venue is there with everything that it begins with, or not at all, wherever its first start was interrupted.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::command::{AddAsset, AdminNote, CommandBody, Deposit, OpenAccount};
use engine::{AccountId, Amount, AssetId, Capacity, RejectReason, Sequence, StpGroup, Text};
use journal::{FolderLock, Options, replay};
use venue::founding::{FOUNDING_FOLDER, FoundingError, found};

/// Leaves something at a place.
type Leave<'a> = &'a dyn Fn(&Path);

const NOTE: AdminNote = AdminNote::NONE;

fn options() -> Options {
    Options { segment_bytes: 1 << 20, ..Options::new(Capacity::SMALL) }
}

fn set_up() -> Vec<CommandBody> {
    let account = AccountId(2);
    vec![
        AddAsset { asset: AssetId(1), name: Text::new("USD").unwrap(), decimals: 2, note: NOTE }.into(),
        OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note: NOTE }.into(),
        Deposit { account, asset: AssetId(1), amount: Amount(500), note: NOTE }.into(),
    ]
}

/// Founds a venue if there is none; whether it did.
fn founded(directory: &Path, set_up: impl FnOnce() -> Vec<CommandBody>) -> Result<bool, FoundingError> {
    let lock = FolderLock::take(directory).unwrap();
    found(&lock, &options(), || Ok(set_up()))
}

/// The journal is whole and sealed, and nothing else of a founding is there.
fn assert_founded(directory: &Path, case: &str) {
    let replayed = replay(directory, &mut (), |_| {}).unwrap();
    assert_eq!((replayed.first, replayed.last), (Sequence(1), Sequence(3)), "{case}");
    assert!(replayed.verified.seal.is_some() && replayed.verified.cut.is_none(), "{case}");
    assert!(!directory.join(FOUNDING_FOLDER).exists(), "{case}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn whatever_an_interrupted_founding_left_is_begun_anew() {
    let whole = tempfile::tempdir().unwrap();
    assert!(founded(whole.path(), set_up).unwrap());
    let segment = fs::read(whole.path().join("journal/00000001.seg")).unwrap();
    let cases: [(&str, Leave<'_>); 7] = [
        ("nothing", &|_| {}),
        ("an empty folder", &|place| fs::create_dir(place).unwrap()),
        ("a head and a lock", &|place| {
            fs::create_dir(place).unwrap();
            fs::write(place.join("lock"), "").unwrap();
            fs::write(place.join("rialto-00.head"), "half a head").unwrap();
        }),
        ("a spare", &|place| {
            fs::create_dir_all(place.join("journal")).unwrap();
            fs::write(place.join("journal/00000001.spare"), [0; 5_000]).unwrap();
        }),
        ("half a header", &|place| {
            fs::create_dir_all(place.join("journal")).unwrap();
            fs::write(place.join("journal/00000001.seg"), &segment[..2_000]).unwrap();
        }),
        ("a torn segment", &|place| {
            fs::create_dir_all(place.join("journal")).unwrap();
            fs::write(place.join("journal/00000001.seg"), &segment[..8_192]).unwrap();
        }),
        ("all but the rename", &|place| copy_folder(&whole.path().join("journal"), &place.join("journal"))),
    ];
    for (case, leave) in cases {
        let folder = tempfile::tempdir().unwrap();
        leave(&folder.path().join(FOUNDING_FOLDER));
        assert!(founded(folder.path(), set_up).unwrap(), "{case}");
        assert_founded(folder.path(), case);
    }
}

#[test]
fn a_venue_is_founded_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(founded(folder.path(), set_up).unwrap());
    // Killed behind the rename.
    fs::create_dir(folder.path().join(FOUNDING_FOLDER)).unwrap();
    assert!(!founded(folder.path(), || unreachable!("there is a venue")).unwrap());
    assert_founded(folder.path(), "again");
}

#[test]
fn a_journal_without_a_segment_is_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("journal")).unwrap();
    fs::write(folder.path().join("journal/00000001.spare"), [0; 100]).unwrap();
    assert!(founded(folder.path(), set_up).unwrap());
    assert_founded(folder.path(), "a spare");
}

#[test]
fn a_refused_command_is_named_and_nothing_is_founded() {
    let folder = tempfile::tempdir().unwrap();
    let twice = || set_up().into_iter().chain(set_up().pop()).chain(set_up().drain(..1)).collect();
    let error = founded(folder.path(), twice).unwrap_err();
    assert!(matches!(error, FoundingError::Refused { reason: RejectReason::AlreadyExists, .. }), "{error}");
    assert_eq!(error.to_string(), "a new venue refuses its command 5, AddAsset: AlreadyExists");
    assert!(!folder.path().join("journal").exists() && !folder.path().join(FOUNDING_FOLDER).exists());
    assert!(founded(folder.path(), set_up).unwrap());
    assert_founded(folder.path(), "behind a refusal");
}

#[test]
fn a_set_up_that_fails_founds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    #[derive(Debug)]
    struct Failed;
    impl From<FoundingError> for Failed {
        fn from(error: FoundingError) -> Self {
            unreachable!("{error}")
        }
    }
    let lock = FolderLock::take(folder.path()).unwrap();
    assert!(matches!(found(&lock, &options(), || Err(Failed)), Err(Failed)));
    assert!(!folder.path().join("journal").exists());
}

fn serve(data: &Path) -> Child {
    let any = "127.0.0.1:0";
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(["serve", "--order-entry", any, "--market-data", any, "--http", any, "--data"]);
    command.arg(data).arg("--head").arg(data).stdout(Stdio::null()).spawn().unwrap()
}

/// Lets the venue run until one of the files is there, then kills it.
fn kill_when_there(mut process: Child, files: &[&Path]) {
    let given_up = Instant::now() + Duration::from_secs(60);
    while !files.iter().any(|file| file.exists()) {
        let ended = process.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < given_up, "waiting for {files:?}: {ended:?}");
        std::thread::yield_now();
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_first_start_may_be_killed_anywhere() {
    let moments = [
        "lock",
        "certificate.key",
        "certificate.pem",
        "keys/alice.json",
        "keys/administrator.json",
        "founding",
        "founding/journal",
        "founding/journal/00000001.spare",
        "founding/journal/00000001.seg",
        "founding/journal/00000002.spare",
        "journal",
        "journal/00000002.spare",
    ];
    for moment in moments {
        let folder = tempfile::tempdir().unwrap();
        let (moment, announced) = (folder.path().join(moment), folder.path().join("venue.json"));
        // What is there for an instant only may be missed; then the venue dies later.
        kill_when_there(serve(folder.path()), &[&moment, &announced]);
        let _ = fs::remove_file(&announced);
        kill_when_there(serve(folder.path()), &[&announced]);
        let journal = replay(folder.path(), &mut (), |_| {}).unwrap();
        assert_eq!((journal.first, journal.last), (Sequence(1), Sequence(39)), "killed at {}", moment.display());
        assert!(!folder.path().join(FOUNDING_FOLDER).exists(), "killed at {}", moment.display());
    }
}

#[test]
fn of_two_first_starts_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::take(folder.path()).unwrap();
    assert_eq!(serve(folder.path()).wait().unwrap().code(), Some(3));
    // It has touched nothing that the other one is about to make.
    assert!(!folder.path().join("certificate.pem").exists() && !folder.path().join("journal").exists());
    drop(lock);
    kill_when_there(serve(folder.path()), &[&folder.path().join("venue.json")]);
}
