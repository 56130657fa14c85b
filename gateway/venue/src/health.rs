//! `rialto health`: asks a running venue whether it takes orders; for whoever watches it by programs and exit codes.

use std::time::Duration;

use crate::arguments::HealthArguments;
use crate::exit::Exit;
use crate::reach::{self, ReachError};

/// How long the venue may take. Whoever asks wants to know now.
const PATIENCE: Duration = Duration::from_secs(3);

/// Says what the venue says of itself.
pub fn run(arguments: &HealthArguments) -> Exit {
    match ask(arguments) {
        Ok((true, said)) => {
            println!("{said}");
            Exit::Done
        }
        Ok((false, said)) => {
            println!("{said}");
            Exit::Differs
        }
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}

/// Whether it is well, and its words.
fn ask(arguments: &HealthArguments) -> Result<(bool, String), ReachError> {
    let address = match arguments.connect {
        Some(address) => address,
        None => reach::announced(&arguments.data)?.http,
    };
    let address = reach::reachable(address);
    let lost = |error: ureq::Error| ReachError::Lost(format!("no answer of the venue at http://{address}: {error}"));
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None);
    let agent = ureq::Agent::new_with_config(config.build());
    let what = if arguments.live { "live" } else { "ready" };
    let mut response = agent.get(format!("http://{address}/health/{what}")).call().map_err(lost)?;
    let said = response.body_mut().read_to_string().map_err(lost)?;
    Ok((response.status().is_success(), said.trim_end().to_owned()))
}
