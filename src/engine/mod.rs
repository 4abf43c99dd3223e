//! What we decide: one torrent, facts in, deeds out. Pure.
