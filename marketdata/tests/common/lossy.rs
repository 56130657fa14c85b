//! A stretch of network that loses and reorders, in a thread.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Random;

/// One client's way to a server.
pub(crate) struct LossyLink {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    threads: [JoinHandle<()>; 2],
}

impl LossyLink {
    /// To `server`; of a hundred datagrams each way so many are lost, and one in ten is overtaken by the next.
    pub(crate) fn to(server: SocketAddr, loss_percent: u64, seed: u64) -> Self {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        far.connect(server).unwrap();
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        }
        let address = near.local_addr().unwrap();
        let (stop, lost) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = Arc::new(std::sync::Mutex::new(None));
        let way = |random: u64| Way {
            random: Random(random),
            loss_percent,
            held: None,
            lost: Arc::clone(&lost),
            stop: Arc::clone(&stop),
        };
        let (mut there, mut back) = (way(seed << 1), way(seed << 1 | 1));
        let (from_near, to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let known = Arc::clone(&client);
        let threads = [
            std::thread::spawn(move || {
                there.carry(&from_near, |bytes, from| {
                    known.lock().unwrap().get_or_insert(from);
                    let _ = to_far.send(bytes);
                });
            }),
            std::thread::spawn(move || {
                back.carry(&far, |bytes, _| {
                    if let Some(client) = *client.lock().unwrap() {
                        let _ = near.send_to(bytes, client);
                    }
                });
            }),
        ];
        Self { address, stop, lost, threads }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; how many datagrams were lost.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.lost.load(Ordering::Acquire)
    }
}

/// One direction.
struct Way {
    random: Random,
    loss_percent: u64,
    held: Option<(Vec<u8>, SocketAddr)>,
    lost: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Way {
    fn carry(&mut self, socket: &UdpSocket, mut send: impl FnMut(&[u8], SocketAddr)) {
        let mut buffer = [0; 65_536];
        while !self.stop.load(Ordering::Acquire) {
            let (length, from) = match socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    // Nothing overtakes what is held: it goes on.
                    if let Some((bytes, from)) = self.held.take() {
                        send(&bytes, from);
                    }
                    continue;
                }
                // A stopped process is interrupted; a server that has gone refuses.
                Err(_) => continue,
            };
            let bytes = &buffer[..length];
            if self.random.below(100) < self.loss_percent {
                self.lost.fetch_add(1, Ordering::Relaxed);
            } else if self.held.is_none() && self.loss_percent > 0 && self.random.below(10) == 0 {
                self.held = Some((bytes.to_vec(), from));
            } else {
                send(bytes, from);
                if let Some((bytes, from)) = self.held.take() {
                    send(&bytes, from);
                }
            }
        }
    }
}
