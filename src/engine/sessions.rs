//! [`Sessions`]: the conversations by the number of their peer.
//!
//! Every message looks one up, in swarms of thousands of engines mostly with cold caches: the
//! numbers stand close together, apart from what they name. In a map they would stand between
//! conversations of half a kilobyte.

use super::PeerId;
use super::session::Session;

/// Conversations in order of [`PeerId`].
#[derive(Debug, Default)]
pub(super) struct Sessions {
    ids: Vec<PeerId>,
    #[expect(clippy::vec_box, reason = "half a kilobyte each is not moved when one comes or goes")]
    sessions: Vec<Box<Session>>,
}

impl Sessions {
    pub(super) fn get(&self, peer: &PeerId) -> Option<&Session> {
        self.ids.binary_search(peer).ok().map(|at| &*self.sessions[at])
    }

    pub(super) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Session> {
        self.ids.binary_search(peer).ok().map(|at| &mut *self.sessions[at])
    }

    /// Puts a conversation in. Numbers are never used twice, so nothing is replaced.
    pub(super) fn insert(&mut self, peer: PeerId, session: Session) {
        let at = self.ids.partition_point(|id| *id < peer);
        self.ids.insert(at, peer);
        self.sessions.insert(at, Box::new(session));
    }

    pub(super) fn remove(&mut self, peer: &PeerId) -> Option<Session> {
        let at = self.ids.binary_search(peer).ok()?;
        self.ids.remove(at);
        Some(*self.sessions.remove(at))
    }

    pub(super) const fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &PeerId> {
        self.ids.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().map(|session| &**session)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.sessions.iter_mut().map(|session| &mut **session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Session)> {
        self.ids.iter().zip(self.values())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&PeerId, &mut Session)> {
        self.ids.iter().zip(self.sessions.iter_mut().map(|session| &mut **session))
    }
}
