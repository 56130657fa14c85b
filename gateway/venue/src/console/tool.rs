//! `rialto console`: signs a request for a ticket, and prints the link that lets in with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{IdempotencyKey, KeyId, Timestamp};
use serde_json::Value;

use super::login::TICKET_PATH;
use crate::admin::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER};
use crate::arguments::ConsoleArguments;
use crate::data_folder::{DataFolderError, KeyFile, key_file, random};
use crate::exit::Exit;
use crate::reach;
use crate::serve::Addresses;

/// How long the venue may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error("{0}")]
    Usage(String),
    #[error("no venue runs on {}: it has no venue.json; start one with rialto serve", .0.display())]
    NotRunning(PathBuf),
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    #[error("http://{address}: {source}")]
    Http { address: SocketAddr, source: ureq::Error },
    #[error("http://{address} refused: {text}")]
    Refused { address: SocketAddr, text: String },
}

impl ToolError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Folder(_) => Exit::Usage,
            Self::NotRunning(_) | Self::Http { .. } => Exit::InputOutput,
            Self::Refused { .. } => Exit::Differs,
        }
    }
}

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

fn link(arguments: &ConsoleArguments) -> Result<String, ToolError> {
    let file = match (&arguments.key, &arguments.name) {
        (Some(file), _) => file.clone(),
        (None, Some(name)) => key_file(&arguments.data, name),
        (None, None) => return Err(ToolError::Usage("NAME is missing: who, such as alice".to_owned())),
    };
    let key = KeyFile::read(&file)?;
    let address = reach::reachable(address(arguments)?);
    // Behind the #: no server and no proxy ever sees it, and it is in no log.
    ticket(address, &key, &file).map(|ticket| format!("http://{address}/console/#ticket={ticket}"))
}

fn address(arguments: &ConsoleArguments) -> Result<SocketAddr, ToolError> {
    if let Some(address) = arguments.connect {
        return Ok(address);
    }
    let file = arguments.data.join("venue.json");
    let text = std::fs::read_to_string(&file).map_err(|_| ToolError::NotRunning(arguments.data.clone()))?;
    let addresses: Result<Addresses, _> = serde_json::from_str(&text);
    Ok(addresses.map_err(|error| ToolError::Usage(format!("{}: {error}", file.display())))?.http)
}

fn ticket(address: SocketAddr, file: &KeyFile, path: &Path) -> Result<String, ToolError> {
    let signing_key = file.signing_key(path)?;
    let (key, time) = (KeyId(file.key), Timestamp(reach::now().0));
    let idempotency_key = IdempotencyKey((u64::from_le_bytes(random()?) >> 11).max(1));
    let signed = SignedRequest { method: "POST", path: TICKET_PATH, key, time, idempotency_key, body: b"" };
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None);
    let agent = ureq::Agent::new_with_config(config.build());
    let failed = |source| ToolError::Http { address, source };
    let request = agent.post(format!("http://{address}{TICKET_PATH}"));
    let request = request
        .header(KEY_HEADER, key.to_string())
        .header(TIME_HEADER, time.0.to_string())
        .header(REQUEST_HEADER, idempotency_key.to_string())
        .header(SIGNATURE_HEADER, signed.sign(&signing_key));
    let text = request.send_empty().map_err(failed)?.body_mut().read_to_string().map_err(failed)?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let said = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    said("ticket").ok_or_else(|| ToolError::Refused {
        address,
        text: said("text").unwrap_or_else(|| "the console is open on loopback addresses only".to_owned()),
    })
}
