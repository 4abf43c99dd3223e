//! [`Leech`]: one connection to the seeder; [`Crowd`]: what all of them have in common.

use crate::content::Content;
use crate::frames::{Frames, Heard};
use crate::wants::Wants;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};

/// What is read at once: a few blocks, which stay in the cache.
const READ_BYTES: usize = 256 << 10;
/// Before a connection that failed, or whose seeder has not everything yet, is opened anew.
const RETRY: Duration = Duration::from_millis(200);
/// For the seeder to say what it has.
const PATIENCE: Duration = Duration::from_secs(2);
/// A silent leech says that it lives (BEP 3: about every two minutes).
const KEEP_ALIVE: Duration = Duration::from_secs(100);
const HANDSHAKE_BYTES: usize = 68;
const PROTOCOL: &[u8] = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0";

const CHOKE: u8 = 0;
const UNCHOKE: u8 = 1;
const INTERESTED: u8 = 2;
const HAVE: u8 = 4;
const BITFIELD: u8 = 5;
const REQUEST: u8 = 6;
const EXTENDED: u8 = 20;

/// All leeches.
pub(crate) struct Crowd {
    content: Content,
    count: usize,
    takes: u64,
    taken: Cell<u64>,
    ready: Cell<usize>,
    served: Cell<usize>,
    chokes: Cell<u64>,
    lost: Cell<u64>,
    /// Blocks that nobody had asked for, and bytes that were not as they should be.
    strays: Cell<u64>,
    wrong: Cell<u64>,
    /// The last connection that failed.
    why: RefCell<String>,
    changed: Notify,
    go: watch::Sender<bool>,
    buffer: RefCell<Vec<u8>>,
}

impl Crowd {
    /// `count` leeches, who together take so many bytes of blocks.
    pub(crate) fn new(count: usize, takes: u64, content: Content) -> Self {
        Self {
            content,
            count,
            takes,
            taken: Cell::new(0),
            ready: Cell::new(0),
            served: Cell::new(0),
            chokes: Cell::new(0),
            lost: Cell::new(0),
            strays: Cell::new(0),
            wrong: Cell::new(0),
            why: RefCell::default(),
            changed: Notify::new(),
            go: watch::channel(false).0,
            buffer: RefCell::new(vec![0; READ_BYTES]),
        }
    }

    /// Everybody is connected, and the seeder has everything.
    pub(crate) async fn all_ready(&self) {
        while self.ready.get() < self.count {
            self.changed.notified().await;
        }
    }

    /// All was taken.
    pub(crate) async fn all_taken(&self) {
        while self.taken.get() < self.takes {
            self.changed.notified().await;
        }
    }

    /// From now on everybody is interested.
    pub(crate) fn go(&self) {
        self.go.send_replace(true);
    }

    /// What happened, as JSON.
    pub(crate) fn json(&self, took_s: f64) -> String {
        format!(
            "{{\"leeches\":{},\"ready\":{},\"taken_bytes\":{},\"took_s\":{took_s:.6},\"served\":{},\
             \"chokes\":{},\"lost\":{},\"stray_blocks\":{},\"wrong_parts\":{},\"why\":{:?}}}",
            self.count,
            self.ready.get(),
            self.taken.get(),
            self.served.get(),
            self.chokes.get(),
            self.lost.get(),
            self.strays.get(),
            self.wrong.get(),
            self.why.borrow(),
        )
    }
}

/// One of them.
pub(crate) struct Leech {
    pub(crate) nth: u64,
    pub(crate) from: IpAddr,
    pub(crate) to: SocketAddr,
    pub(crate) info_hash: [u8; 20],
    pub(crate) requests_max: usize,
}

/// What a leech knows of its connection.
struct Talk {
    wants: Wants,
    has: Vec<bool>,
    lacks: usize,
    requests_max: usize,
    interested: bool,
    choked: bool,
    was_served: bool,
    out: Vec<u8>,
}

impl Leech {
    /// Connects for ever.
    pub(crate) async fn attend(self, crowd: Rc<Crowd>) {
        let mut was_served = false;
        loop {
            let pieces = crowd.content.pieces() as usize;
            let mut talk = Talk {
                wants: Wants::new(&crowd.content, self.nth),
                has: vec![false; pieces],
                lacks: pieces,
                requests_max: self.requests_max,
                interested: false,
                choked: true,
                was_served,
                out: Vec::new(),
            };
            let why = self.converse(&crowd, &mut talk).await.err().unwrap_or_default();
            if talk.lacks == 0 {
                crowd.ready.set(crowd.ready.get() - 1);
                crowd.lost.set(crowd.lost.get() + 1);
            }
            was_served = talk.was_served;
            crowd.why.replace(why);
            sleep(RETRY).await;
        }
    }

    async fn converse(&self, crowd: &Crowd, talk: &mut Talk) -> Result<(), String> {
        let said = |why: std::io::Error| why.to_string();
        let socket = TcpSocket::new_v4().map_err(said)?;
        socket.bind(SocketAddr::new(self.from, 0)).map_err(said)?;
        let mut stream = socket.connect(self.to).await.map_err(said)?;
        stream.set_nodelay(true).map_err(said)?;
        timeout(PATIENCE, self.greet(&mut stream)).await.map_err(|_| "no handshake")??;
        let mut frames = Frames::default();
        let heard_all = async {
            while talk.lacks > 0 {
                stream.readable().await.map_err(said)?;
                read(crowd, &stream, &mut frames, talk)?;
            }
            Ok::<_, String>(())
        };
        timeout(PATIENCE, heard_all).await.map_err(|_| "it has not everything")??;
        crowd.ready.set(crowd.ready.get() + 1);
        crowd.changed.notify_waiters();
        let mut go = crowd.go.subscribe();
        let mut alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        loop {
            if *go.borrow_and_update() && !talk.interested {
                talk.interested = true;
                talk.say(INTERESTED, &[]);
            }
            talk.ask(crowd);
            if !talk.out.is_empty() {
                stream.write_all(&talk.out).await.map_err(said)?;
                talk.out.clear();
            }
            tokio::select! {
                ready = stream.readable() => {
                    ready.map_err(said)?;
                    read(crowd, &stream, &mut frames, talk)?;
                }
                _ = go.changed() => {}
                _ = alive.tick() => talk.out.extend([0; 4]),
            }
        }
    }

