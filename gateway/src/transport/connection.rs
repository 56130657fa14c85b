//! One connection: bytes to the session and its actions carried out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::{Command, CommandBody, SessionId, SessionVersion, Timestamp};
use ring::Admission;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wire::frame::SESSION_FRAME_MAX;
use wire::{EdgeReason, FrameDecoder, Indicator, TerminationCode};

use crate::egress::{self, FrameBytes, Recipient, Sending};
use crate::history::ReportRange;
use crate::session::{Action, Input, Session, SessionLimits, State};
use crate::transport::desk::{ConnectionId, Mail, Mailbox, Overflow};
use crate::transport::{Security, Shared, Stop};

/// Bytes that wait to be written before mail is left in the mailbox.
const WRITE_AHEAD_MAX: usize = 64 << 10;
/// How long the last bytes of a connection may take.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
/// How soon a disconnect that the ring had no room for is tried again.
const RETRY: Duration = Duration::from_millis(1);
/// How long an answer of the core is waited for after the connection is gone.
const ANSWER_MAX: Duration = Duration::from_secs(60);

type Found = Result<Vec<FrameBytes>, EdgeReason>;

/// A connection without its socket.
pub(crate) struct Link {
    shared: Arc<Shared>,
    session: Session,
    mailbox: Mailbox,
    mail: mpsc::Receiver<Mail>,
    /// Bytes to be written.
    out: Vec<u8>,
    /// A disconnect that did not get into the ring.
    owed: Option<Command>,
    recovery: Option<JoinHandle<Found>>,
}

impl Link {
    /// A connection that was made just now.
    pub(crate) fn new(connection: ConnectionId, shared: Arc<Shared>) -> Self {
        let (sender, mail) = mpsc::channel(shared.config.backlog.max(1));
        let session = Session::new(shared.config.limits, shared.config.clock.now());
        let mailbox = Mailbox { connection, sender, overflow: Arc::default() };
        Self { shared, session, mailbox, mail, out: Vec::new(), owed: None, recovery: None }
    }

    pub(crate) fn security(&self) -> Security {
        self.shared.config.security.clone()
    }

    pub(crate) fn limits(&self) -> SessionLimits {
        self.shared.config.limits
    }

    fn is_closing(&self) -> bool {
        self.session.state() == State::Closing
    }

    fn now(&self) -> Timestamp {
        self.shared.config.clock.now()
    }

    fn until_deadline(&self) -> Duration {
        Duration::from_nanos(self.session.next_deadline().0.saturating_sub(self.now().0))
    }

    fn hear(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        let now = self.now();
        self.session.handle(input, now, &mut self.shared.desk().view, &mut actions);
        actions.into_iter().for_each(|action| self.carry_out(action));
    }

    fn open_mail(&mut self, mail: Option<Mail>) {
        if self.mailbox.overflow.happened() {
            return self.hear(Input::Ended(TerminationCode::SlowReader));
        }
        match mail {
            Some(Mail::Core(event)) => self.hear(Input::Core(&event)),
            Some(Mail::Report(number, frame)) => self.hear(Input::Report(number, frame)),
            Some(Mail::Ended(code)) => self.hear(Input::Ended(code)),
            None => self.hear(Input::Ended(TerminationCode::VenueStopped)),
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Submit(command) => self.submit(command),
            Action::Send(frame) => self.out.extend_from_slice(&frame),
            Action::RequestReports { version, from, count } => {
                if let Some(session) = self.session.session() {
                    let range = ReportRange { session, version, from, count };
                    let shared = Arc::clone(&self.shared);
                    self.recovery = Some(tokio::task::spawn_blocking(move || find(&shared, &range)));
                }
            }
            // The loop sees that the session is closing.
            Action::Close(_) => {}
        }
    }

    fn submit(&mut self, command: Command) {
        // Before anything is done for it: an opening that is refused must not cost anybody the session.
        if let Err(reason) = self.admitted(&command.body) {
            return self.hear(Input::NotTaken(&command, reason));
        }
        match command.body {
            CommandBody::Disconnect(_) => self.submit_disconnect(command),
            CommandBody::Negotiate(_) => self.submit_login(command),
            CommandBody::Establish(establish) => {
                self.take_over(&command, establish.version);
                self.submit_login(command);
            }
            _ => {
                if self.shared.commands.submit(command).is_err() {
                    self.hear(Input::NotTaken(&command, EdgeReason::Busy));
                }
            }
        }
    }

    fn admitted(&self, body: &CommandBody) -> Result<(), EdgeReason> {
        let admission = self.shared.config.admission.get();
        if admission.admits(body) {
            return Ok(());
        }
        Err(if admission == Admission::Nothing { EdgeReason::StorageFull } else { EdgeReason::StorageLow })
    }

    fn submit_login(&mut self, command: Command) {
        self.shared.desk().expect_answer(&command, self.mailbox.clone());
        if self.shared.commands.submit(command).is_err() {
            self.shared.desk().expect_no_answer(command.header.session);
            self.hear(Input::NotTaken(&command, EdgeReason::Busy));
        }
    }

