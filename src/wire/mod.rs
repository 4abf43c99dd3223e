//! What peers say: bytes to messages and back. Pure.
//!
//! A peer's bytes become valid values here, or a [`Fault`] that ends the conversation. This
//! room knows the grammar only; whether a message makes sense now is `engine`'s to say.

pub mod allowed_fast;
pub mod extension;
pub mod fault;
pub mod frame;
pub mod handshake;
pub mod hashes;
pub mod message;
pub mod metadata;
pub mod mse;
pub mod transport;

pub use fault::Fault;
pub use handshake::Handshake;
pub use hashes::HashRange;
pub use message::{BlockSpec, Message};
pub use metadata::MetadataMessage;
pub use transport::{Race, Transport};
