//! One process writes a data folder.

mod common;

use common::{Folder, page_of_cancels};
use journal::{Journal, OpenError};

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
