//! The venue's messages: SBE 1.0 schemas, their codec and framing, without I/O.
//!
//! The schemas in `schema/` are the truth; the Rust types say the same in Rust, and a test holds both together in
//! either direction. Links: [SBE 1.0], [SOFH], [FIXP].
//!
//! ```text
//!  0        4      6             8            10         12        14          14 + blockLength
//!  ├────────┼──────┼─────────────┼────────────┼──────────┼─────────┼───────────┼──────────────────────────────┐
//!  │ length │ EB50 │ blockLength │ templateId │ schemaId │ version │ block ... │ group: u16 length, u16 count │
//!  └────────┴──────┴─────────────┴────────────┴──────────┴─────────┴───────────┴──────────────────────────────┘
//!    SOFH (u32, u16)  messageHeader (4 × u16)                        fields      entries ...
//! ```
//!
//! All integers are little-endian. A reader takes its fields from the front of the sender's block, whatever the block's
//! length: bytes behind are a newer version's, and fields that an older sender does not have read as absent.
//!
//! Prices and quantities are mantissas; their exponents are the instrument's, in `SecurityDefinition`. Turning them
//! into ticks and lots is not this crate's business: it needs to know the instrument.
//!
//! ```
//! use wire::session::{Sequence, SessionMessage};
//! use wire::{FrameDecoder, SessionSequence, encode};
//!
//! let mut bytes = [0; 64];
//! let length = encode(&Sequence { next_sequence: SessionSequence(7) }, &mut bytes).unwrap();
//!
//! let mut decoder = FrameDecoder::<256>::new();
//! assert_eq!(decoder.push(&bytes[..length]), length);
//! let frame = decoder.next_frame().unwrap().unwrap();
//! let SessionMessage::Sequence(sequence) = frame.try_into().unwrap() else { panic!("another message") };
//! assert_eq!(sequence.next_sequence, SessionSequence(7));
//! ```
//!
//! [SBE 1.0]: https://www.fixtrading.org/standards/sbe-online/
//! [SOFH]: https://www.fixtrading.org/standards/fix-simple-open-framing-header/
//! [FIXP]: https://www.fixtrading.org/standards/fixp/
#![no_std]

pub mod amount;
pub mod code;
pub mod error;
pub mod frame;
pub mod layout;
pub mod market_data;
pub mod message;
pub mod order_entry;
pub mod session;
pub mod signed;
pub mod value;

pub use code::*;
pub use error::{DecodeError, EncodeError, FrameError, NotRepresentable};
pub use frame::{Frame, FrameDecoder, MessageHeader};
pub use message::{Block, Flat, Group, Grouped, Message, Schema, encode, encode_grouped};
pub use signed::SignedText;
pub use value::*;
