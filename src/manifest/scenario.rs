//! [`Scenario`]: the file that `rtor sim` reads, TOML or JSON.
//!
//! Values are checked as they are read, so that a refusal names the line: quantities as people
//! type them (`64KiB`, `10M` bytes a second, `30s`, `5%`), each with a least and a most. Which
//! keys there are, and what each means without being set, is here and in `docs/SIM.md`.

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;

/// Bytes that a scenario may have.
pub const SCENARIO_BYTES_MAX: u64 = 1 << 20;
/// Groups of a scenario.
const GROUPS_MAX: usize = 100;
/// Nodes of all groups together.
const NODES_MAX: u64 = 20_000;
/// Nodes times pieces: each node knows of each piece.
const NODES_BY_PIECES_MAX: u64 = 100_000_000;
/// Microseconds in a second.
const SECOND_US: u64 = 1_000_000;
/// The longest duration.
const DAY_US: u64 = 86_400 * SECOND_US;

/// A swarm to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the result calls it; the file's name if it does not say.
    #[serde(default)]
    pub name: Option<String>,
    /// Chance.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// What is shared.
    pub torrent: Torrent,
    /// When it ends.
    #[serde(default)]
    pub run: Run,
    /// What all nodes have in common.
    #[serde(default)]
    pub swarm: Swarm,
    /// Who takes part.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
}

/// `[torrent]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torrent {
    /// Pieces.
    pub pieces: Count<1, 1_000_000>,
    /// Bytes of a piece.
    pub piece_length: Size<16_384, 67_108_864>,
}

/// `[run]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// It ends then at the latest.
    pub limit: Span,
    /// It ends when nobody got a piece for so long.
    pub idle: Span,
}

impl Default for Run {
    fn default() -> Self {
        Self { limit: Span(3600 * SECOND_US), idle: Span(300 * SECOND_US) }
    }
}

/// `[swarm]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Swarm {
    /// Connections of a node at once.
    pub connections: Count<1, 1000>,
    /// Others that the tracker names in one answer.
    pub told: Count<1, 1000>,
    /// How often a node asks it.
    pub announce: Span,
    /// Discovery plugins of every node, `NAME[:key=value,..]`; none: each node is told of others.
    pub discover: Vec<String>,
}

impl Default for Swarm {
    fn default() -> Self {
        let (connections, told, announce) = (Count(50), Count(50), Span(60 * SECOND_US));
        Self { connections, told, announce, discover: Vec::new() }
    }
}

/// `[[group]]`: nodes that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What the result calls it.
    pub name: String,
    /// Nodes.
    #[serde(default = "defaults::one")]
    pub count: Count<1, 20_000>,
    /// Whether they have everything from the start.
    pub role: Role,
    /// Of a leech: the share of the pieces that each has from the start, drawn by chance.
    #[serde(default)]
    pub have: Share<999_999>,
    /// Bytes a second that each can send.
    pub up: Size<1000, 100_000_000_000>,
    /// Bytes a second that each can receive.
    pub down: Size<1000, 100_000_000_000>,
    /// From each to the middle of the network, one way.
    #[serde(default = "defaults::latency")]
    pub latency: Latency,
    /// Share of the packets that are lost on its way to or from the middle.
    #[serde(default)]
    pub loss: Share<300_000>,
    /// What each does with requests.
    #[serde(default)]
    pub manner: Manner,
    /// The order of pieces: a strategy plugin.
    #[serde(default = "defaults::strategy")]
    pub strategy: String,
    /// When they come.
    #[serde(default)]
    pub joins: Joins,
    /// When they leave.
    #[serde(default)]
    pub leaves: Leaves,
    /// They leave without a word, rather than close their connections.
    #[serde(default)]
    pub vanishes: bool,
    /// They come and go until they have everything.
    #[serde(default)]
    pub churn: Option<Churn>,
}

/// Whether a node has everything from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It has.
    Seed,
    /// It has not.
    Leech,
}

/// What a node does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Answers them.
    #[default]
    Honest,
    /// Answers this share of them with wrong bytes.
    Liar(Share<1_000_000>),
    /// Answers so many, then none, and stays.
    Staller(Count<0, 1_000_000_000>),
    /// Never lets anybody ask.
    FreeRider,
    /// A seed that shows each peer one piece at a time (BEP 16).
    SuperSeed,
}

/// Coming and going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// Mean time here.
    pub stays: Span,
    /// Mean time away.
    pub away: Span,
}

/// What a key means that is left out.
mod defaults {
    use super::{Count, Latency};

    pub(super) const fn seed() -> u64 {
        1
    }

    pub(super) const fn one() -> Count<1, 20_000> {
        Count(1)
    }

    pub(super) const fn latency() -> Latency {
        Latency(20_000)
    }

