//! The listener, and one task a connection.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::transport::connection::{self, Link};
use crate::transport::desk::ConnectionId;
use crate::transport::{Security, Shared, Stop, tls};

/// How long connections may take to end when the venue stops.
const STOP_MAX: Duration = Duration::from_secs(3);
/// How long the listener pauses when the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener; without protection it has to be at a loopback address.
pub(crate) fn listen(address: SocketAddr, security: &Security) -> io::Result<TcpListener> {
    if matches!(security, Security::PlainLoopback) && !address.ip().is_loopback() {
        let message = format!("{address} is no loopback address, and without TLS nothing else is served");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts connections until the venue stops, then waits for them to end.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<Stop>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut tasks = JoinSet::new();
    let mut next = ConnectionId(1);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if tasks.len() < shared.config.connections_max => {
                    let link = Link::new(next, Arc::clone(&shared));
                    next.0 += 1;
                    tasks.spawn(connect(stream, link, stopped.clone()));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off with the runtime.
    let _ = timeout(STOP_MAX, ended).await;
}

async fn connect(stream: TcpStream, link: Link, stopped: watch::Receiver<Stop>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match link.security() {
        Security::PlainLoopback => connection::serve(stream, link, stopped).await,
        Security::Tls(config) => {
            let limit = Duration::from_nanos(link.limits().login_time_max.0);
            if let Ok(Ok(stream)) = timeout(limit, tls::accept(config, stream)).await {
                connection::serve(stream, link, stopped).await;
            }
        }
    }
}
