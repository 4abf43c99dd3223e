//! Scrapes over HTTP: what a tracker knows of a swarm, asked by nobody who is in it (BEP 48).

use crate::announce::{Failure, Reply, words};
use crate::http::{encode, judged};
use rtor_plugin::bencode::{Malformed, Reader, Token};

/// How the last part of an announce URL's path begins if the tracker can be scraped.
const ANNOUNCE: &str = "announce";

/// The URL that asks the tracker with the announce URL `base` of `info_hash`; `None` if by BEP 48
/// there is none.
pub(crate) fn url(base: &str, info_hash: &[u8; 20]) -> Option<String> {
    let base = base.split('#').next().unwrap_or_default();
    let (path, query) = match base.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (base, None),
    };
    let (folder, last) = path.rsplit_once('/')?;
    let ending = last.strip_prefix(ANNOUNCE)?;
    let mut url = format!("{folder}/scrape{ending}?");
    if let Some(query) = query {
        url.push_str(query);
        url.push('&');
    }
    url.push_str("info_hash=");
    encode(&mut url, info_hash);
    Some(url)
}

/// Reads what came back of `info_hash`: a reply that has only the counts.
///
/// # Errors
/// One sentence: the tracker's own reason, or what is wrong with the reply.
pub(crate) fn reply(status: u32, body: &[u8], info_hash: &[u8; 20]) -> Result<Reply, Failure> {
    judged(status, read(body, info_hash))
}

fn read(body: &[u8], info_hash: &[u8; 20]) -> Result<Result<Reply, Failure>, Malformed> {
    let mut reader = Reader::new(body);
    if reader.token()? != Token::Dict {
        return Err(Malformed(0));
    }
    let (mut found, mut reason) = (None, None);
    while let Some(key) = reader.key()? {
        match (key, reader.token()?) {
            (b"failure reason", Token::Bytes(text)) => reason = Some(words(text)),
            (b"files", Token::Dict) => {
                while let Some(hash) = reader.key()? {
                    match reader.token()? {
                        Token::Dict if hash == info_hash => found = Some(counts(&mut reader)?),
                        value => reader.skip(value)?,
                    }
                }
            }
            (_, value) => reader.skip(value)?,
        }
    }
    Ok(match (reason, found) {
        (Some(why), _) => Err(why.into()),
        (None, Some(reply)) => Ok(reply),
        (None, None) => Err("the tracker does not know this torrent".into()),
    })
}

/// One torrent's dictionary, which has begun.
fn counts(reader: &mut Reader<'_>) -> Result<Reply, Malformed> {
    let mut reply = Reply::default();
    while let Some(key) = reader.key()? {
        match (key, reader.token()?) {
            (b"complete", Token::Int(count)) => reply.seeds = count.try_into().ok(),
            (b"incomplete", Token::Int(count)) => reply.leeches = count.try_into().ok(),
            (b"downloaded", Token::Int(count)) => reply.downloads = count.try_into().ok(),
            (_, value) => reader.skip(value)?,
        }
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 20] = *b"aaaaaaaaaaaaaaaaaaaa";

    /// The examples of the convention on which BEP 48 builds.
    #[test]
    fn the_url_is_made_of_the_announce_url() {
        for (announce, scrape) in [
            ("http://t.example/announce", Some("http://t.example/scrape?")),
            ("http://t.example/x/announce", Some("http://t.example/x/scrape?")),
            ("http://t.example/announce.php", Some("http://t.example/scrape.php?")),
            ("http://t.example/a", None),
            ("http://t.example/announce?x2%0644", Some("http://t.example/scrape?x2%0644&")),
            ("http://t.example/announce?x=2/4", Some("http://t.example/scrape?x=2/4&")),
            ("http://t.example/x%064announce", None),
        ] {
            let expected = scrape.map(|url| format!("{url}info_hash=aaaaaaaaaaaaaaaaaaaa"));
            assert_eq!(url(announce, &HASH), expected, "{announce}");
        }
    }

    #[test]
    fn the_counts_of_our_torrent_are_read() {
        let body = b"d5:filesd20:bbbbbbbbbbbbbbbbbbbbd8:completei9ee\
            20:aaaaaaaaaaaaaaaaaaaad8:completei5e10:downloadedi50e10:incompletei10e4:name1:xee\
            5:flagsd20:min_request_intervali3600eee";
        let reply = reply(200, body, &HASH).expect("it is good");
        let counts = (reply.seeds, reply.leeches, reply.downloads);
        assert_eq!(counts, (Some(5), Some(10), Some(50)));
    }

    #[test]
    fn what_is_no_answer_is_one_sentence() {
        let unknown = "the tracker does not know this torrent";
        for (status, body, why) in [
            (200, &b"d5:filesdee"[..], unknown),
            (200, b"d5:filesd20:aaaaaaaaaaaaaaaaaaaai1eee", unknown),
            (200, b"d14:failure reason2:noe", "no"),
            (200, b"<html>", "the tracker's reply is not bencode (at byte 0)"),
            (404, b"<html>", "the tracker answered with HTTP status 404"),
        ] {
            assert_eq!(reply(status, body, &HASH), Err(why.into()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_near_bencode_make_it_panic(
            body in "d(5:filesd?|20:a{20}|8:complete|i-?[0-9]{0,20}e|l|d|e|[0-9]{1,3}:[a-z]{0,9}){0,30}",
        ) {
            let _ = reply(200, body.as_bytes(), &HASH);
        }
    }
}
