//! Urgency across the boundary: good answers through both doors, and guests that answer anything
//! at all, with tables and columns of any size.

#![expect(unsafe_code, reason = "guests that break the rules are made of raw tables")]

use crate::plugins::{compiled, opened, own, silent};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;
use rtor::host::Registry;
use rtor_plugin::discovery;
use rtor_plugin::strategy::host::{Instance, Poisoned, table};
use rtor_plugin::strategy::{
    INTERFACE, Ranker, RawSwarm, RawUrgent, Strategy, Swarm, Table, URGENT_MAX, Urgent,
    WITHIN_US_MAX,
};
use rtor_plugin::{ABI, Entry, Host, Lent, NoTable, Options, Status};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;

/// What the scripted guest answers to the question of urgency.
#[derive(Clone, Debug, Default)]
struct Script {
    list: Vec<(u32, u64)>,
    count: usize,
    status: u32,
}

thread_local! {
    static SCRIPT: RefCell<Script> = RefCell::default();
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static TABLE: Cell<*const c_void> = const { Cell::new(ptr::null()) };
}

unsafe extern "C" fn create(_: *const Host, _: Lent<'_>, instance: *mut *mut c_void) -> Status {
    // SAFETY: the host gave a place for one pointer.
    unsafe { *instance = ptr::dangling_mut() };
    Status::OK
}

unsafe extern "C" fn destroy(_: *mut c_void) {}

unsafe extern "C" fn epoch(_: *mut c_void, _: *const RawSwarm, epoch: *mut u64) -> Status {
    // SAFETY: the host gave a place for one number.
    unsafe { *epoch = 3 };
    Status::OK
}

unsafe extern "C" fn rank(
    _: *mut c_void,
    _: *const RawSwarm,
    _: *const u32,
    _: *mut u64,
    _: usize,
) -> Status {
    Status::OK
}

unsafe extern "C" fn urgent(
    _: *mut c_void,
    _: *const RawSwarm,
    list: *mut RawUrgent,
    capacity: usize,
    count: *mut usize,
) -> Status {
    CALLS.set(CALLS.get() + 1);
    SCRIPT.with_borrow(|script| {
        for (at, &(piece, within_us)) in script.list.iter().take(capacity).enumerate() {
            // SAFETY: `at` is below the capacity.
            unsafe { list.add(at).write(RawUrgent { piece, reserved: 9, within_us }) };
        }
        // SAFETY: the host gave a place for one number.
        unsafe { *count = script.count };
        Status(script.status)
    })
}

unsafe extern "C" fn scripted(id: Lent<'_>) -> *const c_void {
    static SCRIPTED: Table = Table {
        size: size_of::<Table>() as u32,
        reserved: 0,
        create,
        destroy,
        epoch,
        rank,
        urgent: Some(urgent),
    };
    // SAFETY: the host lends the id for this call.
    let asked = unsafe { id.bytes() };
    if asked == INTERFACE.as_bytes() { (&raw const SCRIPTED).cast() } else { ptr::null() }
}

/// Whatever stands in `TABLE`, for every interface.
unsafe extern "C" fn any_table(_: Lent<'_>) -> *const c_void {
    TABLE.get()
}