    pub(super) fn strategy() -> String {
        "rarest".to_owned()
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const LEAST: u64, const MOST: u64>(pub u64);

/// Bytes, or bytes a second: `64KiB`, `10M`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const LEAST: u64, const MOST: u64>(pub u64);

/// A share in millionths: `5%`, or a number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share<const MOST: u32>(pub u32);

/// A duration in microseconds, more than none and at most a day: `30s`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

/// A duration in microseconds, none to 10 seconds: `20ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency(pub u64);

/// When nodes come, in microseconds: `10s`, or each at a moment of `0s..10s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joins {
    /// The soonest.
    pub first: u64,
    /// The latest.
    pub last: u64,
}

/// When nodes leave: `never`, `after 30s`, `when complete`, `30s after complete`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaves {
    /// They stay.
    #[default]
    Never,
    /// So many microseconds after they came.
    After(u64),
    /// So many microseconds after they had everything.
    Complete(u64),
}

/// A value that may be a string or a number.
struct Either<F, G> {
    wanted: &'static str,
    text: F,
    number: G,
}

impl<T, F, G> Visitor<'_> for Either<F, G>
where
    F: Fn(&str) -> Option<T>,
    G: Fn(f64) -> Option<T>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).ok_or_else(|| E::custom(format!("`{text}` is not {}", self.wanted)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        (self.number)(number).ok_or_else(|| E::custom(format!("`{number}` is not {}", self.wanted)))
    }
}

/// Bytes as people type them.
fn bytes(text: &str) -> Option<u64> {
    text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64())
}

/// A duration as people type it, in microseconds.
fn span_us(text: &str) -> Option<u64> {
    let span: Duration = humantime::parse_duration(text.trim()).ok()?;
    u64::try_from(span.as_micros()).ok().filter(|us| *us <= DAY_US)
}

fn whole(number: f64) -> Option<u64> {
    // Beyond 2^53 a float is not what was typed.
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Count<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = "a whole number";
        let number =
            from.deserialize_any(Either { wanted, text: |_: &str| None, number: whole })?;
        within(number, LEAST, MOST).map(Self).map_err(D::Error::custom)
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Size<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = "a number of bytes like `64KiB` or `10M`";
        let number = from.deserialize_any(Either { wanted, text: bytes, number: whole })?;
        within(number, LEAST, MOST).map(Self).map_err(D::Error::custom)
    }
}

fn within(number: u64, least: u64, most: u64) -> Result<u64, String> {
    match number {
        n if n < least => Err(format!("`{n}` is too little: at least `{least}`")),
        n if n > most => Err(format!("`{n}` is too much: at most `{most}`")),
        n => Ok(n),
    }
}

impl<'de, const MOST: u32> Deserialize<'de> for Share<MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let millionths =
            |share: f64| (0.0..=1.0).contains(&share).then(|| (share * 1e6).round() as u32);
        let percent = |text: &str| {
            let number: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
            millionths(number / 100.0)
        };
        let wanted = "a share like `5%` or `0.05`";
        let ppm = from.deserialize_any(Either { wanted, text: percent, number: millionths })?;
        if ppm > MOST {
            let most = f64::from(MOST) / 1e4;
            let given = f64::from(ppm) / 1e4;
            return Err(D::Error::custom(format!("`{given}%` is too much: at most `{most}%`")));
        }
        Ok(Self(ppm))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = "a time like `30s` or `5m`, more than none and at most a day";
        let text = |text: &str| span_us(text).filter(|us| *us > 0);
        from.deserialize_any(Either { wanted, text, number: |_| None }).map(Self)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = "a latency like `20ms`, at most 10 seconds";
        let text = |text: &str| span_us(text).filter(|us| *us <= 10 * SECOND_US);
        from.deserialize_any(Either { wanted, text, number: |_| None }).map(Self)
    }
}

impl<'de> Deserialize<'de> for Joins {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = "a moment like `10s`, or two like `0s..10s`, at most a day";
        let text = |text: &str| {
            let (first, last) = text.split_once("..").unwrap_or((text, text));
            let joins = Self { first: span_us(first)?, last: span_us(last)? };
            (joins.first <= joins.last).then_some(joins)
        };
        from.deserialize_any(Either { wanted, text, number: |_| None })
    }
}

impl<'de> Deserialize<'de> for Leaves {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wanted = "`never`, `after 30s`, `when complete` or `30s after complete`";
        let text = |text: &str| match text {
            "never" => Some(Self::Never),
            "when complete" => Some(Self::Complete(0)),
            _ => match (text.strip_prefix("after "), text.strip_suffix(" after complete")) {
                (Some(span), _) => span_us(span).map(Self::After),
                (None, Some(span)) => span_us(span).map(Self::Complete),
                (None, None) => None,
            },
        };
        from.deserialize_any(Either { wanted, text, number: |_| None })
    }
}

