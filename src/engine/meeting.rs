//! How conversations begin: dials, newcomers, handshakes, and what is said first.

use super::encryption::Kind;
use super::learn::METADATA_ID;
use super::output::{Call, Event, Output, Why};
use super::session::Session;
use super::time::{SECOND_US, Time};
use super::upload::REQUESTS_QUEUED_MAX;
use super::{Engine, PeerId, Pending};
use crate::torrent::Info;
use crate::wire::extension::{ExtensionHandshake, HANDSHAKE_ID};
use crate::wire::metadata::METADATA_NAME;
use crate::wire::mse::{Method, Offer};
use crate::wire::{Fault, Handshake, Message, Transport};
use bytes::Bytes;
use rtor_plugin::Addr;
use rtor_plugin::discovery::Fact;
use std::net::SocketAddr;

/// Who takes so long to answer our call is far.
const FAR_US: u64 = SECOND_US / 40;

impl Pending {
    const fn new(since: Time, addr: SocketAddr, came_to_us: bool) -> Self {
        Self { addr, came_to_us, since, by: Transport::Tcp, method: None, guessed: false }
    }
}

impl Engine {
    pub(super) fn has_room_to_dial(&self) -> bool {
        let here = self.sessions.len() + self.pending.len();
        self.started && !self.stopping && here < self.peers_max
    }

    pub(super) fn dial(&mut self, now: Time, out: &mut Vec<Output>) {
        while self.has_room_to_dial() {
            let Some((addr, kind, race)) = self.pool.next(now) else { return };
            let peer = self.next_peer();
            self.pending.insert(peer, Pending::new(now, addr, false));
            let skey = self.handshake.info_hash;
            let preference = self.encryption.preference().filter(|_| kind == Kind::Encrypted);
            let offer = preference.map(|preference| Offer { skey, preference });
            out.push(Output::Dial(peer, addr, Call { race, offer }));
        }
    }

    /// The peer may want another kind of connection, and is called so at once, if there is one.
    pub(super) fn declined(&mut self, now: Time, peer: PeerId, why: String, out: &mut Vec<Output>) {
        let why = Why::Lost(why);
        let Some(pending) = self.pending.remove(&peer) else {
            return self.drop_peer(now, peer, why, out);
        };
        self.pool.declined(now, pending.addr, pending.by);
        out.push(Output::Tell(Event::Left { peer, addr: pending.addr, why }));
    }

    pub(super) fn encrypted(&mut self, peer: PeerId, method: Method) {
        if let Some(pending) = self.pending.get_mut(&peer) {
            pending.method = Some(method);
        }
    }

    pub(super) fn carried(&mut self, peer: PeerId, by: Transport) {
        if let Some(pending) = self.pending.get_mut(&peer) {
            pending.by = by;
        }
    }

    pub(super) fn dialled(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let nothing_yet =
            self.knows_metadata() && self.picker.have_count() == 0 && !self.is_complete();
        let Some(pending) = self.pending.get_mut(&peer) else { return };
        // Whoever is far is asked to unchoke us before we know what it has: that saves a round
        // trip. aria2 forgets what comes with a handshake: so this is said only while we have no
        // pieces to tell of, and our interest again when we know.
        let guesses = nothing_yet && !self.looks_only && now.since_us(pending.since) >= FAR_US;
        *pending = Pending { since: now, guessed: guesses, ..*pending };
        out.push(Output::Greet(peer, self.handshake));
        if guesses {
            // BEP 3 has it first, and BEP 6 takes it in place of have-none.
            let none = Bytes::from(self.picker.have().to_wire());
            out.push(Output::Send(peer, Message::Bitfield(none)));
            out.push(Output::Send(peer, Message::Interested));
        }
    }

    pub(super) fn accepted(
        &mut self,
        now: Time,
        peer: PeerId,
        from: SocketAddr,
        out: &mut Vec<Output>,
    ) {
        let full = self.sessions.len() + self.pending.len() >= self.peers_max;
        let unwelcome = self.stopping || !self.started || self.pool.is_banned(from);
        if unwelcome || full && !self.make_room(now, out) {
            out.push(Output::HangUp(peer));
            return;
        }
        // It is greeted once it has said by which of its names it knows the torrent.
        self.pending.insert(peer, Pending::new(now, from, true));
    }

