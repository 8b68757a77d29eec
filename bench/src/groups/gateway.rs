//! `gateway`: thousands of uploads that are open and say nothing, beside two hundred that go on, at one process that also
//! serves the API. On the embedded defaults, but for the room for what is not yet a part.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use safelight_api::captures::CaptureInitiated;
use safelight_api::paths;
use safelight_testkit::server::peak_memory_bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, interval_at, sleep_until};

use crate::Bench;
use crate::quantile::quantile_ms;
use crate::row::Row;
use crate::server::{Server, Start};
use crate::wire::{Connection, head};

const IDLE: usize = 5_000;
const ACTIVE: usize = 200;
/// Of each file. Most of it never comes.
const FILE_BYTES: usize = 8 << 20;
/// What an idle upload sends before it falls silent.
const BEFORE_SILENCE: usize = 16 << 10;
/// What an active one sends, again and again: 80 kB/s each, as 4G in a train.
const PIECE_BYTES: usize = 8 << 10;
const BETWEEN_PIECES: Duration = Duration::from_millis(100);
/// Requests to the API, at a fixed rate; and to the one that has no uploads.
const QUESTIONS: u32 = 12_000;
const QUESTIONS_ELSEWHERE: u32 = 6_000;
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(5);
/// What a server says that wants a body.
const CONTINUE: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Assets of a capture.
const AT_ONCE: usize = 100;

/// An upload: path and query of its address.
type Address = String;

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let dir = bench.scratch.join("gateway");
    let more = ["--gateway-idle-seconds", "600"].map(str::to_owned);
    let start = Start {
        more: &more,
        ..Start::default()
    };
    let server = Server::start(&bench.program, &dir, start).await?;
    let token = server.token("mine").await?;
    println!("gateway: {} uploads are initiated", IDLE + ACTIVE);
    let (capture_id, addresses) = initiate(&server, &token, IDLE, AT_ONCE).await?;
    let mut active = Vec::with_capacity(ACTIVE);
    for number in 0..ACTIVE {
        let token = server.token(&format!("other{number}")).await?;
        active.extend(initiate(&server, &token, 1, 1).await?.1);
    }
    // Another server on the same machine, which has nothing to do with the uploads: what they slow there is the machine.
    let elsewhere_dir = bench.scratch.join("elsewhere");
    let elsewhere = Server::start(&bench.program, &elsewhere_dir, Start::default()).await?;
    let elsewhere_token = elsewhere.token("mine").await?;
    let elsewhere_id = initiate(&elsewhere, &elsewhere_token, IDLE, AT_ONCE)
        .await?
        .0;
    println!("gateway: the API alone");
    let mut alone = ask(&server, &token, &capture_id, QUESTIONS).await?;
    println!("gateway: beside {IDLE} idle and {ACTIVE} active uploads");
    let mut idle = Vec::with_capacity(IDLE);
    for address in &addresses {
        idle.push(begin(&server, address, BEFORE_SILENCE).await?);
    }
    let local = LocalSet::new();
    let (mut beside, mut elsewhere_times, sent) = local
        .run_until(async {
            let mut sending = Vec::new();
            let began = Instant::now();
            for (number, address) in active.iter().enumerate() {
                let stream = begin(&server, address, 0).await?;
                let sent = Rc::new(Cell::new(0));
                // Not all in the same moment, nor all with as much in the server's memory (64 KiB are 8 pieces), as clients are not
                // either.
                let from =
                    began + 8 * BETWEEN_PIECES * u32::try_from(number)? / u32::try_from(ACTIVE)?;
                let task = tokio::task::spawn_local(send_on(stream, from, sent.clone()));
                sending.push((task, sent));
            }
            let times = ask(&server, &token, &capture_id, QUESTIONS).await?;
            let elsewhere_times = ask(
                &elsewhere,
                &elsewhere_token,
                &elsewhere_id,
                QUESTIONS_ELSEWHERE,
            )
            .await?;
            let mut all = Vec::new();
            for (task, sent) in sending {
                ensure!(!task.is_finished(), "an active upload was cut off");
                task.abort();
                all.push(sent.get());
            }
            anyhow::Ok((times, elsewhere_times, all))
        })
        .await?;
    let memory = peak_memory_bytes(server.pid()).context("memory")?;
    let mut went_on = 0;
    let mut connection = Connection::open(server.api).await?;
    for (address, sent) in active.iter().zip(&sent) {
        let offset = offset(&mut connection, address).await?;
        // What the sockets hold at the end is on its way.
        went_on += usize::from(*sent > 0 && offset * 10 >= *sent * 9);
    }
    let open = idle.iter().filter(|s| is_open(s)).count();
    ensure!(open == IDLE, "only {open} idle uploads are still open");
    drop(idle);
    server.stop().await?;
    elsewhere.stop().await?;
    std::fs::remove_dir_all(&dir)?;
    std::fs::remove_dir_all(&elsewhere_dir)?;

    let (p50, p99) = (quantile_ms(&mut alone, 0.5), quantile_ms(&mut alone, 0.99));
    let beside_p50 = quantile_ms(&mut beside, 0.5);
    let beside_p99 = quantile_ms(&mut beside, 0.99);
    let elsewhere_p99 = quantile_ms(&mut elsewhere_times, 0.99);
    let bytes: usize = sent.iter().sum();
    Ok(vec![
        Row::plain("gateway.idle", IDLE as f64, "count"),
        Row::plain("gateway.active.went_on", went_on as f64, "count").at_least(ACTIVE as f64),
        Row::plain("gateway.active.sent", bytes as f64 / 1e6, "MB"),
        Row::plain("gateway.memory_peak", memory as f64 / 1e6, "MB").below(400.0),
        Row::plain("gateway.api_p50", beside_p50, "ms").against("without uploads", p50),
        Row::plain("gateway.api_p99", beside_p99, "ms")
            .against("without uploads", p99)
            .at_most(1.5 * p99),
        Row::plain("gateway.elsewhere_p99", elsewhere_p99, "ms").against("without uploads", p99),
    ])
}

