//! The venue as a process of its own, to be killed.
//!
//! It is this program again, as `kill_loop venue …`: it serves what the parent tests, says `READY …` and, when it was
//! stopped in order, `ENDED …` with its digests.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use benches::trading::served::arguments;
use engine::CommandBody;
use journal::{book_digest, state_digest};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use venue::arguments::{DurabilityArgument, ServeArguments};
use venue::data_folder::{DataFolder, DataFolderError};
use venue::exit::Exit;
use venue::serve;

/// How long a venue may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Which venue.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// Its data folder, which holds the journal's head as well.
    pub data: PathBuf,
    /// What its acknowledgements promise.
    pub durability: DurabilityArgument,
    /// Whose venue it is: the name of a mode.
    pub mode: &'static str,
    /// MiB of its journal's segments.
    pub segment_mib: u64,
}

/// What a venue says that was stopped in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The last command.
    pub last: u64,
    /// Of all events.
    pub event_digest: String,
    /// Of the state.
    pub state_digest: String,
    /// Of books and balances.
    pub book_digest: String,
}

/// What is wrong with the process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started, or waited for.
    #[error("the venue's process: {0}")]
    Io(#[from] std::io::Error),
    /// It ended when it should not have.
    #[error("the venue ended by itself: {0}")]
    Ended(ExitStatus),
    /// It said nothing.
    #[error("the venue did not say {0} within {PATIENCE:?}")]
    Silent(&'static str),
    /// It said something that cannot be read.
    #[error("the venue said {line:?}: {error}")]
    Unreadable {
        /// What.
        line: String,
        /// Why not.
        error: serde_json::Error,
    },
}

/// A venue's process. Dropping it kills it.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

#[derive(Deserialize)]
struct Ready {
    order_entry: SocketAddr,
}

impl Process {
    /// Starts the venue.
    pub fn spawn(spec: &Spec) -> Result<Self, ProcessError> {
        let durability = match spec.durability {
            DurabilityArgument::Buffered => "buffered",
            DurabilityArgument::Synced => "synced",
        };
        let mut command = Command::new(&spec.program);
        command.args(["venue", spec.mode, "--durability", durability, "--data"]).arg(&spec.data);
        command.args(["--segment-mib", &spec.segment_mib.to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (said, lines) = channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.take_while(|line| said.send(line.clone()).is_ok()).for_each(drop);
        });
        Ok(Self { child, lines })
    }

    /// Where the venue listens, if it is ready within `limit`.
    pub fn ready_within(&mut self, limit: Duration) -> Result<Option<SocketAddr>, ProcessError> {
        let Some(line) = self.line("READY ", limit)? else { return Ok(None) };
        let ready: Ready = read(line)?;
        Ok(Some(ready.order_entry))
    }

    /// The same, however long it takes; within reason.
    pub fn ready(&mut self) -> Result<SocketAddr, ProcessError> {
        self.ready_within(PATIENCE)?.ok_or(ProcessError::Silent("READY"))
    }

    /// Kills it; whether it was still there to be killed.
    pub fn kill(mut self) -> Result<bool, ProcessError> {
        self.child.kill()?;
        let status = self.child.wait()?;
        match (status.signal(), status.code()) {
            (Some(_), _) => Ok(true),
            (None, Some(0)) => Ok(false),
            (None, _) => Err(ProcessError::Ended(status)),
        }
    }

    /// Asks it to stop in order.
    pub fn ask_to_stop(&self) -> Result<(), ProcessError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process has a number");
        kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        Ok(())
    }

    /// Waits until it has stopped in order; what it was then.
    pub fn ended(mut self) -> Result<Ended, ProcessError> {
        let line = self.line("ENDED ", PATIENCE)?.ok_or(ProcessError::Silent("ENDED"))?;
        let status = self.child.wait()?;
        if status.success() { read(line) } else { Err(ProcessError::Ended(status)) }
    }

    /// The rest of the next line that begins so.
    fn line(&mut self, beginning: &str, limit: Duration) -> Result<Option<String>, ProcessError> {
        loop {
            match self.lines.recv_timeout(limit) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(beginning) {
                        return Ok(Some(rest.to_owned()));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(ProcessError::Ended(self.child.wait()?)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read<T: for<'a> Deserialize<'a>>(line: String) -> Result<T, ProcessError> {
    serde_json::from_str(&line).map_err(|error| ProcessError::Unreadable { line, error })
}

/// What the process does: serves until it is stopped, and says what it was.
pub fn serve(
    data: &Path,
    durability: DurabilityArgument,
    segment_mib: u64,
    set_up: impl FnOnce(&DataFolder) -> Result<Vec<CommandBody>, DataFolderError>,
) -> Exit {
    // So that it is killed beside snapshots and started from them.
    let snapshot_every = 1_024;
    match serve::serve(&ServeArguments { segment_mib, snapshot_every, ..arguments(data, durability) }, set_up) {
        Ok(ended) => {
            let said = Ended {
                last: ended.engine.last().sequence.0,
                event_digest: ended.event_digest.to_string(),
                state_digest: state_digest(&ended.engine).to_string(),
                book_digest: book_digest(&ended.engine).to_string(),
            };
            println!("ENDED {}", serde_json::to_string(&said).expect("a plain record"));
            Exit::Done
        }
        Err(error) => {
            eprintln!("kill_loop venue: {error}");
            error.exit()
        }
    }
}
