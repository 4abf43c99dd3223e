//! [`Ranker`]: a strategy that cannot fail, since another one waits behind it.
//!
//! It lives on this side of the boundary and not in `host`, because the engine, which may know
//! no loader, owns it. When the chosen guest breaks, the fallback takes over for the rest of the
//! run, one warning says so, and the epoch moves so that every key is asked for again. Should
//! the fallback break as well, pieces are ranked in their own order.

use super::host::{Instance, Poisoned};
use super::{Swarm, Urgent};
use crate::Level;

/// A strategy's instance with another behind it.
pub struct Ranker {
    name: String,
    chosen: Instance,
    fallback: Option<(String, Instance)>,
    broken: Broken,
    epoch: Epoch,
}

/// How many of the two guests broke.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    None,
    Chosen,
    Both,
}

/// An epoch that moves when the guest behind it is replaced.
#[derive(Default)]
struct Epoch {
    last: u64,
    shift: u64,
    replaced: bool,
}

impl Epoch {
    const fn seen(&mut self, guest: u64) -> u64 {
        if self.replaced {
            self.replaced = false;
            self.shift = self.last.wrapping_add(1).wrapping_sub(guest);
        }
        self.last = guest.wrapping_add(self.shift);
        self.last
    }
}

impl Ranker {
    /// Ranks by `chosen` alone: if it breaks, pieces are ranked in their own order. `name` is for
    /// the warning: the plugin's file, or its id if it is bundled.
    #[must_use]
    pub fn new(name: impl Into<String>, chosen: Instance) -> Self {
        let (broken, epoch) = (Broken::None, Epoch::default());
        Self { name: name.into(), chosen, fallback: None, broken, epoch }
    }

    /// Ranks by `fallback`, called `name` in the warning, once the chosen guest broke.
    #[must_use]
    pub fn or(mut self, name: impl Into<String>, fallback: Instance) -> Self {
        self.fallback = Some((name.into(), fallback));
        self
    }

    /// When this number changes, all keys are to be asked for again.
    pub fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        let mut epoch = 0;
        self.ask(|guest| {
            epoch = guest.epoch(swarm)?;
            Ok(())
        });
        self.epoch.seen(if self.broken == Broken::Both { 0 } else { epoch })
    }

    /// Writes the keys of `pieces`, smaller first.
    ///
    /// # Panics
    /// If `pieces` and `keys` differ in length, or a piece is not of this torrent.
    pub fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        self.ask(|guest| guest.rank(swarm, pieces, keys));
        if self.broken == Broken::Both {
            for (&piece, key) in pieces.iter().zip(keys) {
                *key = u64::from(piece);
            }
        }
    }

    /// Whether the strategy that is asked now has an answer to the question of urgency. Costs
    /// nothing: ask it before everything else.
    #[must_use]
    pub fn has_urgency(&self) -> bool {
        match (self.broken, &self.fallback) {
            (Broken::None, _) => self.chosen.has_urgency(),
            (Broken::Chosen, Some((_, fallback))) => fallback.has_urgency(),
            (Broken::Chosen | Broken::Both, _) => false,
        }
    }

    /// Makes `out` the pieces that are wanted by a moment, soonest first: at most
    /// [`URGENT_MAX`](super::URGENT_MAX), all of them missing, each once.
    ///
    /// To be asked again when [`Ranker::epoch`], the number of pieces had or the reader changed.
    /// The moments count from this call: whoever asks makes them times of his own clock, and keeps
    /// the sooner one of a piece that is named again, or a piece that never comes is never late.
    pub fn urgent(&mut self, swarm: &Swarm<'_>, out: &mut Vec<Urgent>) {
        out.clear();
        self.ask(|guest| guest.urgent(swarm, out));
    }

    /// Asks whoever is left, and moves on to the next when one breaks.
    fn ask(&mut self, mut question: impl FnMut(&mut Instance) -> Result<(), Poisoned>) {
        loop {
            let guest = match self.broken {
                Broken::None => &mut self.chosen,
                Broken::Chosen => match &mut self.fallback {
                    Some((_, fallback)) => fallback,
                    None => return self.broken = Broken::Both,
                },
                Broken::Both => return,
            };
            if question(guest).is_ok() {
                return;
            }
            self.replace();
        }
    }

    fn replace(&mut self) {
        self.epoch.replaced = true;
        let (broke, next) = match (self.broken, &self.fallback) {
            (Broken::None, Some((name, _))) => (&self.name, format!("`{name}` takes over")),
            (_, Some((name, _))) => (name, "pieces come in their own order".to_owned()),
            (_, None) => (&self.name, "pieces come in their own order".to_owned()),
        };
        let text = format!("the strategy `{broke}` broke and is not asked again: {next}");
        self.chosen.say(Level::Warning, &text);
        self.broken = match (self.broken, &self.fallback) {
            (Broken::None, Some(_)) => Broken::Chosen,
            _ => Broken::Both,
        };
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "`Services` is called from any thread")]
mod tests {
    use super::*;
    use crate::strategy::{Strategy, entry};
    use crate::{Entry, Options, Services};
    use std::sync::{Arc, Mutex};