impl Scenario {
    /// Reads TOML, or JSON if it begins with `{`.
    ///
    /// # Errors
    /// A sentence that names the line, and what is wrong there.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
        let scenario: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|why| why.to_string())?
        } else {
            toml::from_str(text).map_err(|why| {
                let at = why.span().map_or(0, |span| span.start.min(text.len()));
                let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                // One sentence: what is allowed may stand on a line of its own.
                format!("line {line}: {}", why.message().trim().replace('\n', ", "))
            })?
        };
        scenario.check()?;
        Ok(scenario)
    }

    /// What no single value shows.
    fn check(&self) -> Result<(), String> {
        let nodes: u64 = self.groups.iter().map(|group| group.count.0).sum();
        if self.groups.is_empty() || self.groups.len() > GROUPS_MAX {
            let groups = self.groups.len();
            return Err(format!("`{groups}` groups, where 1 to {GROUPS_MAX} may be"));
        }
        if nodes > NODES_MAX {
            return Err(format!("`{nodes}` nodes in all groups, where at most {NODES_MAX} may be"));
        }
        let product = nodes * self.torrent.pieces.0;
        if product > NODES_BY_PIECES_MAX {
            let most = NODES_BY_PIECES_MAX;
            return Err(format!("`{product}` nodes times pieces, where at most {most} may be"));
        }
        for (number, group) in self.groups.iter().enumerate() {
            let name = &group.name;
            if self.groups[..number].iter().any(|other| other.name == *name) {
                return Err(format!("two groups are called `{name}`"));
            }
            if group.role == Role::Seed && group.have.0 > 0 {
                return Err(format!("`have` in group `{name}`: a seed has everything"));
            }
            if group.churn.is_some() && group.leaves != Leaves::Never {
                return Err(format!("`leaves` and `churn` in group `{name}`: only one may be"));
            }
            if group.role == Role::Seed && matches!(group.leaves, Leaves::Complete(_)) {
                return Err(format!(
                    "`leaves` in group `{name}`: a seed is complete from the start, so say `after`"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        [torrent]
        pieces = 4
        piece_length = "32KiB"
        [[group]]
        name = "a"
        role = "seed"
        up = "1M"
        down = 2000000
        loss = 0.01
        manner = { liar = "30%" }
        joins = "1s..2s"
        leaves = "after 1m"
    "#;

    #[test]
    fn people_write_quantities() {
        let scenario = Scenario::parse(SMALL.as_bytes()).expect("it is a scenario");
        let group = &scenario.groups[0];
        assert_eq!((group.up.0, group.down.0, group.loss.0), (1_000_000, 2_000_000, 10_000));
        assert_eq!(group.manner, Manner::Liar(Share(300_000)));
        assert_eq!(group.joins, Joins { first: SECOND_US, last: 2 * SECOND_US });
        assert_eq!(group.leaves, Leaves::After(60 * SECOND_US));
        assert_eq!((group.latency, group.count), (Latency(20_000), Count(1)));
        assert_eq!((scenario.seed, scenario.torrent.piece_length.0), (1, 32_768));
    }

    #[test]
    fn json_says_the_same() {
        let json = br#"{"torrent": {"pieces": 4, "piece_length": "32KiB"}, "group": [
            {"name": "a", "role": "seed", "up": "1M", "down": 2000000, "loss": "1%",
             "manner": {"liar": 0.3}, "joins": "1s..2s", "leaves": "after 1m"}]}"#;
        assert_eq!(Scenario::parse(json), Scenario::parse(SMALL.as_bytes()));
    }

    #[test]
    fn a_refusal_names_the_line_and_what_is_allowed() {
        let cases = [
            ("pieces = 4", "pieces = 0", "line 3: `0` is too little: at least `1`"),
            ("\"1M\"", "\"1 Q\"", "line 8: `1 Q` is not a number of bytes like `64KiB` or `10M`"),
            ("name = ", "nome = ", "line 6: unknown field `nome`, expected one of `name`,"),
            ("\"seed\"", "\"sed\"", "line 7: unknown variant `sed`, expected `seed` or `leech`"),
            ("0.01", "0.5", "line 10: `50%` is too much: at most `30%`"),
            ("after 1m", "later", "line 13: `later` is not `never`, `after 30s`,"),
            ("\"seed\"", "\"seed\"\nhave = 0.5", "`have` in group `a`: a seed has everything"),
        ];
        for (from, to, wanted) in cases {
            let said = Scenario::parse(SMALL.replacen(from, to, 1).as_bytes());
            let said = said.expect_err("it is wrong");
            assert!(said.starts_with(wanted), "{said}");
        }
    }
}
