//! [`Router`]: a home behind a router that translates addresses, and the world before it.
//!
//! Three namespaces and Debian's miniupnpd with the kernel's own NAT between them: what is mapped is
//! passed on indeed, and what is not, is not. Who is at home calls nobody at [`PORT`](super::peer::PORT)
//! outside, so that a client of the world that meets one at home has come in from outside.

use super::net::Net;
use super::process::{Running, until};
use std::fs;
use std::process::Output;
use std::time::Duration;

/// Who is at home.
pub const HOME: &str = "10.78.0.2";
/// Who else is at home.
pub const OTHER: &str = "10.78.0.3";
/// The router, as the world sees it. Not of a range that is nobody's: miniupnpd would map nothing.
pub const OUTSIDE: &str = "11.77.0.1";
/// The first and the second in the world.
pub const WORLD: [&str; 2] = ["11.77.0.9", "11.77.0.10"];

/// For the router to start, and to do what it is asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the kernel does for miniupnpd, which fills the empty chains.
const RULES: &str = r#"
table inet filter {
    chain forward {
        type filter hook forward priority 0; policy accept
        iifname "lan0" tcp dport 51413 ct state new drop
        jump miniupnpd
    }
    chain miniupnpd {}
    chain prerouting {
        type nat hook prerouting priority -100; policy accept
        jump prerouting_miniupnpd
    }
    chain postrouting {
        type nat hook postrouting priority 100; policy accept
        jump postrouting_miniupnpd
        oifname "wan0" masquerade
    }
    chain prerouting_miniupnpd {}
    chain postrouting_miniupnpd {}
}
"#;

/// What miniupnpd is told in each test.
const CONFIG: &str = "\
ext_ifname=wan0
ext_ip=11.77.0.1
listening_ip=lan0
http_port=0
secure_mode=no
uuid=00000000-0000-4000-8000-000000000077
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
min_lifetime=2
allow 1024-65535 10.78.0.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
";

/// How it lets itself be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// PCP and NAT-PMP.
    Pcp,
    /// UPnP.
    Upnp,
    /// Neither.
    Nothing,
}

/// A router at work; it ends on drop.
pub struct Router {
    daemon: Option<Running>,
    net: Net,
    /// Behind it.
    pub home: Net,
    /// Before it.
    pub world: Net,
}

impl Router {
    /// Starts one that grants leases of at most `lease_s`.
    ///
    /// # Panics
    /// If the kernel or miniupnpd does not play along.
    pub fn start(speaks: Speaks, lease_s: u32) -> Self {
        let [net, home, world] = [(); 3].map(|()| Net::new());
        for (own, theirs) in [("lan0", &home), ("wan0", &world)] {
            let pid = theirs.holder().to_string();
            let peer = ["type", "veth", "peer", "name", "eth0", "netns", &pid];
            run(&net, "ip", &[&["link", "add", own][..], &peer].concat());
        }
        for (net, device, addrs) in [
            (&net, "lan0", &["10.78.0.1"][..]),
            (&net, "wan0", &[OUTSIDE]),
            (&home, "eth0", &[HOME, OTHER]),
            (&world, "eth0", &WORLD),
        ] {
            for addr in addrs {
                run(net, "ip", &["addr", "add", &format!("{addr}/24"), "dev", device]);
            }
            run(net, "ip", &["link", "set", device, "up"]);
        }
        run(&home, "ip", &["route", "add", "default", "via", "10.78.0.1"]);
        run(&net, "sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        let folder = net.folder("router");
        let (rules, config) = (folder.join("rules"), folder.join("config"));
        fs::write(&rules, RULES).expect("a file");
        run(&net, "nft", &["-f", rules.to_str().expect("UTF-8")]);
        let yes = |is| if is { "yes" } else { "no" };
        let (pcp, upnp) = (yes(speaks == Speaks::Pcp), yes(speaks == Speaks::Upnp));
        let more = format!("enable_natpmp={pcp}\nenable_upnp={upnp}\nmax_lifetime={lease_s}\n");
        fs::write(&config, CONFIG.to_owned() + &more).expect("a file");
        let mut router = Self { daemon: None, net, home, world };
        if speaks != Speaks::Nothing {
            let mut command = router.net.command("miniupnpd");
            command.arg("-d").arg("-f").arg(&config).arg("-P").arg(folder.join("pid"));
            let mut daemon = router.net.start("miniupnpd", &folder, &mut command);
            daemon.until("listens", PATIENCE, |daemon| {
                let said = daemon.stderr() + &daemon.stdout();
                ["Listening for NAT-PMP/PCP", "HTTP listening on port"]
                    .iter()
                    .any(|word| said.contains(word))
                    .then_some(())
            });
            router.daemon = Some(daemon);
        }
        router
    }

    /// What it passes on, a rule of the kernel's a line.
    pub fn mapped(&self) -> Vec<String> {
        let chain = ["list", "chain", "inet", "filter", "prerouting_miniupnpd"];
        let output = run(&self.net, "nft", &chain);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .map(str::trim)
            .filter(|line| line.contains("dnat"))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until it passes on so many ports; and which.
    #[track_caller]
    pub fn maps(&self, count: usize) -> Vec<String> {
        until(&format!("the router maps {count} ports"), PATIENCE, || {
            Some(self.mapped()).filter(|mapped| mapped.len() == count)
        })
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(|daemon| daemon.stderr() + &daemon.stdout()).unwrap_or_default()
    }
}

/// Runs a tool to its end.
#[track_caller]
pub fn run(net: &Net, program: &str, args: &[&str]) -> Output {
    let output = net.command(program).args(args).output().expect("it starts: run scripts/parts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    output
}
