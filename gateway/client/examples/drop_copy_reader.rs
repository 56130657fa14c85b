//! Prints an account's reports as they happen, notices what it has missed, and asks for that. Its key needs the role
//! DropCopy for the account.
//!
//! ```sh
//! rialto serve --data demo &
//! cargo run -p client --example drop_copy_reader -- demo auditor [FROM_EXEC_ID]
//! ```

mod common;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use client::copies::{CopyStream, Since, Taken};
use client::wire::ExecutionId;
use client::{Options, Policy, Start, Trader, TraderNews};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drop_copy_reader: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (data, name, from) = match arguments.as_slice() {
        [data, name] => (data, name, None),
        [data, name, from] => (data, name, Some(ExecutionId(from.parse()?))),
        _ => return Err("drop_copy_reader DATA KEY [FROM_EXEC_ID]".into()),
    };
    let (access, account) = common::access(Path::new(data), name, Options::DEFAULT)?;
    let mut copies = CopyStream::new(Since::Beginning);
    if let Some(from) = from {
        copies.follow(account, from);
    }
    let mut trader = Trader::new(access, Start::Anew, Policy::DEFAULT);
    loop {
        match trader.receive()? {
            TraderNews::Message(message) => match copies.take(&message) {
                Taken::New => println!("{message:?}"),
                Taken::Duplicate | Taken::Other => {}
                lost @ (Taken::Lost { .. } | Taken::Refused(_)) => eprintln!("{lost:?}"),
            },
            // What was asked for went with the connection.
            TraderNews::Opened(_) => copies.ask_again(),
            TraderNews::Disconnected(error) => eprintln!("{error}"),
            other => eprintln!("{other:?}"),
        }
        if trader.is_open()
            && let Some(request) = copies.request()
        {
            trader.ask(&request)?;
        }
    }
}
