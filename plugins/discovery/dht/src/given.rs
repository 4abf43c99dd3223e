//! [`Given`]: what a person typed behind `dht:`, and the nodes that everybody begins with.

use rtor_plugin::Options;

/// Nodes that have been there for years, run by those who make clients.
const BOOTSTRAP: &str = "router.bittorrent.com:6881+dht.transmissionbt.com:6881+\
                         dht.libtorrent.org:25401+router.utorrent.com:6881";
/// Bootstrap nodes that are taken.
const BOOTSTRAP_MAX: usize = 16;

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Hosts, without brackets, and ports.
    pub(crate) bootstrap: Vec<(String, u16)>,
    /// To ask and not to answer (BEP 43).
    pub(crate) read_only: bool,
}

impl Given {
    /// # Errors
    /// A sentence for whoever typed them.
    pub(crate) fn read(options: Options<'_>) -> Result<Self, String> {
        options.only(&["bootstrap", "read-only"])?;
        let read_only = match options.value("read-only") {
            None => false,
            Some("" | "yes") => true,
            Some("no") => false,
            Some(other) => return Err(format!("`read-only={other}` is neither yes nor no")),
        };
        let listed = options.value("bootstrap").unwrap_or(BOOTSTRAP);
        let nodes = listed.split('+').filter(|node| !node.is_empty());
        let bootstrap = nodes.map(node).collect::<Result<Vec<_>, _>>()?;
        if bootstrap.len() > BOOTSTRAP_MAX {
            return Err(format!("more than {BOOTSTRAP_MAX} nodes to begin with are too many"));
        }
        Ok(Self { bootstrap, read_only })
    }
}

fn node(text: &str) -> Result<(String, u16), String> {
    let no_node = || format!("`{text}` is no node: router.example:6881 is one");
    let (host, port) = text.rsplit_once(':').ok_or_else(no_node)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(no_node)?;
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '/';
    if host.is_empty() || host.contains(odd) {
        return Err(no_node());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Given, String> {
        Given::read(Options::new(text))
    }

    #[test]
    fn nodes_to_begin_with_are_those_of_the_option_or_the_well_known() {
        let given = read("").expect("nothing has to be said");
        assert_eq!(given.bootstrap.len(), 4);
        assert!(!given.read_only);
        let given = read("bootstrap=10.0.0.1:1+[::1]:2+a.example:3,read-only").expect("options");
        let nodes = [("10.0.0.1", 1), ("::1", 2), ("a.example", 3)];
        assert_eq!(given.bootstrap, nodes.map(|(host, port)| (host.to_owned(), port)));
        assert!(given.read_only);
        assert_eq!(read("bootstrap=").expect("none").bootstrap, []);
    }

    #[test]
    fn what_is_no_option_says_why() {
        for (text, why) in [
            ("bootstrap=x", "`x` is no node: router.example:6881 is one"),
            ("bootstrap=x:0", "`x:0` is no node: router.example:6881 is one"),
            ("bootstrap=:1", "`:1` is no node: router.example:6881 is one"),
            ("bootstrap=a b:1", "`a b:1` is no node: router.example:6881 is one"),
            ("read-only=maybe", "`read-only=maybe` is neither yes nor no"),
            ("port=1", "unknown option `port`: it takes bootstrap, read-only"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()));
        }
        let many = format!("bootstrap={}", "a:1+".repeat(17));
        assert_eq!(read(&many), Err("more than 16 nodes to begin with are too many".to_owned()));
    }
}