    /// Both handshakes, and what BEP 10 has us say.
    async fn greet(&self, stream: &mut TcpStream) -> Result<(), String> {
        let mut hello = [PROTOCOL, &self.info_hash].concat();
        hello.extend(format!("-SK0100-{:012}", self.nth).bytes());
        stream.write_all(&hello).await.map_err(|why| why.to_string())?;
        let mut answer = [0; HANDSHAKE_BYTES];
        stream.read_exact(&mut answer).await.map_err(|why| why.to_string())?;
        let is_right = answer[..20] == PROTOCOL[..20] && answer[28..48] == self.info_hash;
        if !is_right {
            return Err("another handshake than ours".to_owned());
        }
        // Not before: aria2 hangs up on who says more than a handshake at first.
        let mut limits = vec![EXTENDED, 0];
        limits.extend(format!("d1:mde4:reqqi{}e1:v11:rtor-sink 1e", self.requests_max).bytes());
        let mut framed = (limits.len() as u32).to_be_bytes().to_vec();
        framed.append(&mut limits);
        stream.write_all(&framed).await.map_err(|why| why.to_string())
    }
}

/// Takes what is there to be read.
fn read(
    crowd: &Crowd,
    stream: &TcpStream,
    frames: &mut Frames,
    talk: &mut Talk,
) -> Result<(), String> {
    let mut buffer = crowd.buffer.borrow_mut();
    let count = match stream.try_read(&mut buffer) {
        Ok(0) => return Err("it closed the connection".to_owned()),
        Ok(count) => count,
        Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
        Err(why) => return Err(why.to_string()),
    };
    frames.feed(&buffer[..count], &mut |heard| talk.hear(crowd, &heard))
}

impl Talk {
    fn hear(&mut self, crowd: &Crowd, heard: &Heard<'_>) {
        match *heard {
            Heard::Part { piece, offset, from, bytes } => {
                if !crowd.content.is_right(piece, offset, from, bytes) {
                    crowd.wrong.set(crowd.wrong.get() + 1);
                }
            }
            Heard::Block { piece, offset, length } => {
                let (asked, whole) = self.wants.came((piece, offset, length));
                if !asked {
                    return crowd.strays.set(crowd.strays.get() + 1);
                }
                if !std::mem::replace(&mut self.was_served, true) {
                    crowd.served.set(crowd.served.get() + 1);
                }
                crowd.taken.set(crowd.taken.get() + u64::from(length));
                if crowd.taken.get() >= crowd.takes {
                    crowd.changed.notify_waiters();
                }
                if whole {
                    self.say(HAVE, &[piece]);
                }
            }
            Heard::Message { id, payload } => self.hear_message(crowd, id, payload),
        }
    }

    fn hear_message(&mut self, crowd: &Crowd, id: u8, payload: &[u8]) {
        match id {
            CHOKE => {
                crowd.chokes.set(crowd.chokes.get() + 1);
                self.choked = true;
                self.wants.choked();
            }
            UNCHOKE => self.choked = false,
            BITFIELD => {
                let set = |at: &usize| {
                    payload.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
                };
                (0..self.has.len()).filter(set).for_each(|at| self.it_has(at));
            }
            HAVE => {
                let piece = payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                piece.into_iter().for_each(|piece| self.it_has(piece as usize));
            }
            EXTENDED => self.mind_reqq(payload),
            _ => {}
        }
    }

    fn it_has(&mut self, piece: usize) {
        if let Some(has) = self.has.get_mut(piece)
            && !std::mem::replace(has, true)
        {
            self.lacks -= 1;
        }
    }

    /// Asks for no more at once than the seeder says that it queues: a look for the number is enough
    /// in a dictionary whose writers we know.
    fn mind_reqq(&mut self, payload: &[u8]) {
        let key = b"4:reqqi";
        let at = payload.windows(key.len()).position(|window| window == key);
        let Some(digits) = at.map(|at| &payload[at + key.len()..]) else { return };
        let number = digits.iter().take_while(|byte| byte.is_ascii_digit()).take(9);
        let reqq = number.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        self.requests_max = self.requests_max.min(reqq.max(1));
    }

    fn ask(&mut self, crowd: &Crowd) {
        let all_taken = crowd.taken.get() >= crowd.takes;
        if !self.interested || self.choked || all_taken {
            return;
        }
        for (piece, offset, length) in self.wants.next(&crowd.content, self.requests_max) {
            self.say(REQUEST, &[piece, offset, length]);
        }
    }

    fn say(&mut self, id: u8, numbers: &[u32]) {
        self.out.extend((1 + numbers.len() as u32 * 4).to_be_bytes());
        self.out.push(id);
        numbers.iter().for_each(|number| self.out.extend(number.to_be_bytes()));
    }
}
