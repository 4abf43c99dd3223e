//! [`Outgoing`]: what one turn has to say to a peer; [`Unsent`]: what a connection has still to
//! send.
//!
//! Where a rate is limited, blocks wait; what else there is to say goes before them, as our
//! requests must not wait for what others want of us. All of that keeps its order, and nothing goes before a
//! `choke`: who hears it expects no block behind it.

use crate::wire::{Handshake, Message};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// What a slice is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Messages that may go before blocks.
    Small,
    /// Messages before which nothing goes.
    Barrier,
    /// The beginning of a message with a block.
    Head,
    /// The block.
    Block,
}

/// Bytes for one peer.
#[derive(Debug, Default)]
pub struct Outgoing {
    parts: Vec<(Part, Bytes)>,
    small: BytesMut,
}

impl Outgoing {
    /// Appends a handshake.
    pub fn greet(&mut self, handshake: &Handshake) {
        self.small.extend_from_slice(&handshake.encode());
    }

    /// Appends a message; a block's data is not copied.
    pub fn say(&mut self, message: &Message) {
        match message {
            Message::Piece { data, .. } => {
                self.seal(Part::Small);
                message.encode_head(&mut self.small);
                self.seal(Part::Head);
                self.parts.push((Part::Block, data.clone()));
            }
            Message::Choke => {
                self.seal(Part::Small);
                message.encode(&mut self.small);
                self.seal(Part::Barrier);
            }
            _ => message.encode(&mut self.small),
        }
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.small.is_empty()
    }

    /// Nothing more is said.
    pub(super) fn end(&mut self) {
        self.seal(Part::Small);
    }

    /// Bytes of all that was said before its [`end`](Self::end).
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Takes its first bytes off, up to so many; what is next to each other only.
    pub(super) fn take(&mut self, bytes_max: usize) -> Bytes {
        let Some((_, first)) = self.parts.first_mut() else { return Bytes::new() };
        let taken = first.split_to(first.len().min(bytes_max));
        if first.is_empty() {
            self.parts.remove(0);
        }
        taken
    }

    fn seal(&mut self, part: Part) {
        if !self.small.is_empty() {
            self.parts.push((part, self.small.split().freeze()));
        }
    }
}

/// What is taken to be sent at once.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) slices: VecDeque<Bytes>,
    pub(super) bytes: usize,
    /// Blocks that end in it.
    pub(super) blocks: usize,
    /// A part of a block's message is in it.
    pub(super) has_block: bool,
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    parts: VecDeque<(Part, Bytes)>,
    /// The first part is the rest of one.
    begun: bool,
}

impl Unsent {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Appends what a turn had to say; small messages go before blocks that wait, if they may
    /// `overtake` them.
    pub(super) fn append(&mut self, outgoing: Outgoing, overtake: bool) {
        for (part, bytes) in outgoing.parts {
            let at = match part {
                Part::Small if overtake => self.before_blocks(),
                _ => self.parts.len(),
            };
            self.parts.insert(at, (part, bytes));
        }
    }

    /// Before the blocks that come last.
    fn before_blocks(&self) -> usize {
        let mut at = self.parts.len();
        while at >= 2 && self.parts[at - 1].0 == Part::Block && self.parts[at - 2].0 == Part::Head {
            if at == 2 && self.begun {
                break;
            }
            at -= 2;
        }
        at
    }

