//! Requests to S3 stores, signed as the server signs them for phones.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use safelight_model::clock::Micros;
use safelight_objects::{
    Capabilities, GetOptions, Metadata, ObjectKey, Objects, Presigned, PutBinding, StoreSettings,
};

use super::{key, list};
use crate::groups::diskstore::work::{PART_BYTES, PARTS, Size};

/// How long a URL lives: longer than any run.
const TTL: Duration = Duration::from_secs(3600);
/// Keys in a page.
const PAGE: u16 = 1000;

/// A bucket at a store.
pub struct S3 {
    objects: Objects,
    now: Micros,
    host: String,
    region: String,
    access_key: String,
    secret_key: String,
}

impl S3 {
    /// The bucket `safelight` at this address. All who are measured check what a URL is bound to.
    pub fn connect(
        address: SocketAddr,
        region: &str,
        access_key: &str,
        secret_key: &str,
    ) -> anyhow::Result<Self> {
        let settings = StoreSettings {
            endpoint: Some(format!("http://{address}")),
            public_endpoint: None,
            region: region.to_owned(),
            bucket: "safelight".to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            path_style: true,
            request_timeout: StoreSettings::REQUEST_TIMEOUT,
            complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "real stores compare with the real time"
        )]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        Ok(Self {
            objects: Objects::connect(settings, Capabilities::embedded())?,
            now: Micros(i64::try_from(now)?),
            host: address.to_string(),
            region: region.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        })
    }

    /// As [`super::Peer::put`].
    pub fn put(&self, size: Size, number: u64, sha256: Option<&str>) -> anyhow::Result<String> {
        let binding = PutBinding {
            size_bytes: i64::try_from(size.bytes())?,
            sha256_hex: sha256,
            ..PutBinding::default()
        };
        let key = ObjectKey::parse(&key(size, number))?;
        let signed = self.objects.presign_put(&key, binding, self.now, TTL)?;
        head(
            "PUT",
            &signed,
            &format!("content-length: {}\r\n", size.bytes()),
        )
    }

    /// As [`super::Peer::uploads`].
    pub async fn create_uploads(&self, first: u64, count: u64) -> anyhow::Result<Vec<String>> {
        let (mut uploads, metadata) = (Vec::new(), Metadata::default());
        for at in 0..count {
            let key = upload_key(first, at)?;
            let made = self.objects.create_multipart(&key, None, &metadata, true);
            uploads.push(made.await?);
        }
        Ok(uploads)
    }

    /// As [`super::Peer::put_part`].
    pub fn put_part(
        &self,
        uploads: &[String],
        number: u64,
        turn: u64,
        sha256: Option<&str>,
    ) -> anyhow::Result<String> {
        let at = turn / PARTS;
        let upload = uploads.get(usize::try_from(at)?).context("an upload")?;
        let signed = self.objects.presign_part(
            &upload_key(number - turn, at)?,
            upload,
            i64::try_from(turn % PARTS + 1)?,
            i64::try_from(PART_BYTES)?,
            sha256,
            self.now,
            TTL,
        )?;
        head("PUT", &signed, &format!("content-length: {PART_BYTES}\r\n"))
    }

    /// The head of a GET; `extra` are further header lines.
    pub fn get(&self, size: Size, number: u64, extra: &str) -> anyhow::Result<String> {
        let key = ObjectKey::parse(&key(size, number))?;
        let options = GetOptions::default();
        let signed = self.objects.presign_get(&key, self.now, TTL, options)?;
        head("GET", &signed, extra)
    }

    /// The head of a request for a page of keys.
    pub fn list(&self) -> anyhow::Result<String> {
        let access = (self.access_key.as_str(), self.secret_key.as_str());
        list::head(&self.host, &self.region, access, self.now, "o/bench/", PAGE)
    }
}

/// The key of the upload number `at` of those whose first part has the number `first`.
fn upload_key(first: u64, at: u64) -> anyhow::Result<ObjectKey> {
    Ok(ObjectKey::parse(&format!(
        "o/bench/2026/11/25/u{first:012}{at:013}"
    ))?)
}

fn head(method: &str, signed: &Presigned, extra: &str) -> anyhow::Result<String> {
    let rest = signed.url.strip_prefix("http://").context("an http URL")?;
    let (host, path) = rest.split_once('/').context("a path")?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\n{extra}");
    for (name, value) in &signed.headers {
        head += &format!("{name}: {value}\r\n");
    }
    Ok(head + "\r\n")
}
