//! Mutants of torrents: real ones with bytes bent, or with their values moved, doubled, left out or made
//! others, from a seed.

use crate::harness::Chance;
use rtor::torrent::bencode::{Tape, Value};

/// A mutant of `file`: in two of three its structure is another and still bencode, else its bytes are.
pub fn of(file: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = file.to_vec();
    if chance.below(3) > 0 {
        let mut tree = Tree::of(Tape::scan(file).expect("a real torrent is bencode").root());
        for _ in 0..=chance.below(3) {
            tree.bend(chance);
        }
        bytes.clear();
        tree.write(&mut bytes);
    } else {
        for _ in 0..=chance.below(4) {
            bend(&mut bytes, chance);
        }
    }
    bytes
}

/// Bends some bytes.
pub fn bend(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let Some(end) = std::num::NonZero::new(bytes.len() as u64) else { return };
    let at = chance.below(end.get()) as usize;
    let some = (chance.below(8) as usize).min(bytes.len() - at);
    match chance.below(7) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes[at] = chance.below(256) as u8,
        2 => bytes[at] = *chance.one_of(b"idle0123456789:-"),
        3 => drop(bytes.drain(at..at + some)),
        4 => bytes.insert(at, *chance.one_of(b"idle0123456789:-")),
        5 => {
            let part = bytes[at..at + some].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            if chance.below(4) == 0 {
                bytes.truncate(at);
            }
        }
    }
}

/// Bencode as it stands there, in any order and with repetitions.
#[derive(Clone)]
enum Tree {
    Bytes(Vec<u8>),
    Integer(Vec<u8>),
    List(Vec<Self>),
    Dictionary(Vec<(Vec<u8>, Self)>),
}

impl Tree {
    fn of(value: Value<'_>) -> Self {
        if let Some(bytes) = value.bytes() {
            Self::Bytes(bytes.to_vec())
        } else if let Some(items) = value.items() {
            Self::List(items.map(Self::of).collect())
        } else if let Some(entries) = value.entries() {
            Self::Dictionary(entries.map(|(key, value)| (key.to_vec(), Self::of(value))).collect())
        } else {
            Self::Integer(value.int_text().unwrap_or_default().into())
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let string = |bytes: &[u8], out: &mut Vec<u8>| {
            out.extend(format!("{}:", bytes.len()).bytes());
            out.extend(bytes);
        };
        match self {
            Self::Bytes(bytes) => string(bytes, out),
            Self::Integer(text) => out.extend([b"i", &text[..], b"e"].concat()),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Self::Dictionary(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    string(key, out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }

    /// Changes something in it, or in a part of it.
    fn bend(&mut self, chance: &mut Chance) {
        match self {
            Self::Dictionary(entries) if !entries.is_empty() => {
                let at = chance.below(entries.len() as u64) as usize;
                match chance.below(10) {
                    0 => drop(entries.remove(at)),
                    1 => entries.insert(at, (new_key(chance), Self::new(chance))),
                    2 => entries.insert(at, entries[at].clone()),
                    3 => entries[at].1 = Self::new(chance),
                    4 if chance.below(4) == 0 => {
                        let other = chance.below(entries.len() as u64) as usize;
                        entries.swap(at, other);
                    }
                    5 => {
                        entries.push((new_key(chance), Self::new(chance)));
                        entries.sort_by(|a, b| a.0.cmp(&b.0));
                    }
                    _ => entries[at].1.bend(chance),
                }
            }
            Self::List(items) if !items.is_empty() => {
                let at = chance.below(items.len() as u64) as usize;
                match chance.below(6) {
                    0 => drop(items.remove(at)),
                    1 => items.insert(at, items[at].clone()),
                    2 => items.insert(at, Self::new(chance)),
                    _ => items[at].bend(chance),
                }
            }
            Self::Integer(text) => *text = chance.one_of(INTEGERS).to_vec(),
            Self::Bytes(bytes) => bend(bytes, chance),
            Self::Dictionary(_) | Self::List(_) => *self = Self::new(chance),
        }
    }

    fn new(chance: &mut Chance) -> Self {
        match chance.below(5) {
            0 => Self::Integer(chance.one_of(INTEGERS).to_vec()),
            1 => Self::List(vec![Self::Bytes(b"x".to_vec())]),
            2 => Self::Dictionary(vec![(b"x".to_vec(), Self::Integer(b"1".to_vec()))]),
            _ => Self::Bytes(new_key(chance)),
        }
    }
}

const INTEGERS: &[&[u8]] = &[
    b"0",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"16384",
    b"32768",
    b"65536",
    b"4294967296",
    b"-0",
    b"007",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
];

fn new_key(chance: &mut Chance) -> Vec<u8> {
    const KEYS: &[&[u8]] = &[
        b"",
        b"x",
        b"zz",
        b"attr",
        b"files",
        b"file tree",
        b"info",
        b"length",
        b"meta version",
        b"name",
        b"name.utf-8",
        b"path",
        b"path.utf-8",
        b"piece layers",
        b"piece length",
        b"pieces",
        b"pieces root",
        b"private",
        b"source",
        b"symlink path",
        b"\xff",
        b"l",
        b"p",
        b"..",
    ];
    chance.one_of(KEYS).to_vec()
}
