//! Sockets. Decides nothing about BitTorrent.
