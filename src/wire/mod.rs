//! What peers say: bytes to messages and back. Pure.
