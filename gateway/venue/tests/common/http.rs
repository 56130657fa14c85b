//! What the HTTP port answers to whoever comes without a key.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

/// The status line and the body of an answer.
pub(crate) fn get(address: impl ToSocketAddrs, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}