    pub(super) fn greeted(
        &mut self,
        now: Time,
        peer: PeerId,
        theirs: &Handshake,
        out: &mut Vec<Output>,
    ) {
        let Some(pending) = self.pending.get(&peer).copied() else { return };
        let twice = || self.sessions.values().any(|s| s.peer_id == theirs.peer_id);
        let known = self.info.hashes.names().any(|name| name == theirs.info_hash);
        if known && pending.came_to_us {
            let Handshake { info_hash, .. } = *theirs;
            out.push(Output::Greet(peer, Handshake { info_hash, ..self.handshake }));
        }
        let why = if !known {
            Some(Why::Fault(Fault::InfoHash))
        } else if theirs.peer_id == self.handshake.peer_id {
            let listening = SocketAddr::new(pending.addr.ip(), self.port);
            self.pool.ban(if pending.came_to_us { listening } else { pending.addr }, false);
            Some(Why::Ourselves)
        } else if twice() {
            Some(Why::Twice)
        } else {
            None
        };
        if let Some(why) = why {
            self.hang_up(now, peer, why, out);
            return;
        }
        self.pending.remove(&peer);
        self.pool.connected(pending.addr);
        if !pending.came_to_us {
            self.pool.took(pending.addr, pending.by);
        }
        let layout = &self.info.layout;
        let mut session = Session::new(now, pending.addr, pending.came_to_us, layout);
        if !pending.came_to_us {
            session.greeted_after(now.since_us(pending.since));
        }
        session.peer_id = theirs.peer_id;
        (session.transport, session.method) = (pending.by, pending.method);
        session.fast = theirs.fast();
        session.v2 = self.info.hashes.v2_on_the_wire() == Some(theirs.info_hash);
        session.interest_guessed = pending.guessed;
        if theirs.extensions() {
            out.push(Output::Send(peer, self.extension_handshake(pending.addr)));
        }
        if pending.guessed {
            let news = self.picker.have().iter().map(|piece| Message::Have(piece as u32));
            out.extend(news.map(|message| Output::Send(peer, message)));
        } else {
            let pieces = self.our_pieces(theirs.fast());
            out.extend(pieces.map(|message| Output::Send(peer, message)));
        }
        if !self.knows_metadata() && !self.looks_only {
            // It will have something for us, and may unchoke us meanwhile.
            (session.we_are_interested, session.interest_guessed) = (true, true);
            out.push(Output::Send(peer, Message::Interested));
        }
        self.tell_port(peer, pending.addr, theirs, out);
        self.sessions.insert(peer, session);
        let Pending { addr, came_to_us, by: transport, method, .. } = pending;
        out.push(Output::Tell(Event::Joined { peer, addr, came_to_us, transport, method }));
        let fact =
            Fact::PeerJoined { peer: peer.0, addr: Addr::from(addr), came_to_us, seed: false };
        self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
        if self.sessions.get(&peer).is_some_and(|session| session.v2) {
            self.may_have_hashes(now, peer, out);
        }
    }

    /// What we say first of a torrent. Whoever has two names is called by the first, and may answer
    /// by the second (BEP 52, "upgrade path").
    pub(super) fn handshake_of(info: &Info, peer_id: [u8; 20]) -> Handshake {
        let handshake = Handshake::new(info.hashes.on_the_wire(), peer_id);
        if info.hashes.v2.is_some() { handshake.with_v2() } else { handshake }
    }

    /// The peer said where it listens. One that came to us is known as that from now on: others will
    /// tell of it, and it need not be called while it is here.
    pub(super) fn heard_where(&mut self, now: Time, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let unknown = session.came_to_us && session.known_as == session.addr;
        let Some(port) = session.listens_on.filter(|port| unknown && *port != 0) else { return };
        let listens_at = SocketAddr::new(session.addr.ip(), port);
        if self.pool.came(now, listens_at) {
            session.known_as = listens_at;
            let (encrypted, by) = (session.method.is_some(), session.transport);
            self.pool.takes(listens_at, encrypted, by);
        }
    }

    /// What we have, in the shortest form that the peer understands.
    fn our_pieces(&self, fast: bool) -> Option<Message> {
        let have = self.picker.have();
        if self.super_seed.is_some() {
            // BEP 16: what there is is shown piece by piece.
            return fast.then_some(Message::HaveNone);
        }
        match (fast, self.picker.have_count()) {
            (true, 0) => Some(Message::HaveNone),
            (true, _) if have.is_full() => Some(Message::HaveAll),
            (false, 0) => None,
            _ => Some(Message::Bitfield(Bytes::from(have.to_wire()))),
        }
    }

    /// What a peer at `addr` is told (BEP 10).
    pub(super) fn extension_handshake(&self, addr: SocketAddr) -> Message {
        let (port, _) = self.ports_for(addr);
        let ours = (METADATA_NAME, METADATA_ID);
        let ids = self.guests.extensions().chain([ours]);
        let handshake = ExtensionHandshake {
            ids: ids.map(|(name, id)| (name.to_owned(), id)).collect(),
            client: Some(self.client.clone()),
            reqq: Some(REQUESTS_QUEUED_MAX as u32),
            port: (port != 0).then_some(port),
            metadata_size: self.metadata_size(),
            upload_only: (self.is_complete() && self.super_seed.is_none()).then_some(true),
        };
        Message::Extended { id: HANDSHAKE_ID, payload: handshake.encode() }
    }
}
