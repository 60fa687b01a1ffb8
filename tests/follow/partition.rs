//! Two network namespaces, and a network between them that drops packets both ways or one way. Needs root and `ip`; says so where it is skipped.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::machine::{Machine, Place};
use super::{ACKNOWLEDGED, Client, is_there, town, until_it_refuses};

const PORT: u16 = 8080;

fn ip(arguments: &str) -> bool {
    let ran = Command::new("ip").args(arguments.split_whitespace()).output();
    ran.is_ok_and(|output| output.status.success())
}

/// Namespaces `a` and `b`: a cable between them, and one from each to the tester.
struct Network {
    names: [String; 2],
}

impl Network {
    /// `None` where nobody may lay cables.
    fn lay() -> Option<Self> {
        let id = std::process::id();
        let network = Self { names: [format!("medina-a-{id}"), format!("medina-b-{id}")] };
        let [a, b] = &network.names;
        let mut steps = vec![
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("link add mab{id} netns {a} type veth peer name mba{id} netns {b}"),
        ];
        for (n, name, cable) in [(1, a, format!("mab{id}")), (2, b, format!("mba{id}"))] {
            steps.extend([
                format!("-n {name} link set lo up"),
                format!("-n {name} addr add 10.77.3.{n}/24 dev {cable}"),
                format!("-n {name} link set {cable} up"),
                format!("link add mt{n}{id} type veth peer name in{n}{id} netns {name}"),
                format!("addr add 10.77.1{n}.1/24 dev mt{n}{id}"),
                format!("link set mt{n}{id} up"),
                format!("-n {name} addr add 10.77.1{n}.2/24 dev in{n}{id}"),
                format!("-n {name} link set in{n}{id} up"),
            ]);
        }
        steps.iter().all(|step| ip(step)).then_some(network)
    }

    fn places(&self) -> [Place; 2] {
        [1, 2].map(|n| Place {
            listen: format!("0.0.0.0:{PORT}"),
            base: format!("http://10.77.1{n}.2:{PORT}"),
            url: format!("http://10.77.3.{n}:{PORT}"),
            namespace: Some(self.names[n - 1].clone()),
        })
    }

    /// Drops, or lets through again, what machine `from` (0 or 1) sends to the other.
    fn block(&self, from: usize, is_blocked: bool) {
        let verb = if is_blocked { "add" } else { "del" };
        assert!(ip(&format!("-n {} route {verb} blackhole 10.77.3.{}/32", self.names[from], 2 - from)), "{verb} a blackhole");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // With a namespace go its ends of the cables, and with one end the other.
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_both_ways_or_one_way_loses_nothing() {
    let Some(network) = Network::lay() else {
        println!("SKIPPED: network namespaces need root and the `ip` command");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair_at(folder.path(), "follower", network.places());
    let town = town(&mut a, &mut b, true).await;
    let (base, following) = watch::channel(a.base.clone());
    let (stop, stopping) = watch::channel(false);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let who = town.customer("+233200000001").await;
    let client = Client { wire: town.wire.clone(), base: following, acknowledged: acknowledged.clone(), done: Vec::new() };
    let client = tokio::spawn(client.trade(town.clone(), who, stopping));
    let (mut leader, mut follower) = (&a, &b);
    let mut last = Vec::new();
    // Both ways; from the leader only; from the follower only.
    for (round, directions) in [[true, true], [true, false], [false, true]].into_iter().enumerate() {
        let goal = acknowledged.load(Ordering::Relaxed) + ACKNOWLEDGED;
        while acknowledged.load(Ordering::Relaxed) < goal {
            assert!(!client.is_finished(), "round {round}: the client has failed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (from_leader, from_follower) = if leader.name == "a" { (0, 1) } else { (1, 0) };
        let blocked: Vec<usize> =
            [from_leader, from_follower].into_iter().zip(directions).filter(|(_, is)| *is).map(|(at, _)| at).collect();
        blocked.iter().for_each(|at| network.block(*at, true));
        // The leader hears no acknowledgement: it says so, and acknowledges nothing.
        last.extend(until_it_refuses(leader, &town).await);
        let before = acknowledged.load(Ordering::Relaxed);
        let promoted = follower.run(&["promote"]);
        assert!(promoted.status.success(), "round {round}: {}", String::from_utf8_lossy(&promoted.stderr));
        assert_eq!(acknowledged.load(Ordering::Relaxed), before, "round {round}: somebody acknowledged alone");
        blocked.iter().for_each(|at| network.block(*at, false));
        follower.until_ready().await;
        base.send_replace(follower.base.clone());
        leader.until_ready().await;
        (leader, follower) = (follower, leader);
    }
    stop.send_replace(true);
    let done = client.await.expect("the client ended well");
    for one in done.iter().chain(&last) {
        is_there(&leader.base, one, 3).await;
    }
    assert!(!a.set_aside().is_empty() && !b.set_aside().is_empty(), "each gave up what nobody had acknowledged");
    println!("{} writes acknowledged over 3 partitions, 0 lost", done.len());
}
