//! A task for each connection, in a runtime of one thread.

use std::cell::Cell;
use std::io;
use std::net::TcpStream as StdStream;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local, yield_now};

use super::exchange::Exchange;
use super::{Messages, REPLY_BYTES, REQUEST_BYTES, WINDOW_MAX};

const REPLIES: [u8; WINDOW_MAX * REPLY_BYTES] = [0x5A; WINDOW_MAX * REPLY_BYTES];

/// Answers for a connection, from the task that takes them off the queue.
#[derive(Default)]
struct Mailbox {
    answers: Cell<usize>,
    filled: Notify,
}

pub(super) fn serve(streams: Vec<StdStream>, exchange: Option<Exchange>, woken: &Notify) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mailboxes: Vec<Rc<Mailbox>> = streams.iter().map(|_| Rc::default()).collect();
        let exchange = exchange.map(Rc::new);
        let connection = |(index, stream): (usize, StdStream)| {
            let stream = TcpStream::from_std(stream)?;
            Ok(match &exchange {
                None => spawn_local(answer(stream)),
                Some(exchange) => spawn_local(hand_over(index, stream, exchange.clone(), mailboxes[index].clone())),
            })
        };
        let tasks = streams.into_iter().enumerate().map(connection).collect::<io::Result<Vec<_>>>()?;
        let connections = async {
            for task in tasks {
                task.await.expect("a connection's task does not panic")?;
            }
            Ok(())
        };
        match &exchange {
            None => connections.await,
            Some(exchange) => tokio::select! {
                outcome = connections => outcome,
                () = distribute(exchange, &mailboxes, woken) => Ok(()),
            },
        }
    })
}

/// A connection whose requests are answered here.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (mut buffer, mut requests) = (vec![0; 1 << 14], Messages::default());
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            bytes => {
                let count = requests.complete(bytes, REQUEST_BYTES);
                stream.write_all(&REPLIES[..count * REPLY_BYTES]).await?;
            }
        }
    }
}

/// A connection whose requests are answered by the second thread.
async fn hand_over(
    index: usize,
    mut stream: TcpStream,
    exchange: Rc<Exchange>,
    mailbox: Rc<Mailbox>,
) -> io::Result<()> {
    let (mut buffer, mut requests) = (vec![0; 1 << 14], Messages::default());
    let (mut from, mut to) = stream.split();
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read? {
                0 => return Ok(()),
                bytes => exchange.hand_over(index, requests.complete(bytes, REQUEST_BYTES)),
            },
            () = mailbox.filled.notified() => {
                to.write_all(&REPLIES[..mailbox.answers.take() * REPLY_BYTES]).await?;
            }
        }
    }
}

/// Hands answers to their connections, for as long as it is let.
async fn distribute(exchange: &Exchange, mailboxes: &[Rc<Mailbox>], woken: &Notify) {
    loop {
        while let Some(index) = exchange.take() {
            let mailbox = &mailboxes[index];
            mailbox.answers.set(mailbox.answers.get() + 1);
            mailbox.filled.notify_one();
        }
        if exchange.may_sleep() {
            woken.notified().await;
        } else {
            yield_now().await;
        }
        exchange.is_awake();
    }
}