const fn entry(interface: unsafe extern "C" fn(Lent<'_>) -> *const c_void) -> Entry {
    Entry {
        abi: ABI,
        size: size_of::<Entry>() as u32,
        id: Lent::text("scripted"),
        version: Lent::text("0"),
        about: Lent::text("answers as it is told"),
        interface,
    }
}

static SCRIPTED: Entry = entry(scripted);
static ANY_TABLE: Entry = entry(any_table);

/// What the host must make of a list: each missing piece once, with the soonest of its times.
fn accepted(script: &Script, swarm: &Swarm<'_>) -> BTreeMap<u32, u64> {
    let mut expected = BTreeMap::new();
    for &(piece, within_us) in script.list.iter().take(script.count.min(URGENT_MAX)) {
        if swarm.is_missing(piece) {
            let time = expected.entry(piece).or_insert(u64::MAX);
            *time = within_us.min(WITHIN_US_MAX).min(*time);
        }
    }
    expected
}

/// Answers of guests in good and bad faith, for a torrent of some pieces.
fn scripts() -> impl Generator<Value = Script> {
    let piece = prop_oneof![4 => 0..200_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)];
    let time = prop_oneof![3 => 0..50_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    let list = prop::collection::vec((piece, time), 0..300);
    let count = prop_oneof![6 => 0..URGENT_MAX + 2, 1 => any::<usize>()];
    let status = prop_oneof![6 => Just(0_u32), 1 => any::<u32>()];
    (list, count, status).prop_map(|(list, count, status)| Script { list, count, status })
}

proptest! {
    #[test]
    fn whatever_a_guest_lists_the_host_gets_missing_pieces_once_and_in_order(
        script in scripts(),
        columns in prop::collection::vec((any::<u16>(), 0..3_u8), 0..200),
        have in any::<[u64; 4]>(),
    ) {
        let (availability, priority): (Vec<u16>, Vec<u8>) = columns.into_iter().unzip();
        let swarm = Swarm::new(&availability, &priority, &have, 1, 0, 0);
        SCRIPT.set(script.clone());
        CALLS.set(0);
        let mut instance = Instance::create(&SCRIPTED, "", silent()).expect("it starts");
        prop_assert!(instance.has_urgency());
        let mut out = vec![Urgent { piece: 1, within_us: 1 }];
        let answer = instance.urgent(&swarm, &mut out);
        if script.status == 0 && script.count <= URGENT_MAX {
            prop_assert_eq!(answer, Ok(()));
            prop_assert!(out.is_sorted_by_key(|urgent| urgent.within_us));
            let given: BTreeMap<u32, u64> = out.iter().map(|u| (u.piece, u.within_us)).collect();
            prop_assert_eq!(given.len(), out.len(), "each once");
            prop_assert_eq!(given, accepted(&script, &swarm));
        } else {
            prop_assert_eq!(answer, Err(Poisoned));
            prop_assert_eq!(&out, &[]);
            prop_assert_eq!(instance.urgent(&swarm, &mut out), Err(Poisoned));
            prop_assert_eq!(instance.epoch(&swarm), Err(Poisoned));
            prop_assert_eq!((instance.has_urgency(), CALLS.get()), (false, 1), "asked once");
        }
    }

    #[test]
    fn a_table_of_any_size_with_any_function_missing_is_read_no_further_than_it_goes(
        size in 0..72_u32,
        null in prop::collection::vec(prop::bool::weighted(0.1), 5),
        shift in prop_oneof![9 => Just(0_usize), 1 => Just(4_usize)],
    ) {
        let first = offset_of!(Table, urgent);
        // As long as it says, and not one word longer.
        let mut memory = vec![0_u64; (size as usize + shift).div_ceil(8).max(1)];
        let functions = [create as *const (), destroy as *const (), epoch as *const (), rank as *const (), urgent as *const ()];
        for (at, (function, null)) in functions.into_iter().zip(&null).enumerate() {
            if let Some(word) = memory.get_mut(at + 1) {
                *word = if *null { 0 } else { function.addr() as u64 };
            }
        }
        let at = memory.as_mut_ptr().cast::<u8>().wrapping_add(shift);
        // SAFETY: there are at least eight bytes, or the shift is 4 and there are twelve.
        unsafe { at.cast::<u32>().write_unaligned(size) };
        TABLE.set(at.cast_const().cast());
        let found = table(&ANY_TABLE).map(|table| table.urgent.is_some());
        let expected = if shift != 0 {
            Err(NoTable::Malformed)
        } else if (size as usize) < first {
            Err(NoTable::TooSmall { size, needed: first })
        } else if null[..4].contains(&true) {
            Err(NoTable::Malformed)
        } else {
            Ok(size as usize >= size_of::<Table>() && !null[4])
        };
        prop_assert_eq!(found, expected);
        if (size as usize) < size_of::<discovery::Table>() || shift != 0 {
            prop_assert!(discovery::host::table(&ANY_TABLE).is_err());
        }
    }
}

/// Says in its keys what it knows of the swarm.
struct Told;

impl Strategy for Told {
    const ID: &'static str = "told";
    const ABOUT: &'static str = "says what it knows";

    fn create(_options: Options<'_>) -> Result<Self, String> {
        Ok(Self)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, _pieces: &[u32], keys: &mut [u64]) {
        let reader = swarm.reader().map_or(0, |pieces| pieces.end);
        keys.fill(u64::from(reader) << 32 | u64::from(swarm.piece_length));
    }
}

/// What [`Told`] answers when the host's columns say that they are `size` bytes long.
fn told(size: u32) -> (Status, u64) {
    static TOLD: Entry = rtor_plugin::strategy::entry::<Told>("0");
    let table = table(&TOLD).expect("a good table");
    let (availability, priority, have) = ([1_u16; 3], [4_u8; 3], [0_u64]);
    let raw = RawSwarm {
        size,
        piece_count: 3,
        availability: availability.as_ptr(),
        priority: priority.as_ptr(),
        have: have.as_ptr(),
        seed: 0,
        have_count: 0,
        playhead: 1,
        piece_length: 77,
        read_end: 3,
    };
    let (mut instance, mut key) = (ptr::null_mut(), 0);
    // SAFETY: the shims of our own crate; the host table is not looked at.
    let status = unsafe {
        assert_eq!((table.create)(ptr::null(), Lent::text(""), &raw mut instance), Status::OK);
        (table.rank)(instance, &raw const raw, [0].as_ptr(), &raw mut key, 1)
    };
    // SAFETY: it is not used again.
    unsafe { (table.destroy)(instance) };
    (status, key)
}

#[test]
fn a_guest_in_an_older_host_reads_no_column_that_it_was_not_given() {
    let whole = size_of::<RawSwarm>() as u32;
    assert_eq!(told(whole), (Status::OK, 3 << 32 | 77));
    assert_eq!(told(whole + 8), (Status::OK, 3 << 32 | 77), "nor minds what a newer one adds");
    let first = offset_of!(RawSwarm, piece_length) as u32;
    assert_eq!(told(first), (Status::OK, 0), "what lies behind the end does not count");
    assert_eq!(told(first - 8), (Status::POISONED, 0), "that is no swarm");
}

#[test]
fn a_plugin_that_was_built_before_urgency_still_loads() {
    let nonsense = "-DURGENT=((rtor_status (*)(void *, const rtor_swarm *, rtor_urgent *, size_t, \
                    size_t *))8)";
    let (availability, have) = ([1; 3], [0]);
    let swarm = Swarm::new(&availability, &[4; 3], &have, 1, 0, 0);
    for size in ["-DTABLE_SIZE=40", "-DTABLE_SIZE=47"] {
        let (_folder, file) = compiled("tests/fixtures/broken.c", &[size, nonsense]);
        let mut instance = opened(&file).strategy("broken", silent()).expect("it starts");
        assert!(!instance.has_urgency());
        let mut out = vec![Urgent { piece: 1, within_us: 1 }];
        assert_eq!((instance.urgent(&swarm, &mut out), out), (Ok(()), Vec::new()));
    }
}

#[test]
fn a_strategy_in_c_answers_urgency() {
    let (_folder, file) = compiled("plugins/examples/ahead.c", &[]);
    let mut ranker = opened(&file).ranker("ahead", silent()).expect("it starts");
    assert!(ranker.has_urgency());
    let (availability, have) = ([1; 9], [0b10_0101]);
    let swarm = Swarm::new(&availability, &[4; 9], &have, 1, 3, 0);
    let mut out = Vec::new();
    let mut pieces = |swarm: &Swarm<'_>| -> Vec<(u32, u64)> {
        ranker.urgent(swarm, &mut out);
        out.iter().map(|urgent| (urgent.piece, urgent.within_us / 1_000_000)).collect()
    };
    assert_eq!(pieces(&swarm), [(1, 0), (3, 1), (4, 2), (6, 3)]);
    assert_eq!(pieces(&swarm.read(&(5..9))), [(6, 0), (7, 1), (8, 2)]);
}

