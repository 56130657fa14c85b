//! `rialto console`: signs a request for a ticket, and prints the link that lets in with it.

use crate::admin::tool::Caller;
use crate::arguments::ConsoleArguments;
use crate::data_folder::key_file;
use crate::exit::Exit;

/// Prints the link on standard output, or why there is none on standard error.
pub fn run(arguments: &ConsoleArguments) -> Exit {
    let ConsoleArguments { name, key, data, connect, certificate } = arguments.clone();
    // One of both is there, by the command line's own rule.
    let file = key.or_else(|| name.map(|name| key_file(&data, &name)));
    match Caller::reading(data, connect, certificate, file).console_link() {
        Ok(link) => {
            println!("{link}");
            Exit::Done
        }
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}
