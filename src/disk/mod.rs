//! Files: the two stores, hashing, writing. Decides nothing about BitTorrent.
