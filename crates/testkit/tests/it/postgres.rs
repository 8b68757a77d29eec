//! The cluster starts, serves, survives a kill, and is gone afterwards, whatever happens.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use safelight_testkit::postgres::{Cluster, Durability};
use safelight_testkit::wait::until;

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn query(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-XAtc", sql, url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn databases_are_fresh_and_a_kill_keeps_what_was_committed() {
    let cluster = Cluster::start(Durability::Durable).unwrap();
    let (a, b) = (
        cluster.fresh_database().unwrap(),
        cluster.fresh_database().unwrap(),
    );
    assert_ne!(a, b);
    query(&a, "create table t as select 7 as n");
    assert_eq!(query(&b, "select to_regclass('t') is null"), "t");
    assert_eq!(query(&a, "show fsync"), "on");
    assert_eq!(query(&a, "show synchronous_commit"), "on");

    cluster.kill().unwrap();
    assert!(!listens(cluster.port()));
    cluster.restart().unwrap();
    assert_eq!(query(&a, "select n from t"), "7");

    let port = cluster.port();
    drop(cluster);
    assert!(!listens(port));
}

#[test]
fn the_shared_cluster_is_one() {
    let port = Cluster::shared().unwrap().port();
    assert_eq!(Cluster::shared().unwrap().port(), port);
    assert!(listens(port));
}

/// Set in the process that the next test starts and kills.
const VICTIM: &str = "SAFELIGHT_TESTKIT_VICTIM";

#[tokio::test]
async fn a_killed_process_leaves_no_cluster_behind() {
    if std::env::var_os(VICTIM).is_some() {
        let cluster = Cluster::start(Durability::Relaxed).unwrap();
        println!("\nport {}", cluster.port());
        // Until it is killed.
        std::future::pending::<()>().await;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("postgres::a_killed_process_leaves_no_cluster_behind")
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let port: u16 = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("port ")?.parse().ok())
        .unwrap();
    assert!(listens(port));
    victim.kill().unwrap();
    victim.wait().unwrap();
    until(Duration::from_secs(30), async || !listens(port))
        .await
        .unwrap();
}
