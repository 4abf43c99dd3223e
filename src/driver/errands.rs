//! [`Errands`]: what guests want of the world and wait for: pages and addresses.

use crate::engine::Input;
use crate::net::LookUp;
use crate::net::http::{Http, TRACKER_BYTES_MAX};
use tokio::sync::mpsc;

/// Addresses of one name that are taken for nodes: a torrent may name anybody.
const NODE_ADDRS_MAX: usize = 4;

/// Runs errands; each answer arrives where [`Errands::new`] says.
pub(super) struct Errands {
    http: Http,
    answers: mpsc::UnboundedSender<Input>,
}

impl Errands {
    /// With the other end of where answers go.
    pub(super) fn new(http: Http) -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (answers, received) = mpsc::unbounded_channel();
        (Self { http, answers }, received)
    }

    /// An answer that needs no errand.
    pub(super) fn answer(&self, input: Input) {
        // A loop that is gone needs no answer.
        let _ = self.answers.send(input);
    }

    pub(super) fn http_get(&self, guest: usize, ticket: u64, url: String, family: Option<u8>) {
        let (http, answers) = (self.http.clone(), self.answers.clone());
        tokio::spawn(async move {
            let reply = http.fetch_over(family, &url, TRACKER_BYTES_MAX).await;
            let reply = reply.map(|(status, body)| (u32::from(status), body));
            let reply = reply.map_err(|error| error.to_string());
            let _ = answers.send(Input::HttpReplied(guest, ticket, reply));
        });
    }

    pub(super) fn resolve(&self, guest: usize, ticket: u64, look_up: LookUp) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let _ = answers.send(Input::Resolved(guest, ticket, look_up.await));
        });
    }

    /// Nobody waits for a node: one whose name is unknown is no news.
    pub(super) fn find_node(&self, look_up: LookUp) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let found = look_up.await.unwrap_or_default();
            for addr in found.into_iter().take(NODE_ADDRS_MAX) {
                let _ = answers.send(Input::NodeFound(addr));
            }
        });
    }
}
