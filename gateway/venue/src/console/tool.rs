//! `rialto console`: signs a request for a ticket, and prints the link that lets in with it.

use crate::admin::tool::{AskError, Caller};
use crate::arguments::ConsoleArguments;
use crate::data_folder::key_file;
use crate::exit::Exit;

/// Prints the link on standard output, or why there is none on standard error.
pub fn run(arguments: &ConsoleArguments) -> Exit {
    match link(arguments) {
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

fn link(arguments: &ConsoleArguments) -> Result<String, AskError> {
    let ConsoleArguments { name, key, data, connect, certificate } = arguments;
    let file = match (key, name) {
        (Some(file), _) => file.clone(),
        (None, Some(name)) => key_file(data, name),
        (None, None) => return Err(AskError::Usage("NAME is missing: who, such as alice".to_owned())),
    };
    Caller::reading(data.clone(), connect.clone(), certificate.clone(), Some(file)).console_link()
}
