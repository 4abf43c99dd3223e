//! Initiator against responder over streams cut anywhere; bytes that another implementation made;
//! and liars.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};

const SKEY: [u8; 20] = [7; 20];

/// Who meets whom.
#[derive(Clone, Debug)]
struct Meeting {
    chances: [Vec<u8>; 2],
    offered: Preference,
    taken: Preference,
    /// What the initiator says with its offer, and when all is agreed.
    payload: Vec<u8>,
    more: Vec<u8>,
    /// What the responder says at once behind the handshake.
    answer: Vec<u8>,
    /// In how large pieces bytes arrive.
    steps: Vec<usize>,
}

/// A side on its way, from step to step.
enum Side<'a> {
    Calls(Initiator),
    Offers(Offered),
    Answers(Responder<'a>),
    /// What was agreed on, and what it heard since.
    Talks(Agreed, Vec<u8>),
}

impl<'a> Side<'a> {
    /// Hears what is there, and pushes what follows from it into `out`.
    fn hear(
        self,
        received: &mut BytesMut,
        meeting: &Meeting,
        out: &mut Vec<u8>,
    ) -> Result<Self, Fault> {
        let talks =
            |agreed, received: &mut BytesMut| Self::Talks(agreed, received.split().to_vec());
        let next = match self {
            Self::Calls(initiator) => match initiator.hear(received)? {
                Step::More(same) => Self::Calls(same),
                Step::Done(keyed) => {
                    let offer = Offer { skey: SKEY, preference: meeting.offered };
                    let offered = keyed.offer(&offer, &meeting.payload, out);
                    return Self::Offers(offered).hear(received, meeting, out);
                }
            },
            Self::Offers(offered) => match offered.hear(received)? {
                Step::More(same) => Self::Offers(same),
                Step::Done(mut agreed) => {
                    out.extend(sent(&mut agreed, &meeting.more));
                    talks(agreed, received)
                }
            },
            Self::Answers(responder) => match responder.hear(received, out)? {
                Step::More(same) => Self::Answers(same),
                Step::Done(mut agreed) => {
                    out.extend(sent(&mut agreed, &meeting.answer));
                    talks(agreed, received)
                }
            },
            Self::Talks(mut agreed, mut heard) => {
                if let Some(ciphers) = &mut agreed.ciphers {
                    ciphers.receiving.apply(received);
                }
                heard.extend_from_slice(&received.split());
                Self::Talks(agreed, heard)
            }
        };
        assert!(received.len() < BUFFERED_BYTES_MAX);
        Ok(next)
    }
}

/// `bytes` as they are sent.
fn sent(agreed: &mut Agreed, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(ciphers) = &mut agreed.ciphers {
        ciphers.sending.apply(&mut bytes);
    }
    bytes
}

fn chance(bytes: &[u8]) -> Chance {
    std::array::from_fn(|at| bytes[at % bytes.len()])
}

impl Meeting {
    /// What initiator and responder agreed on, and what each heard from the other.
    fn hold(&self) -> Result<[(Method, Vec<u8>); 2], Fault> {
        let skeys = [[1; 20], SKEY];
        let [one, other] = [0, 1].map(|at| chance(&self.chances[at]));
        let mut lines = [Vec::new(), Vec::new()];
        let mut received = [BytesMut::new(), BytesMut::new()];
        let mut a = Side::Calls(Initiator::begin(&one, &mut lines[1]));
        let mut b = Side::Answers(Responder::new(&other, &skeys, self.taken));
        let mut steps = self.steps.iter().copied().cycle();
        let mut deliver = |line: &mut Vec<u8>, received: &mut BytesMut| {
            let count = steps.next().map_or(1, |step| step.min(line.len()));
            received.extend(line.drain(..count));
        };
        loop {
            deliver(&mut lines[1], &mut received[1]);
            b = b.hear(&mut received[1], self, &mut lines[0])?;
            deliver(&mut lines[0], &mut received[0]);
            a = a.hear(&mut received[0], self, &mut lines[1])?;
            match (a, b) {
                (Side::Talks(a, to_a), Side::Talks(b, to_b))
                    if lines.iter().all(Vec::is_empty) && received.iter().all(|r| r.is_empty()) =>
                {
                    return Ok([(a.method(), to_a), (b.method(), to_b)]);
                }
                others => (a, b) = others,
            }
        }
    }
}

fn preferences() -> impl Strategy<Value = Preference> {
    prop_oneof![
        Just(Preference::Rc4Only),
        Just(Preference::Rc4First),
        Just(Preference::PlaintextFirst)
    ]
}

