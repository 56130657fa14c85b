//! Order entry: sessions, bytes to commands and events to bytes, and the sockets that carry them.
//!
//! ```text
//!   socket ─► frames ─► session ─► ingress ─► CommandRing        one thread, all sockets
//!   socket ◄─ frames ◄─ session ◄─ egress  ◄─ EventReader        the same thread
//!                          ├────► history                        reports again, as asked for
//!                          └────► view, balances                 questions, as asked
//! ```
//!
//! [`session`] is FIXP without I/O. [`ingress`] and [`egress`] are the only two places where the wire's words and the
//! core's meet. The crate reads no clock: whoever starts it brings the time.

mod answers;
pub mod balances;
pub mod copies;
pub mod egress;
pub mod history;
pub mod hops;
pub mod ingress;
pub mod lockout;
pub mod open_orders;
pub mod question;
pub mod rights;
pub mod session;
pub mod throttle;
pub mod transport;
pub mod view;
