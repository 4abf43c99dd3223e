//! What guests want, turned into deeds.

use super::guests::{Guests, Wished};
use super::output::{Event, Output};
use super::time::Time;
use super::{Engine, PeerId};
use crate::wire::Message;
use bytes::Bytes;
use rtor_plugin::Addr;
use rtor_plugin::discovery::{Fact, Wish};

impl Engine {
    /// Lets `f` talk to the guests and does what they wish.
    pub(super) fn with_guests(
        &mut self,
        now: Time,
        out: &mut Vec<Output>,
        f: impl FnOnce(&mut Guests, &mut Vec<Wished>),
    ) {
        let mut wished = Vec::new();
        f(&mut self.guests, &mut wished);
        for (guest, wish) in wished {
            self.wished(now, guest, wish, out);
        }
    }

    pub(super) fn tell_guest(
        &mut self,
        now: Time,
        guest: usize,
        fact: &Fact<'_>,
        out: &mut Vec<Output>,
    ) {
        self.with_guests(now, out, |guests, wished| {
            guests.tell_one(now, guest, fact, wished);
        });
    }

    fn wished(&mut self, now: Time, guest: usize, wish: Wish<'static>, out: &mut Vec<Output>) {
        match wish {
            Wish::Found { source, addrs } => {
                let id = self.guests.id(guest).to_owned();
                let usable = addrs.iter().filter_map(Addr::socket);
                let new = usable.filter(|addr| self.pool.found(now, *addr, &id, false)).count();
                let (source, told) = (source.into_owned(), addrs.len());
                out.push(Output::Tell(Event::Found { guest: id, source, new, told }));
            }
            Wish::SendExtension { peer, name, payload } => {
                let peer = PeerId(peer);
                let id = self.sessions.get(&peer).and_then(|s| s.extension_id(&name));
                if let Some(id) = id {
                    let payload = Bytes::from(payload.into_owned());
                    out.push(Output::Send(peer, Message::Extended { id, payload }));
                }
            }
            Wish::SendDatagram { to, bytes } => {
                if let Some(to) = to.socket() {
                    out.push(Output::Datagram(to, Bytes::from(bytes.into_owned())));
                }
            }
            Wish::HttpGet { ticket, url, family } => {
                out.push(Output::HttpGet(guest, ticket, url.into_owned(), family));
            }
            Wish::Resolve { ticket, host, port } => {
                out.push(Output::Resolve(guest, ticket, host.into_owned(), port));
            }
            Wish::JoinMulticast { group } => {
                out.extend(group.socket().map(Output::JoinMulticast));
            }
            Wish::Report { level, subject, text } => {
                let guest = self.guests.id(guest).to_owned();
                let (subject, text) = (subject.into_owned(), text.into_owned());
                out.push(Output::Tell(Event::Report { level, guest, subject, text }));
            }
            Wish::Heard { source, seeds, leeches, downloads, interval_s } => {
                let source = source.into_owned();
                let heard = Event::Heard { source, seeds, leeches, downloads, interval_s };
                out.push(Output::Tell(heard));
            }
            Wish::Keep { bytes } => {
                let id = self.guests.id(guest).to_owned();
                out.push(Output::KeepState(id, Bytes::from(bytes.into_owned())));
            }
            Wish::JoinDht { answers } => self.dht_joined(answers, out),
            // The guests' router keeps this one.
            Wish::Finished => {}
        }
    }
}
