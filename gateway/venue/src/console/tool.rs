//! `rialto console`: signs a request for a ticket, and prints the link that lets in with it.

use engine::IdempotencyKey;

use super::login::TICKET_PATH;
use crate::admin::tool::{AskError, Caller};
use crate::arguments::ConsoleArguments;
use crate::data_folder::{key_file, random};
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
    let caller = Caller::reading(data.clone(), connect.clone(), certificate.clone(), Some(file));
    let request = IdempotencyKey((u64::from_le_bytes(random()?) >> 11).max(1));
    let place = caller.place()?;
    let answer = caller.ask("POST", TICKET_PATH, request, Some(String::new()))?;
    let ticket = answer.said("ticket").ok_or_else(|| AskError::Refused(answer.refusal()))?;
    // Behind the #: no server and no proxy ever sees it, and it is in no log.
    Ok(format!("{}/console/#ticket={ticket}", place.origin))
}
