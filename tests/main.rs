//! The integration tests: one binary, a module a feature.

mod abi;
mod engine;
mod sim;