    /// Breaks at the call that its option names.
    struct Brittle {
        calls: u32,
        last: u32,
    }

    impl Strategy for Brittle {
        const ID: &'static str = "brittle";
        const ABOUT: &'static str = "breaks";

        fn create(options: Options<'_>) -> Result<Self, String> {
            let last = options.value("after").and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
            Ok(Self { calls: 0, last })
        }

        fn epoch(&mut self, _swarm: &Swarm<'_>) -> u64 {
            7
        }

        fn rank(&mut self, _swarm: &Swarm<'_>, _pieces: &[u32], keys: &mut [u64]) {
            keys.fill(1000);
            self.calls += 1;
            assert!(self.calls <= self.last, "it is brittle");
        }
    }

    /// Ranks from the end.
    struct Backwards;

    impl Strategy for Backwards {
        const ID: &'static str = "backwards";
        const ABOUT: &'static str = "from the end";

        fn create(_options: Options<'_>) -> Result<Self, String> {
            Ok(Self)
        }

        fn epoch(&mut self, _swarm: &Swarm<'_>) -> u64 {
            7
        }

        fn rank(&mut self, _swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
            for (&piece, key) in pieces.iter().zip(keys) {
                *key = 100 - u64::from(piece);
            }
        }
    }

    static BRITTLE: Entry = entry::<Brittle>("1.0.0");
    static BACKWARDS: Entry = entry::<Backwards>("1.0.0");

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Services for Heard {
        fn log(&self, _level: Level, text: &str) {
            self.0.lock().expect("no thread panicked").push(text.to_owned());
        }
    }

    fn instance(entry: &'static Entry, options: &str, heard: &Arc<Heard>) -> Instance {
        Instance::create(entry, options, Arc::<Heard>::clone(heard)).expect("it can be made")
    }

    const SWARM: Swarm<'_> = Swarm::new(&[1; 3], &[4; 3], &[0], 9, 0, 0);

    #[test]
    fn the_fallback_takes_over_with_one_warning_and_a_new_epoch() {
        let heard = Arc::new(Heard::default());
        let mut ranker = Ranker::new("libbrittle.so", instance(&BRITTLE, "after=1", &heard))
            .or("backwards", instance(&BACKWARDS, "", &heard));
        let mut keys = [0; 3];
        let before = ranker.epoch(&SWARM);
        ranker.rank(&SWARM, &[0, 1, 2], &mut keys);
        assert_eq!(keys, [1000; 3]);
        for _ in 0..3 {
            ranker.rank(&SWARM, &[0, 1, 2], &mut keys);
            assert_eq!(keys, [100, 99, 98]);
        }
        let after = ranker.epoch(&SWARM);
        assert_ne!(before, after, "all keys must be asked for again");
        assert_eq!(after, ranker.epoch(&SWARM), "once");
        assert_eq!(
            *heard.0.lock().expect("no thread panicked"),
            ["the strategy `libbrittle.so` broke and is not asked again: `backwards` takes over"]
        );
    }

    #[test]
    fn with_nobody_left_pieces_come_in_their_own_order() {
        let heard = Arc::new(Heard::default());
        let mut ranker = Ranker::new("a", instance(&BRITTLE, "after=0", &heard))
            .or("b", instance(&BRITTLE, "after=0", &heard));
        let mut keys = [0; 3];
        ranker.rank(&SWARM, &[2, 0, 1], &mut keys);
        assert_eq!(keys, [2, 0, 1]);
        assert_eq!(heard.0.lock().expect("no thread panicked").len(), 2);
        let mut alone = Ranker::new("a", instance(&BRITTLE, "after=0", &heard));
        alone.rank(&SWARM, &[1], &mut keys[..1]);
        assert_eq!(keys[0], 1);
    }

    #[test]
    #[should_panic(expected = "pieces of this torrent")]
    fn a_piece_beyond_the_torrent_never_reaches_a_guest() {
        let heard = Arc::new(Heard::default());
        Ranker::new("a", instance(&BACKWARDS, "", &heard)).rank(&SWARM, &[3], &mut [0]);
    }
}