    /// Whoever proved the session's key speaks for it from now on, even if the loss of the connection before was not
    /// noticed yet.
    fn take_over(&mut self, establish: &Command, version: SessionVersion) {
        if self.shared.desk().take_over(establish) {
            let reason = engine::command::DisconnectReason::Replaced;
            let body = engine::command::Disconnect { version, reason }.into();
            // If even this finds no room, the opening is refused as well, and the session is established still: the
            // next opening finds nobody to take over from, and so the disconnect is owed.
            self.offer(Command { header: establish.header, body });
        }
    }

    /// Only who speaks for a session may end it.
    fn submit_disconnect(&mut self, command: Command) {
        if self.shared.desk().leave(command.header.session, self.mailbox.connection) {
            self.offer(command);
        }
    }

    fn offer(&mut self, command: Command) {
        self.owed = self.shared.commands.submit(command).is_err().then_some(command);
    }

    /// Sees to it that the core learns of the end, as long as there is a core.
    async fn settle(mut self) {
        let session = self.session.session().unwrap_or(SessionId::NONE);
        let is_closed = |link: &Self| link.shared.commands.is_closed();
        while self.session.owes_answer() && !is_closed(&self) {
            match timeout(ANSWER_MAX, self.mail.recv()).await {
                Ok(Some(Mail::Core(event))) => self.hear(Input::Core(&event)),
                Ok(Some(Mail::Report(..) | Mail::Ended(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        while let Some(command) = self.owed.take().filter(|_| !is_closed(&self)) {
            debug_assert_eq!(command.header.session, session);
            self.offer(command);
            sleep(RETRY).await;
        }
    }
}

/// Runs a connection to its end.
pub(crate) async fn serve<S>(stream: S, mut link: Link, mut stopped: watch::Receiver<Stop>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut decoder = FrameDecoder::<SESSION_FRAME_MAX>::new();
    let overflow: Arc<Overflow> = Arc::clone(&link.mailbox.overflow);
    let mut unflushed = false;
    while !link.is_closing() {
        let deadline = link.until_deadline();
        tokio::select! {
            biased;
            () = overflow.notify.notified() => link.hear(Input::Ended(TerminationCode::SlowReader)),
            _ = stopped.changed() => link.hear(Input::Ended(TerminationCode::VenueStopped)),
            written = write(&mut writer, &link.out), if unflushed || !link.out.is_empty() => match written {
                Ok(count) => {
                    unflushed = !link.out.is_empty();
                    link.out.drain(..count);
                }
                Err(_) => link.hear(Input::Closed),
            },
            mail = link.mail.recv(), if link.out.len() < WRITE_AHEAD_MAX => link.open_mail(mail),
            found = found(&mut link.recovery), if link.recovery.is_some() => {
                link.recovery = None;
                link.hear(Input::Recovered(found));
            }
            read = reader.read(decoder.vacant()), if link.out.len() < WRITE_AHEAD_MAX => match read {
                Ok(0) | Err(_) => link.hear(Input::Closed),
                Ok(count) => {
                    decoder.filled(count);
                    hear_frames(&mut link, &mut decoder);
                }
            },
            () = sleep(deadline) => link.hear(Input::Time),
        }
    }
    let last_words = async {
        writer.write_all(&link.out).await?;
        writer.flush().await?;
        writer.shutdown().await
    };
    // The peer may be gone, or not read: either way the connection ends here.
    let _ = timeout(LAST_WORDS_MAX, last_words).await;
    drop((reader, writer));
    link.settle().await;
}

fn hear_frames(link: &mut Link, decoder: &mut FrameDecoder<SESSION_FRAME_MAX>) {
    while !link.is_closing() {
        match decoder.next_frame() {
            Ok(Some(frame)) => link.hear(Input::Frame(frame)),
            Ok(None) => return,
            Err(_) => link.hear(Input::NoFrame),
        }
    }
}

/// Writes some of `out`, or flushes if there is nothing more.
async fn write(writer: &mut (impl AsyncWrite + Unpin), out: &[u8]) -> io::Result<usize> {
    if out.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(out).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

async fn found(recovery: &mut Option<JoinHandle<Found>>) -> Found {
    match recovery {
        Some(task) => task.await.unwrap_or(Err(EdgeReason::RetransmitTooOld)),
        None => Err(EdgeReason::RetransmitTooOld),
    }
}

/// The reports of a range, if all of them are kept.
fn find(shared: &Shared, range: &ReportRange) -> Found {
    let released = shared.desk().released();
    let events = shared.reports.reports(range, released).map_err(|_| EdgeReason::RetransmitTooOld)?;
    let sending = Sending { durability: shared.config.durability, possible_duplicate: Indicator::Yes };
    let mut frames = Vec::new();
    let desk = shared.desk();
    for (header, event) in &events {
        egress::messages(header, event, &desk.view, sending, &mut |message| {
            let wanted = message.recipient == Recipient::Session(range.session)
                && message.number.is_some_and(|number| range.contains(number));
            if wanted {
                frames.push((message.number, message.frame));
            }
        });
    }
    drop(desk);
    frames.sort_by_key(|&(number, _)| number);
    let whole = frames.len() as u64 == range.count;
    if whole { Ok(frames.into_iter().map(|(_, frame)| frame).collect()) } else { Err(EdgeReason::RetransmitTooOld) }
}
