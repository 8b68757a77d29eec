//! What the link carries by itself.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use safelight_testkit::{ports, wait};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::scene::Scene;

const SECONDS: &str = "15";
/// Seconds before that do not count: until what lies between is full.
const OMITTED: &str = "3";
const START_TIME: Duration = Duration::from_secs(10);
/// Of a socket: what waits in it is not yet on the link.
const WINDOW: &str = "32K";
const BLOCK: &str = "4K";

/// What it carries.
pub struct Carried {
    /// Payload that arrived, per second.
    pub bits_per_s: f64,
    /// Who says so.
    pub by: &'static str,
}

/// Has iperf3 fill the link, with as many flows as it can use. Where there is none, the link's setting counts.
pub async fn carried(scene: &Scene) -> anyhow::Result<Carried> {
    let port = ports::free()?;
    let server = Command::new("iperf3")
        // What it counts reaches the client's report in JSON only if it writes that itself.
        .args(["-s", "-1", "-J", "-B", "127.0.0.1"])
        .args(["-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(_server) = server else {
        println!("weaknet: iperf3 is not installed; the link's setting counts");
        return Ok(Carried {
            bits_per_s: scene.emulated.kbps as f64 * 1000.0,
            by: "the link's setting",
        });
    };
    // It listens before it is ready to be spoken to; the connection that finds out is none of the test's.
    let listens = wait::until(START_TIME, async || is_bound(port).await);
    listens
        .await
        .map_err(|e| anyhow::anyhow!("iperf3 -s: {e}"))?;
    let link = scene.to_api.beside(port).await?;
    let output = Command::new("iperf3")
        .args(["-c", "127.0.0.1", "-p", &link.port().to_string(), "-J"])
        .args(["-t", SECONDS, "-O", OMITTED, "-w", WINDOW, "-l", BLOCK])
        .arg("--get-server-output")
        .args(["-P", &scene.emulated.flows().to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    Ok(Carried {
        bits_per_s: arrived_bits_per_s(&report).with_context(|| said.clone())?,
        by: "iperf3",
    })
}

/// What arrived per second, by the server's count of each second. The sum at the end leaves out what is on its way then and
/// counts the time that it took, which is a tenth on the slowest link.
fn arrived_bits_per_s(report: &Value) -> Option<f64> {
    let seconds = report["server_output_json"]["intervals"].as_array()?;
    let counted = seconds.iter().map(|second| &second["sum"]);
    let counted = counted.filter(|sum| sum["omitted"] == false);
    let (mut bytes, mut took_s) = (0.0, 0.0);
    for sum in counted {
        bytes += sum["bytes"].as_f64()?;
        took_s += sum["seconds"].as_f64()?;
    }
    (took_s > 1.0).then(|| bytes * 8.0 / took_s)
}

/// Whether something listens there, by the kernel's list: a connection would be taken for the test.
async fn is_bound(port: u16) -> bool {
    let wanted = format!("0100007F:{port:04X}");
    match std::fs::read_to_string("/proc/net/tcp") {
        Ok(list) => list
            .lines()
            .any(|l| l.split_whitespace().nth(1) == Some(&wanted)),
        Err(_) => TcpStream::connect(("127.0.0.1", port)).await.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_arrived_on_a_full_link_counts() {
        let second = |bytes: u64, omitted: bool| json!({ "sum": { "bytes": bytes, "seconds": 1.0, "omitted": omitted } });
        let report = json!({
            "end": { "sum_received": { "bits_per_second": 1.0 } },
            "server_output_json": { "intervals": [second(1, true), second(1_000, false), second(3_000, false)] },
        });
        assert_eq!(arrived_bits_per_s(&report), Some(16_000.0));
        assert_eq!(arrived_bits_per_s(&json!({})), None);
    }
}