#[test]
fn streaming_answers_urgency_the_same_through_both_doors() {
    let (_folder, file) = own("rtor_strategy_streaming");
    let answers = |registry: &Registry| {
        let mut ranker = registry.ranker("streaming:window=9", silent()).expect("it starts");
        let (availability, mut have) = ([1; 64], [0]);
        let mut answers: Vec<Vec<Urgent>> = Vec::new();
        for had in [0, 0b111, 0xff0f] {
            have[0] |= had;
            let swarm = Swarm::new(&availability, &[4; 64], &have, 1, 0, 0).of_pieces(1 << 20);
            for swarm in [swarm, swarm.read(&(30..50))] {
                let mut out = Vec::new();
                ranker.urgent(&swarm, &mut out);
                answers.push(out);
            }
        }
        answers
    };
    let (linked, loaded) = (answers(&Registry::bundled()), answers(&opened(&file)));
    assert_eq!(linked, loaded);
    let lengths: Vec<usize> = linked.iter().map(Vec::len).collect();
    assert_eq!(lengths, [11; 6], "nine of the window and two of the tail");
}

#[test]
fn when_a_guest_breaks_over_urgency_the_fallback_has_none() {
    SCRIPT.set(Script { count: URGENT_MAX + 1, ..Script::default() });
    let bundled = |id| Registry::bundled().strategy(id, silent()).expect("it starts");
    let scripted = || Instance::create(&SCRIPTED, "", silent()).expect("it starts");
    let swarm = Swarm::new(&[1; 3], &[4; 3], &[0], 1, 0, 0);
    let mut out = vec![Urgent { piece: 1, within_us: 1 }];
    let mut ranker = Ranker::new("scripted", scripted()).or("rarest", bundled("rarest"));
    let before = ranker.epoch(&swarm);
    ranker.urgent(&swarm, &mut out);
    assert_eq!((ranker.has_urgency(), out.len()), (false, 0));
    assert_ne!(ranker.epoch(&swarm), before, "all keys are asked for again");
    let mut ranker = Ranker::new("scripted", scripted()).or("other", bundled("streaming"));
    ranker.urgent(&swarm, &mut out);
    assert_eq!((ranker.has_urgency(), out.len()), (true, 3), "unless it has an answer");
    let mut ranker = Ranker::new("scripted", scripted());
    ranker.urgent(&swarm, &mut out);
    assert_eq!((ranker.has_urgency(), out.len()), (false, 0), "nobody is left");
}
