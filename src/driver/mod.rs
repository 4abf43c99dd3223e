//! The loop: batches of facts into the engine, its deeds out to net and disk.
