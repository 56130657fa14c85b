//! One process writes a data folder.

mod common;

use common::{Folder, page_of_cancels};
use journal::{FolderLock, Journal, OpenError};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    match Journal::open(&folder.data(), &folder.options()).map(|_| ()) {
        Err(OpenError::Locked { lock }) => assert_eq!(lock, folder.data().join("lock")),
        other => panic!("{other:?}"),
    }
    assert_eq!(folder.commands().len(), 40, "the refused opening changed nothing");
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    let writing = folder.open();
    assert_eq!(writing.recovery.last.0, 80);
    writing.abandon();
}

/// A venue that was started, stopped and started again in one process was now and then refused its own folder: a process
/// that another thread was starting meanwhile had the lock's file open until it became another program.
#[test]
fn a_lock_that_is_given_back_is_free_whoever_is_being_started_meanwhile() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.data()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        let failed = (0..2_000).find_map(|_| FolderLock::take(&folder.data()).map(drop).err());
        done.store(true, Ordering::Release);
        assert!(failed.is_none(), "{failed:?}");
    });
}

/// A copy of a data folder names the same head in shared memory. A venue on the copy used to replace the head of the one
/// that ran, and with it what that one had acknowledged and not written yet.
#[test]
fn a_copy_does_not_take_the_head_of_a_writer_that_runs() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(folder.data()).arg(copy.path().join("data")).status().unwrap();
    assert!(copied.success());
    match Journal::open(&copy.path().join("data"), &folder.options()).map(|_| ()) {
        Err(OpenError::Locked { lock }) => assert_eq!(lock.extension().unwrap(), "head"),
        other => panic!("{other:?}"),
    }
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    assert_eq!(folder.open().recovery.last.0, 80);
}