prop_compose! {
    fn meetings()(
        chances in [vec(any::<u8>(), CHANCE_BYTES), vec(any::<u8>(), CHANCE_BYTES)],
        offered in preferences(),
        taken in preferences(),
        payload in vec(any::<u8>(), 0..200),
        more in vec(any::<u8>(), 0..200),
        answer in vec(any::<u8>(), 0..200),
        steps in vec(1_usize..700, 1..20),
    ) -> Meeting {
        Meeting { chances, offered, taken, payload, more, answer, steps }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_agree_and_hear_each_other_however_the_bytes_are_cut(meeting in meetings()) {
        let [(at_a, to_a), (at_b, to_b)] = meeting.hold().expect("they have RC4 in common");
        prop_assert_eq!(at_a, at_b);
        let plain = |of| of != Preference::Rc4Only;
        let plain_first = meeting.taken == Preference::PlaintextFirst && plain(meeting.offered);
        prop_assert_eq!(at_a, if plain_first { Method::Plaintext } else { Method::Rc4 });
        prop_assert_eq!(to_a, meeting.answer);
        prop_assert_eq!(to_b, [meeting.payload, meeting.more].concat());
    }

    #[test]
    fn garbage_is_refused_within_bounds(
        bytes in vec(any::<u8>(), 0..3000),
        drawn in vec(any::<u8>(), CHANCE_BYTES),
        step in 1_usize..900,
    ) {
        let meeting = Meeting::plain();
        let skeys = [SKEY];
        let mut out = Vec::new();
        let sides = [
            (Side::Calls(Initiator::begin(&chance(&drawn), &mut out)), VC.len()),
            (Side::Answers(Responder::new(&chance(&drawn), &skeys, Preference::Rc4First)), 20),
        ];
        for (mut side, sought) in sides {
            let mut received = BytesMut::new();
            let mut fault = None;
            for piece in bytes.chunks(step) {
                received.extend_from_slice(piece);
                side = match side.hear(&mut received, &meeting, &mut out) {
                    Ok(same) => same,
                    Err(why) => {
                        fault = Some(why);
                        break;
                    }
                };
                prop_assert!(received.len() < KEY_BYTES, "{} bytes are kept", received.len());
            }
            // A key, a pad, and what should have come behind it: then it is over.
            let most = KEY_BYTES + PAD_BYTES_MAX + sought;
            prop_assert_eq!(fault.is_some(), bytes.len() >= most);
        }
    }
}

impl Meeting {
    /// Both take RC4, and bytes arrive as they are sent.
    fn plain() -> Self {
        Self {
            chances: [vec![1, 2, 3], vec![200, 1]],
            offered: Preference::Rc4Only,
            taken: Preference::Rc4Only,
            payload: b"payload".to_vec(),
            more: b"more".to_vec(),
            answer: b"answer".to_vec(),
            steps: vec![10_000],
        }
    }
}

/// A handshake's chance with this private key and these pads.
fn drawn(seed: u8, first_pad: u16, second_pad: u16) -> Chance {
    let mut chance = [0; CHANCE_BYTES];
    let (private, rest) = chance.split_at_mut(PRIVATE_BYTES);
    private.iter_mut().zip(seed..).for_each(|(byte, value)| *byte = value);
    rest[..2].copy_from_slice(&first_pad.to_be_bytes());
    rest[2..4].copy_from_slice(&second_pad.to_be_bytes());
    rest[4..].iter_mut().zip(0_u8..=255).for_each(|(byte, value)| {
        *byte = seed.wrapping_mul(7).wrapping_add(value);
    });
    chance
}

/// Length and SHA-1, so that a known answer is a line.
fn sum(bytes: &[u8]) -> (usize, String) {
    let digest = Sha1::digest(bytes);
    (bytes.len(), digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Both sides' bytes, made by a few lines of Python with `pow`, `hashlib` and a textbook's RC4.
#[test]
fn the_bytes_are_those_of_another_implementation() {
    let skeys = [std::array::from_fn(|at| at as u8)];
    let offer = Offer { skey: skeys[0], preference: Preference::Rc4First };
    let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
    let a = Initiator::begin(&drawn(3, 5, 2), &mut to_b);
    assert_eq!(sum(&to_b), (101, "808f5a90245fbb567b4475889dfe02c7b52637b9".to_owned()));
    let b = Responder::new(&drawn(90, 7, 3), &skeys, Preference::Rc4First);
    let Ok(Step::More(b)) = b.hear(&mut BytesMut::from(&to_b[..]), &mut to_a) else {
        panic!("it waits for the offer");
    };
    assert_eq!(sum(&to_a), (103, "056c4faa20c1f02d0ebe28b7bb4c8f432ef1193a".to_owned()));
    let mut received = BytesMut::from(&to_a[..]);
    let Ok(Step::Done(keyed)) = a.hear(&mut received) else { panic!("there is a key") };
    to_b.clear();
    let a = keyed.offer(&offer, b"\x13BitTorrent protocol", &mut to_b);
    assert_eq!(sum(&to_b), (78, "f2adcae8368b9d6ce663334c846ca24ac4cb0c2c".to_owned()));
    to_a.clear();
    let mut heard = BytesMut::from(&to_b[..]);
    let Ok(Step::Done(mut b)) = b.hear(&mut heard, &mut to_a) else { panic!("all is said") };
    assert_eq!(heard, b"\x13BitTorrent protocol"[..]);
    assert_eq!(sum(&to_a), (17, "956f620edd590677f41a190bb217765b9634eb5d".to_owned()));
    received.extend_from_slice(&to_a);
    let Ok(Step::Done(mut a)) = a.hear(&mut received) else { panic!("all is said") };
    assert_eq!(sum(&sent(&mut a, b"from a")).1, "fb9fad8876126344debf8febccfd98c75dcdcb89");
    assert_eq!(sum(&sent(&mut b, b"from b")).1, "89508f6148473c38202388a6aa87bf798e3c6495");
}

/// What a responder makes of an initiator's request whose encrypted part is `fields`.
fn request(fields: &[u8], preference: Preference) -> Fault {
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    let initiator = Initiator::begin(&drawn(3, 0, 0), &mut sent);
    let responder = Responder::new(&drawn(90, 0, 0), &[SKEY], preference);
    let mut heard = BytesMut::from(&sent[..]);
    let Ok(Step::More(responder)) = responder.hear(&mut heard, &mut out) else {
        panic!("it waits for the request");
    };
    let Ok(Step::Done(keyed)) = initiator.hear(&mut BytesMut::from(&out[..])) else {
        panic!("there is a key");
    };
    heard.extend_from_slice(&keyed.secret.req1());
    heard.extend_from_slice(&keyed.secret.req2_xor_req3(&SKEY));
    let mut fields = fields.to_vec();
    keyed.secret.initiators(&SKEY).apply(&mut fields);
    heard.extend_from_slice(&fields);
    responder.hear(&mut heard, &mut out).err().expect("it is refused")
}

#[test]
fn a_responder_refuses_what_no_initiator_says() {
    let first = Preference::Rc4First;
    assert_eq!(request(b"\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0", first), Fault::Verification);
    assert_eq!(request(b"\0\0\0\0\0\0\0\0\0\0\0\x04\0\0", first), Fault::Method(4));
    assert_eq!(request(b"\0\0\0\0\0\0\0\0\0\0\0\x01\0\0", Preference::Rc4Only), Fault::Method(1));
    assert_eq!(request(b"\0\0\0\0\0\0\0\0\0\0\0\x02\x02\x01", first), Fault::Pad(513));
    assert_eq!(request(b"\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\xff\xff", first), Fault::Payload(0xffff));
}

/// What an initiator makes of a responder's choice of these `fields`.
fn choice(fields: &[u8], preference: Preference) -> Fault {
    let mut out = Vec::new();
    let initiator = Initiator::begin(&drawn(3, 0, 0), &mut out);
    let private = Private::of([9; PRIVATE_BYTES]);
    let theirs = exchange::Public::read(&std::array::from_fn(|at| out[at])).expect("a key");
    let mut received = BytesMut::from(&private.public()[..]);
    let Ok(Step::Done(keyed)) = initiator.hear(&mut received) else { panic!("there is a key") };
    let offered = keyed.offer(&Offer { skey: SKEY, preference }, b"", &mut out);
    let mut fields = fields.to_vec();
    private.secret(&theirs).responders(&SKEY).apply(&mut fields);
    received.extend_from_slice(&fields);
    offered.hear(&mut received).err().expect("it is refused")
}

#[test]
fn an_initiator_refuses_what_was_not_offered() {
    let select = |bits: u8| [&[0; 8][..], &[0, 0, 0, bits, 0, 0]].concat();
    assert_eq!(choice(&select(1), Preference::Rc4Only), Fault::Method(1));
    assert_eq!(choice(&select(3), Preference::Rc4First), Fault::Method(3));
    assert_eq!(choice(&select(0), Preference::PlaintextFirst), Fault::Method(0));
    assert_eq!(
        choice(b"\0\0\0\0\0\0\0\0\0\0\0\x02\xff\xff", Preference::Rc4Only),
        Fault::Pad(65535)
    );
    // Its VC is not there, however long the padding.
    assert_eq!(choice(&[1; 600], Preference::Rc4Only), Fault::Padding);
}

#[test]
fn another_torrent_and_another_protocol_are_known_at_once() {
    let (mut out, mut answer) = (Vec::new(), Vec::new());
    let initiator = Initiator::begin(&drawn(3, 100, 0), &mut out);
    let responder = Responder::new(&drawn(4, 100, 0), &[[8; 20]], Preference::Rc4First);
    let mut heard = BytesMut::from(&out[..]);
    let Ok(Step::More(responder)) = responder.hear(&mut heard, &mut answer) else {
        panic!("it waits for the request");
    };
    let Ok(Step::Done(keyed)) = initiator.hear(&mut BytesMut::from(&answer[..])) else {
        panic!("there is a key");
    };
    out.clear();
    let _ = keyed.offer(&Offer { skey: SKEY, preference: Preference::Rc4Only }, b"", &mut out);
    heard.extend_from_slice(&out);
    assert_eq!(responder.hear(&mut heard, &mut answer).err(), Some(Fault::Torrent));

    let initiator = Initiator::begin(&drawn(3, 0, 0), &mut out);
    let mut plain = BytesMut::from(&b"\x13BitTorrent protocol"[..]);
    assert_eq!(initiator.hear(&mut plain).err(), Some(Fault::Plain));
}