    /// Takes what is to be sent next: `bytes_max`, or all.
    pub(super) fn take(&mut self, bytes_max: Option<usize>) -> Taken {
        let mut taken = Taken::default();
        let bytes_max = bytes_max.unwrap_or(usize::MAX);
        while taken.bytes < bytes_max
            && let Some((part, first)) = self.parts.front_mut()
        {
            let count = first.len().min(bytes_max - taken.bytes);
            taken.bytes += count;
            taken.has_block |= matches!(part, Part::Head | Part::Block);
            if count < first.len() {
                taken.slices.push_back(first.split_to(count));
                self.begun = true;
                break;
            }
            taken.blocks += usize::from(*part == Part::Block);
            taken.slices.extend(self.parts.pop_front().map(|(_, bytes)| bytes));
            // Behind its head a block is the rest of its message.
            self.begun = self.parts.front().is_some_and(|(part, _)| *part == Part::Block);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame;
    use proptest::prelude::*;

    fn piece(index: u32) -> Message {
        Message::Piece { index, offset: 0, data: Bytes::from(vec![index as u8; 20]) }
    }

    fn said(messages: &[Message]) -> Outgoing {
        let mut outgoing = Outgoing::default();
        messages.iter().for_each(|message| outgoing.say(message));
        outgoing.end();
        outgoing
    }

    /// All messages, in the order in which they are sent, in portions of so many bytes.
    fn sent(unsent: &mut Unsent, portion: usize) -> Vec<Message> {
        let mut all = BytesMut::new();
        while !unsent.is_empty() {
            let taken = unsent.take(Some(portion));
            assert_eq!(taken.slices.iter().map(Bytes::len).sum::<usize>(), taken.bytes);
            taken.slices.iter().for_each(|slice| all.extend_from_slice(slice));
        }
        messages(&mut all)
    }

    fn messages(bytes: &mut BytesMut) -> Vec<Message> {
        let frames = std::iter::from_fn(|| frame::split(bytes).expect("frames"));
        frames.map(|frame| Message::decode(frame).expect("a message")).collect()
    }

    #[test]
    fn small_messages_go_before_blocks_that_wait_and_never_before_a_choke() {
        let mut unsent = Unsent::default();
        unsent.append(said(&[Message::Unchoke, piece(1), piece(2)]), true);
        // The first block is on its way already.
        assert_eq!(unsent.take(Some(5 + 13 + 3)).blocks, 0);
        unsent.append(said(&[Message::Have(7)]), true);
        unsent.append(said(&[Message::Have(8), piece(3)]), true);
        unsent.append(said(&[Message::Choke, Message::Have(9)]), true);
        unsent.append(said(&[Message::Unchoke, piece(4)]), true);
        let rest = unsent.take(Some(17)).bytes;
        assert_eq!(rest, 17);
        let order = [
            Message::Have(7),
            Message::Have(8),
            piece(2),
            piece(3),
            Message::Choke,
            Message::Have(9),
            Message::Unchoke,
            piece(4),
        ];
        assert_eq!(sent(&mut unsent, 11), order);
    }

    #[test]
    fn without_a_limit_everything_keeps_its_order() {
        let mut unsent = Unsent::default();
        let first = [piece(1), Message::Have(3)];
        unsent.append(said(&first), false);
        unsent.append(said(&[Message::Interested]), false);
        let taken = unsent.take(None);
        assert_eq!((taken.blocks, taken.has_block, unsent.is_empty()), (1, true, true));
        let mut all = BytesMut::new();
        taken.slices.iter().for_each(|slice| all.extend_from_slice(slice));
        assert_eq!(messages(&mut all), [&first[..], &[Message::Interested]].concat());
    }

    proptest! {
        /// No message is torn, lost or doubled, wherever portions end and more is said.
        #[test]
        fn every_message_is_sent_once_and_whole(
            turns in prop::collection::vec(prop::collection::vec(0_u32..60, 1..6), 1..12),
            portions in prop::collection::vec(1_usize..70, 1..12),
        ) {
            let mut unsent = Unsent::default();
            let (mut all, mut wanted) = (BytesMut::new(), Vec::new());
            let mut blocks = 0;
            for (turn, portion) in turns.iter().zip(portions.iter().cycle()) {
                let message = |n: &u32| match n % 3 {
                    0 => piece(*n),
                    1 => Message::Have(*n),
                    _ if n % 9 == 2 => Message::Choke,
                    _ => Message::Unchoke,
                };
                let messages: Vec<Message> = turn.iter().map(message).collect();
                unsent.append(said(&messages), true);
                wanted.extend(messages);
                let taken = unsent.take(Some(*portion));
                blocks += taken.blocks;
                taken.slices.iter().for_each(|slice| all.extend_from_slice(slice));
            }
            let taken = unsent.take(None);
            blocks += taken.blocks;
            taken.slices.iter().for_each(|slice| all.extend_from_slice(slice));
            let got = messages(&mut all);
            let is_block = |message: &&Message| matches!(message, Message::Piece { .. });
            prop_assert_eq!(got.iter().filter(is_block).count(), blocks);
            // Blocks among themselves, and all else, keep their order.
            let split = |messages: &[Message]| -> (Vec<Message>, Vec<Message>) {
                messages.iter().cloned().partition(|message| is_block(&message))
            };
            prop_assert_eq!(split(&got), split(&wanted));
        }
    }
}