/// Makes so many uploads of one owner, so many in each capture; one capture's id, and their addresses.
async fn initiate(
    server: &Server,
    token: &str,
    uploads: usize,
    at_once: usize,
) -> anyhow::Result<(String, Vec<Address>)> {
    let mut connection = Connection::open(server.api).await?;
    let (mut capture_id, mut addresses) = (String::new(), Vec::new());
    for number in 0..uploads / at_once {
        let assets: Vec<_> = (0..at_once)
            .map(|n| {
                json!({ "client_ref": n.to_string(), "role": "frame",
                        "resources": [{ "kind": "primary", "mime": "image/jpeg", "size_bytes": FILE_BYTES }] })
            })
            .collect();
        let body = serde_json::to_vec(&json!({
            "client_ref": format!("capture-{number}"), "mode": "burst", "assets": assets,
            "accept_transports": ["append"],
        }))?;
        let key = format!("idempotency-key: \"capture-{number}\"\r\n");
        let head = head("POST", paths::CAPTURES, token, &key, body.len());
        let answer = connection.exchange(&[head.as_bytes(), &body]).await?;
        let made: CaptureInitiated = answer.json(201)?;
        for url in made
            .assets
            .iter()
            .flat_map(|a| &a.uploads)
            .flat_map(|u| &u.urls)
        {
            if url.protocol.as_deref() == Some("rufh") {
                let path = url.url.splitn(4, '/').nth(3).context("an address")?;
                addresses.push(format!("/{path}"));
            }
        }
        capture_id = made.capture_id;
    }
    ensure!(addresses.len() == uploads, "{} addresses", addresses.len());
    Ok((capture_id, addresses))
}

/// Asks the API at its fixed rate; how long each answer took from when it was due.
async fn ask(
    server: &Server,
    token: &str,
    capture_id: &str,
    questions: u32,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(server.api).await?;
    let path = paths::fill(paths::CAPTURE, capture_id);
    let head = head("GET", &path, token, "", 0);
    let began = Instant::now();
    let mut times = Vec::new();
    for number in 0..questions {
        let due = began + BETWEEN_QUESTIONS * number;
        sleep_until(due).await;
        connection.exchange(&[head.as_bytes()]).await?.expect(200)?;
        times.push(due.elapsed());
    }
    Ok(times)
}

/// Begins to send a file, and sends so much of it.
async fn begin(server: &Server, address: &str, bytes: usize) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.api).await?;
    let request = format!(
        "PATCH {address} HTTP/1.1\r\nhost: localhost\r\nupload-draft-interop-version: 8\r\n\
         content-type: application/partial-upload\r\nupload-offset: 0\r\nupload-complete: ?1\r\n\
         expect: 100-continue\r\ncontent-length: {FILE_BYTES}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    // The server has taken the upload when it asks for the body: beginning is not what is measured.
    let mut asked = [0; CONTINUE.len()];
    stream.read_exact(&mut asked).await?;
    ensure!(&asked == CONTINUE, "{}", String::from_utf8_lossy(&asked));
    stream.write_all(&vec![b'x'; bytes]).await?;
    Ok(stream)
}

/// Sends a piece again and again, and counts the bytes.
async fn send_on(
    mut stream: TcpStream,
    from: Instant,
    sent: Rc<Cell<usize>>,
) -> anyhow::Result<()> {
    let piece = [b'y'; PIECE_BYTES];
    let mut due = interval_at(from, BETWEEN_PIECES);
    while sent.get() + PIECE_BYTES < FILE_BYTES {
        due.tick().await;
        stream.write_all(&piece).await?;
        sent.set(sent.get() + PIECE_BYTES);
    }
    Ok(())
}

/// Where an upload is, by its server's account.
async fn offset(connection: &mut Connection, address: &str) -> anyhow::Result<usize> {
    let request = format!(
        "HEAD {address} HTTP/1.1\r\nhost: localhost\r\nupload-draft-interop-version: 8\r\n\r\n"
    );
    let head = connection.exchange_head(request.as_bytes()).await?;
    let line = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("upload-offset:")
            .map(str::to_owned)
    });
    Ok(line.context("an offset")?.trim().parse()?)
}

/// Whether the server has neither answered nor closed; interim answers do not count.
fn is_open(stream: &TcpStream) -> bool {
    let mut bytes = [0; 1024];
    match stream.try_read(&mut bytes) {
        Ok(0) => false,
        Ok(_) => bytes.starts_with(b"HTTP/1.1 1"),
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
