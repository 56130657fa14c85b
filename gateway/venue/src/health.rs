//! `rialto health`: asks a running venue whether it takes orders; for whoever watches it by programs and exit codes.

use crate::admin::tool::{AskError, Place};
use crate::arguments::HealthArguments;
use crate::exit::Exit;

/// Says what the venue says of itself.
pub fn run(arguments: &HealthArguments) -> Exit {
    match ask(arguments) {
        Ok((200, said)) => {
            println!("{}", said.trim_end());
            Exit::Done
        }
        Ok((_, said)) => {
            println!("{}", said.trim_end());
            Exit::Differs
        }
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}

/// The status, and its words.
fn ask(arguments: &HealthArguments) -> Result<(u16, String), AskError> {
    let HealthArguments { data, connect, certificate, live } = arguments;
    let what = if *live { "live" } else { "ready" };
    Place::of(data, connect.as_deref(), certificate.as_deref())?.get(&format!("/health/{what}"))
}
