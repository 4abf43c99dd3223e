//! [`Guests`]: routes facts to discovery guests and their wishes back.
//!
//! The engine sees guests by number; a guest that breaks is left out from then on, with one
//! warning.

use super::learn::METADATA_ID;
use super::time::Time;
use bytes::Bytes;
use rtor_plugin::Addr;
use rtor_plugin::discovery::host::Instance;
use rtor_plugin::discovery::{Answer, Fact, Reply, Wish};
use std::net::SocketAddr;

/// A discovery guest and the name that people know it by.
pub struct Guest {
    /// `tracker`.
    pub id: String,
    /// Its instance.
    pub instance: Instance,
    /// What it wished to keep in an earlier run.
    pub state: Option<Vec<u8>>,
}

/// The first extended message id that we hand out.
const FIRST_EXTENSION_ID: u8 = METADATA_ID + 1;
/// How often a guest may be told that its deadline has passed: one that leaves it in the past
/// must not turn the loop into a spin.
const DEADLINE_US_MIN: u64 = 10_000;

/// Discovery guests of one torrent. An engine has its own; a scrape has, too.
pub struct Guests {
    guests: Vec<Guest>,
    finished: Vec<bool>,
    warned: Vec<bool>,
    /// Nothing is said to them, nor heard of them.
    silenced: Vec<bool>,
    /// No deadline of a guest before this.
    rest_until: Vec<Time>,
    /// Extension names by the id under which we want them, with the guest that speaks them.
    extensions: Vec<(u8, &'static str, usize)>,
}

/// A wish with the number of the guest that has it.
pub type Wished = (usize, Wish<'static>);

impl Guests {
    /// Only guests that say `on_private` stay if the torrent is `private` (BEP 27).
    #[must_use]
    pub fn new(guests: Vec<Guest>, private: bool) -> Self {
        let guests: Vec<Guest> =
            guests.into_iter().filter(|g| !private || g.instance.on_private()).collect();
        let names = guests
            .iter()
            .enumerate()
            .flat_map(|(number, guest)| guest.instance.extensions().map(move |n| (n, number)));
        let extensions =
            (FIRST_EXTENSION_ID..).zip(names).map(|(id, (name, number))| (id, name, number));
        Self {
            extensions: extensions.collect(),
            finished: vec![false; guests.len()],
            warned: vec![false; guests.len()],
            silenced: vec![false; guests.len()],
            rest_until: vec![Time(0); guests.len()],
            guests,
        }
    }

    /// The torrent turned out to be private (BEP 27): only guests that say `on_private` go on. The
    /// names of the others.
    pub(super) fn keep_private(&mut self) -> Vec<String> {
        let guests = self.guests.iter().zip(&mut self.silenced);
        let others = guests.filter(|(guest, _)| !guest.instance.on_private());
        let names = others.map(|(guest, silenced)| {
            *silenced = true;
            guest.id.clone()
        });
        names.collect()
    }

    /// Tells every guest.
    pub fn tell(&mut self, now: Time, fact: &Fact<'_>, wished: &mut Vec<Wished>) {
        for number in 0..self.guests.len() {
            self.tell_one(now, number, fact, wished);
        }
    }

    /// Gives every guest what it kept. Once.
    pub(super) fn tell_states(&mut self, now: Time, wished: &mut Vec<Wished>) {
        for number in 0..self.guests.len() {
            if let Some(bytes) = self.guests[number].state.take() {
                self.tell_one(now, number, &Fact::State { bytes: &bytes }, wished);
            }
        }
    }

    /// Tells one guest.
    pub(super) fn tell_one(
        &mut self,
        now: Time,
        number: usize,
        fact: &Fact<'_>,
        wished: &mut Vec<Wished>,
    ) -> Answer {
        let Some(guest) = self.guests.get_mut(number).filter(|_| !self.silenced[number]) else {
            return Answer::Declined;
        };
        let mut wishes = Vec::new();
        let answer = guest.instance.handle(now.0, fact, &mut wishes).unwrap_or(Answer::Declined);
        for wish in wishes {
            if wish == Wish::Finished {
                self.finished[number] = true;
            } else {
                wished.push((number, wish));
            }
        }
        answer
    }

    /// Asks every guest for the counts of a swarm. One that does not know what a scrape is has nothing
    /// to say.
    pub fn ask(&mut self, now: Time, scrape: &Fact<'_>, wished: &mut Vec<Wished>) {
        for number in 0..self.guests.len() {
            let answer = self.tell_one(now, number, scrape, wished);
            self.finished[number] |= answer == Answer::Declined;
        }
    }

    /// An HTTP request of guest `number` ended.
    pub fn http_replied(
        &mut self,
        now: Time,
        number: usize,
        ticket: u64,
        reply: &Result<(u32, Bytes), String>,
        wished: &mut Vec<Wished>,
    ) {
        let reply = match reply {
            Ok((status, body)) => Reply::Answered(*status, body),
            Err(why) => Reply::Unreachable(why),
        };
        self.tell_one(now, number, &Fact::HttpReply { ticket, reply }, wished);
    }

    /// A look-up of guest `number` ended: with addresses, or none and why.
    pub fn resolved(
        &mut self,
        now: Time,
        number: usize,
        ticket: u64,
        found: &Result<Vec<SocketAddr>, String>,
        wished: &mut Vec<Wished>,
    ) {
        let (addrs, problem): (Vec<Addr>, &str) = match found {
            Ok(addrs) => (addrs.iter().copied().map(Addr::from).collect(), ""),
            Err(why) => (Vec::new(), why),
        };
        self.tell_one(now, number, &Fact::Resolved { ticket, addrs: &addrs, problem }, wished);
    }

    /// Offers a fact to one guest after the other, until one says it is its own.
    pub fn offer(&mut self, now: Time, fact: &Fact<'_>, wished: &mut Vec<Wished>) {
        for number in 0..self.guests.len() {
            if self.tell_one(now, number, fact, wished) == Answer::Mine {
                return;
            }
        }
    }

    /// A message came under the extended id that we handed out.
    pub(super) fn extension(
        &mut self,
        now: Time,
        peer: u32,
        id: u8,
        payload: &[u8],
        wished: &mut Vec<Wished>,
    ) {
        if let Some((_, name, number)) = self.extensions.iter().find(|(ours, ..)| *ours == id) {
            let fact = Fact::Extension { peer, name, payload };
            let number = *number;
            self.tell_one(now, number, &fact, wished);
        }
    }

    /// Tells the guests whose deadline has come.
    pub fn deadline_passed(&mut self, now: Time, wished: &mut Vec<Wished>) {
        for number in 0..self.guests.len() {
            if self.deadline_of(number).is_some_and(|due| due <= now) {
                self.rest_until[number] = now + DEADLINE_US_MIN;
                self.tell_one(now, number, &Fact::Deadline, wished);
            }
        }
    }

    /// When the next guest wants to be told.
    pub fn deadline(&mut self) -> Option<Time> {
        (0..self.guests.len()).filter_map(|number| self.deadline_of(number)).min()
    }

    fn deadline_of(&mut self, number: usize) -> Option<Time> {
        if self.silenced[number] {
            return None;
        }
        let due_us = self.guests[number].instance.deadline()?;
        Some(Time(due_us).max(self.rest_until[number]))
    }

    /// `m` of our extension handshake (BEP 10).
    pub(super) fn extensions(&self) -> impl Iterator<Item = (&'static str, u8)> + '_ {
        let heard = self.extensions.iter().filter(|(.., guest)| !self.silenced[*guest]);
        heard.map(|(id, name, _)| (*name, *id))
    }

    /// Whether every guest has said good-bye, or cannot.
    #[must_use]
    pub fn all_finished(&self) -> bool {
        (0..self.guests.len()).all(|number| {
            let broken = self.guests[number].instance.poisoned();
            self.finished[number] || self.silenced[number] || broken
        })
    }

    /// Guests that broke since this was last asked.
    pub fn newly_poisoned(&mut self) -> Vec<String> {
        let broken = self.guests.iter().zip(&mut self.warned);
        broken
            .filter(|(guest, warned)| guest.instance.poisoned() && !**warned)
            .map(|(guest, warned)| {
                *warned = true;
                guest.id.clone()
            })
            .collect()
    }

    /// The name of guest `number`.
    pub(super) fn id(&self, number: usize) -> &str {
        self.guests.get(number).map_or("", |guest| &guest.id)
    }
}
