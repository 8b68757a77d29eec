//! What storing must cost: reads the socket, computes the SHA-256, writes, syncs the file, gives it its
//! name and syncs that; and for reading, reads the file, computes a CRC32C of every 64 KiB, as who serves no wrong
//! bytes must, and writes to the socket. A thread for each connection; what it computes it compares with nothing.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

/// The argument by which this program is it.
pub const NAME: &str = "serve-files";

/// Read, hashed and written at once.
const BATCH_BYTES: usize = 256 << 10;
/// What one sum is taken of when reading.
const BLOCK_BYTES: usize = 64 << 10;

/// Serves until killed. The directory must be there.
pub fn serve(address: SocketAddr, dir: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    let (dir, next) = (PathBuf::from(dir), Arc::new(AtomicU64::new(0)));
    for stream in listener.incoming() {
        let (mut stream, dir, next) = (stream?, dir.clone(), next.clone());
        std::thread::spawn(move || {
            // It ends when its client does.
            while answer(&mut stream, &dir, &next).is_ok() {}
        });
    }
    Ok(())
}

fn answer(stream: &mut TcpStream, dir: &Path, next: &AtomicU64) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut batch = vec![0; BATCH_BYTES];
    let mut filled = 0;
    let head = loop {
        let rest = batch.get_mut(filled..).context("a long head")?;
        let read = stream.read(rest)?;
        if read == 0 {
            bail!("the end");
        }
        filled += read;
        if let Some(at) = batch[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let request = Request::parse(&batch[..head])?;
    let path = dir.join(&request.name);
    if request.is_put {
        let temp = dir.join(format!("tmp-{}", next.fetch_add(1, Ordering::Relaxed)));
        let mut file = File::create(&temp)?;
        let (mut hash, mut left) = (Sha256::new(), request.length);
        let mut body = head..filled;
        loop {
            hash.update(&batch[body.clone()]);
            file.write_all(&batch[body.clone()])?;
            left -= body.len() as u64;
            if left == 0 {
                break;
            }
            let most = BATCH_BYTES.min(usize::try_from(left)?);
            stream.read_exact(&mut batch[..most])?;
            body = 0..most;
        }
        // As the store does, one sync for the bytes and one for the name.
        file.sync_data()?;
        fs::rename(&temp, &path)?;
        File::open(dir)?.sync_all()?;
        let etag = hex::encode(hash.finalize());
        write!(
            stream,
            "HTTP/1.1 200 OK\r\netag: \"{etag}\"\r\ncontent-length: 0\r\n\r\n"
        )?;
    } else {
        let file = File::open(&path)?;
        let size = file.metadata()?.len();
        let (mut from, to) = match request.range {
            Some((first, last)) => (first, last + 1),
            None => (0, size),
        };
        let status = if request.range.is_some() { 206 } else { 200 };
        let length = to - from;
        write!(
            stream,
            "HTTP/1.1 {status} OK\r\ncontent-length: {length}\r\n\r\n"
        )?;
        while from < to {
            let most = BATCH_BYTES.min(usize::try_from(to - from)?);
            let read = file.read_at(&mut batch[..most], from)?;
            if read == 0 {
                bail!("a short file");
            }
            for block in batch[..read].chunks(BLOCK_BYTES) {
                std::hint::black_box(crc_fast::crc32_iscsi(block));
            }
            stream.write_all(&batch[..read])?;
            from += read as u64;
        }
    }
    Ok(())
}

struct Request {
    is_put: bool,
    /// The path, as one name.
    name: String,
    length: u64,
    range: Option<(u64, u64)>,
}

impl Request {
    fn parse(head: &[u8]) -> anyhow::Result<Self> {
        let head = std::str::from_utf8(head)?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (first.next(), first.next().context("no path")?);
        let mut request = Self {
            is_put: method == Some("PUT"),
            name: path.trim_start_matches('/').replace('/', "-"),
            length: 0,
            range: None,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                request.length = value.parse()?;
            } else if name.eq_ignore_ascii_case("range") {
                let span = value.strip_prefix("bytes=").and_then(|v| v.split_once('-'));
                let (from, to) = span.context("a range")?;
                request.range = Some((from.parse()?, to.parse()?));
            }
        }
        Ok(request)
    }
}
