//! What the scan takes, what it refuses, and what it remarks.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn refused(bytes: &[u8]) -> (usize, String) {
    let error = Tape::scan(bytes).expect_err("it is malformed");
    (error.offset, error.to_string())
}

#[test]
fn malformed_bytes_are_refused_with_what_and_where() {
    let long_integer = [b"i".as_slice(), &[b'1'; INTEGER_DIGITS_MAX + 1], b"e"].concat();
    let cases: &[(&[u8], usize, &str)] = &[
        (b"", 0, "empty"),
        (b"<html>", 0, "`<` where a value should begin"),
        (b"e", 0, "`e` where a value should begin"),
        (b"\xff", 0, "`\\xff` where a value should begin"),
        (b"d", 1, "the dictionary that begins at byte 0 does not end"),
        (b"d1:al", 5, "the list that begins at byte 4 does not end"),
        (b"l1:a", 4, "the list that begins at byte 0"),
        (b"d1:ae", 4, "a key without a value"),
        (b"di1e1:ae", 1, "`i` where a key should begin"),
        (b"i", 1, "the integer that begins at byte 0"),
        (b"ie", 0, "malformed integer"),
        (b"i-e", 0, "malformed integer"),
        (b"i+5e", 0, "malformed integer"),
        (b"i 5e", 0, "malformed integer"),
        (b"i5.e", 0, "malformed integer"),
        (b"i5", 2, "the integer that begins at byte 0"),
        (&long_integer, 0, "more than 64 digits"),
        (b"5:abc", 0, "a string of `5` bytes with 3 left"),
        (b"99999999999:abc", 0, "a string of `99999999999` bytes with 3 left"),
        (b"18446744073709551615:abc", 0, "`18446744073709551615` bytes with 3 left"),
        (b"18446744073709551616:abc", 0, "`18446744073709551616` bytes with 3 left"),
        (b"999999999999999999999:abc", 0, "malformed string length"),
        (b"4spam", 0, "malformed string length"),
        (b"12", 2, "the string that begins at byte 0"),
        (b"dee", 2, "1 bytes of something else"),
        (b"d4:spam4:eggse\n", 14, "1 bytes of something else"),
    ];
    for (bytes, offset, sentence) in cases {
        let (at, text) = refused(bytes);
        assert!(text.contains(sentence), "{text}, not {sentence}");
        assert_eq!(at, *offset, "{text}");
    }
}

#[test]
fn nesting_ends_at_the_limit_and_not_in_the_stack() {
    for opening in [&b"l"[..], b"d1:a"] {
        let deep = opening.repeat(200_000);
        let (offset, text) = refused(&deep);
        assert_eq!(offset, DEPTH_MAX * opening.len());
        assert!(text.contains("deeper than 64"), "{text}");
    }
    let deepest = [b"l".repeat(DEPTH_MAX), b"e".repeat(DEPTH_MAX)].concat();
    assert!(Tape::scan(&deepest).is_ok());
}

#[test]
fn values_are_counted() {
    let many = [b"l".as_slice(), &b"0:".repeat(ITEMS_MAX), b"e"].concat();
    assert!(refused(&many).1.contains("more than"));
}

#[test]
fn what_is_unusual_is_noted_once_with_its_place() {
    use NoteKind::*;
    type Case = (&'static [u8], &'static [(usize, NoteKind)]);
    let cases: &[Case] = &[
        (b"d1:ai1e1:bi2ee", &[]),
        (b"d1:bi1e1:ai2ee", &[(7, UnsortedKey)]),
        (b"d1:ai1e1:ai2ee", &[(7, RepeatedKey)]),
        (b"d1:bi1e1:ai2e1:bi3ee", &[(7, UnsortedKey), (13, RepeatedKey)]),
        (b"i007e", &[(0, IntegerForm)]),
        (b"i-0e", &[(0, IntegerForm)]),
        (b"i0e", &[]),
        (b"l03:abce", &[(1, LengthForm)]),
        (b"0:", &[]),
    ];
    for (bytes, notes) in cases {
        let tape = Tape::scan(bytes).expect("it has one meaning");
        let found: Vec<_> = tape.notes().iter().map(|note| (note.offset, note.kind)).collect();
        assert_eq!(found, *notes, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_large_integer_is_kept_and_fails_only_when_used() {
    let tape = Tape::scan(b"li9223372036854775807ei9223372036854775808ei-9223372036854775808ee")
        .expect("bencode knows no limit");
    let items: Vec<_> = tape.root().items().expect("a list").collect();
    let ints: Vec<_> = items.iter().map(|item| item.int()).collect();
    assert_eq!(ints, [Some(i64::MAX), None, Some(i64::MIN)]);
    assert_eq!(items[1].int_text(), Some("9223372036854775808"));
}

#[test]
fn a_prefix_tells_where_it_ends() {
    let tape = Tape::scan_prefix(b"d8:msg_typei1eeDATA").expect("a dictionary stands first");
    assert_eq!(tape.consumed(), 15);
    assert_eq!(tape.root().entry(b"msg_type").and_then(Value::int), Some(1));
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Node::Integer),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Node::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let key = prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Node::List),
            prop::collection::btree_map(key, inner, 0..8).prop_map(Node::Dictionary),
        ]
    })
}

fn read(value: Value<'_>) -> Node {
    match value.kind() {
        Kind::Integer => Node::Integer(value.int().expect("it was an i64")),
        Kind::Bytes => Node::from(value.bytes().expect("a string")),
        Kind::List => Node::List(value.items().expect("a list").map(read).collect()),
        Kind::Dictionary => Node::dictionary(
            value.entries().expect("entries").map(|(key, v)| (key.to_vec(), read(v))),
        ),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(node in node()) {
        let bytes = node.encode();
        let tape = Tape::scan(&bytes).expect("ours");
        prop_assert!(tape.notes().is_empty());
        prop_assert_eq!(tape.root().raw(), &bytes[..]);
        prop_assert_eq!(read(tape.root()), node);
    }

    #[test]
    fn no_bytes_can_make_it_panic(bytes in prop::collection::vec(prop::sample::select(b"ilde0123:-a".to_vec()), 0..60)) {
        if let Ok(tape) = Tape::scan_prefix(&bytes) {
            let _ = format!("{:?}", tape.root());
            prop_assert!(tape.consumed() <= bytes.len());
        }
    }

    #[test]
    fn a_truncated_document_is_never_taken(node in node(), cut in any::<prop::sample::Index>()) {
        let bytes = node.encode();
        prop_assert!(Tape::scan(&bytes[..cut.index(bytes.len())]).is_err());
    }
}
