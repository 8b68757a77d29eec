//! A store in memory that believes whatever it is told, with oddities to choose: what the probe has
//! to see through.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use safelight_objects::{Capabilities, Objects};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::canned::{error_body, settings};

/// What a store may be odd in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oddities {
    /// It wants parts but the last to have so many bytes.
    pub min_part_bytes: usize,
    /// It wants parts but the last to be of one size.
    pub equal_parts: bool,
    /// It answers a second Complete like the first; else it knows no such upload any more.
    pub duplicate_succeeds: bool,
    /// A second Complete makes another object.
    pub duplicate_damages: bool,
    /// It refuses whatever carries a checksum.
    pub refuses_checksums: bool,
    /// Every object that is stored has an ETag of its own, whatever its bytes.
    pub etags_are_fresh: bool,
    /// It lets nobody read a bucket's rules.
    pub hides_rules: bool,
    /// Parts that were being sent arrive right behind the first so many aborts of their upload.
    pub parts_behind_aborts: usize,
    /// It answers nothing any more after so many requests; 0 is never.
    pub fails_after: usize,
    /// So many requests after that, it answers again.
    pub recovers_after: usize,
}

#[derive(Default)]
struct Holdings {
    objects: BTreeMap<String, (Bytes, String)>,
    uploads: HashMap<String, Upload>,
    completed: HashMap<String, String>,
    serial: usize,
    requests: usize,
}

#[derive(Default)]
struct Upload {
    aborts: usize,
    parts: BTreeMap<usize, (Bytes, String)>,
}

/// The running store.
#[derive(Clone)]
pub struct OddStore {
    /// Its URL.
    pub endpoint: String,
    oddities: Oddities,
    holdings: Arc<Mutex<Holdings>>,
}

type Query = HashMap<String, String>;

impl OddStore {
    /// Starts it; it ends with the test.
    pub async fn start(oddities: Oddities) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            oddities,
            holdings: Arc::default(),
        };
        let routes = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        store
    }

    /// A client that takes the store to be able to do this.
    pub fn objects(&self, capabilities: Capabilities) -> Objects {
        Objects::connect(settings(&self.endpoint), capabilities).unwrap()
    }

    /// How many objects and uploads it holds.
    pub fn holds(&self) -> (usize, usize) {
        let holdings = self.holdings.lock().unwrap();
        (holdings.objects.len(), holdings.uploads.len())
    }

    /// How many requests came so far.
    pub fn requests(&self) -> usize {
        self.holdings.lock().unwrap().requests
    }

    fn etag(&self, holdings: &mut Holdings, bytes: &[u8]) -> String {
        holdings.serial += 1;
        let name = match self.oddities.etags_are_fresh {
            true => holdings.serial.to_string(),
            false => hex::encode(&Sha256::digest(bytes)[..16]),
        };
        format!("\"{name}\"")
    }

    fn complete(&self, key: &str, id: &str, body: &str) -> Response {
        let mut holdings = self.holdings.lock().unwrap();
        if let Some(etag) = holdings.completed.get(id).cloned() {
            if self.oddities.duplicate_damages {
                holdings
                    .objects
                    .insert(key.to_owned(), (Bytes::new(), "\"damaged\"".to_owned()));
            }
            return match self.oddities.duplicate_succeeds {
                true => completed(&etag),
                false => refused(StatusCode::NOT_FOUND, "NoSuchUpload"),
            };
        }
        let Some(upload) = holdings.uploads.get(id) else {
            return refused(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let named = body.split("<PartNumber>").skip(1);
        let number = |rest: &str| rest.split('<').next()?.parse().ok();
        let part = |rest: &str| upload.parts.get(&number(rest)?);
        let Some(all) = named.map(part).collect::<Option<Vec<_>>>() else {
            return refused(StatusCode::BAD_REQUEST, "InvalidPart");
        };
        let sizes: Vec<usize> = all.iter().map(|(bytes, _)| bytes.len()).collect();
        let before_last = &sizes[..sizes.len().saturating_sub(1)];
        if before_last
            .iter()
            .any(|size| *size < self.oddities.min_part_bytes)
        {
            return refused(StatusCode::BAD_REQUEST, "EntityTooSmall");
        }
        if self.oddities.equal_parts && before_last.windows(2).any(|two| two[0] != two[1]) {
            return refused(StatusCode::BAD_REQUEST, "InvalidPart");
        }
        let whole: Bytes = all
            .iter()
            .flat_map(|(bytes, _)| bytes.iter().copied())
            .collect();
        let etag = self.etag(&mut holdings, &whole);
        holdings
            .objects
            .insert(key.to_owned(), (whole, etag.clone()));
        holdings.uploads.remove(id);
        holdings.completed.insert(id.to_owned(), etag.clone());
        completed(&etag)
    }

    fn put(&self, key: &str, query: &Query, bytes: Bytes) -> Response {
        let mut holdings = self.holdings.lock().unwrap();
        let etag = self.etag(&mut holdings, &bytes);
        match query.get("uploadId") {
            None => {
                holdings
                    .objects
                    .insert(key.to_owned(), (bytes, etag.clone()));
            }
            Some(id) => {
                let number = query["partNumber"].parse().unwrap();
                let Some(upload) = holdings.uploads.get_mut(id) else {
                    return refused(StatusCode::NOT_FOUND, "NoSuchUpload");
                };
                upload.parts.insert(number, (bytes, etag.clone()));
            }
        }
        (StatusCode::OK, [("etag", etag)]).into_response()
    }

    fn begin(&self) -> Response {
        let mut holdings = self.holdings.lock().unwrap();
        holdings.serial += 1;
        let id = format!("upload-{}", holdings.serial);
        holdings.uploads.insert(id.clone(), Upload::default());
        xml(&format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn read(&self, key: &str, headers: &HeaderMap) -> Response {
        let holdings = self.holdings.lock().unwrap();
        let Some((bytes, etag)) = holdings.objects.get(key) else {
            return refused(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let range = headers.get("range").map(|range| range.to_str().unwrap());
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let Some(from) = from.map(|from| from.parse::<usize>().unwrap()) else {
            return ([("etag", etag.clone())], bytes.clone()).into_response();
        };
        let (total, last) = (bytes.len(), bytes.len() - 1);
        let held = format!("bytes {from}-{last}/{total}");
        (
            StatusCode::PARTIAL_CONTENT,
            [("etag", etag.clone()), ("content-range", held)],
            bytes.slice(from..),
        )
            .into_response()
    }

    fn list(&self, prefix: &str) -> Response {
        let holdings = self.holdings.lock().unwrap();
        let all: String = holdings
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, (bytes, _))| {
                format!(
                    "<Contents><Key>{key}</Key><Size>{}</Size><ETag>e</ETag>\
                     <LastModified>2026-11-25T00:00:00Z</LastModified></Contents>",
                    bytes.len()
                )
            })
            .collect();
        xml(&format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{all}</ListBucketResult>"
        ))
    }

    fn list_parts(&self, id: &str) -> Response {
        let holdings = self.holdings.lock().unwrap();
        let Some(upload) = holdings.uploads.get(id) else {
            return refused(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let all: String = upload
            .parts
            .iter()
            .map(|(number, (bytes, etag))| {
                format!(
                    "<Part><PartNumber>{number}</PartNumber><Size>{}</Size><ETag>{etag}</ETag></Part>",
                    bytes.len()
                )
            })
            .collect();
        xml(&format!(
            "<ListPartsResult><IsTruncated>false</IsTruncated>{all}</ListPartsResult>"
        ))
    }

    fn list_uploads(&self) -> Response {
        let holdings = self.holdings.lock().unwrap();
        let all: String = holdings
            .uploads
            .keys()
            .map(|id| format!("<Upload><UploadId>{id}</UploadId></Upload>"))
            .collect();
        xml(&format!(
            "<ListMultipartUploadsResult>{all}</ListMultipartUploadsResult>"
        ))
    }

    /// Whether it keeps silent about this request.
    fn is_down(&self) -> bool {
        let mut holdings = self.holdings.lock().unwrap();
        holdings.requests += 1;
        let Oddities {
            fails_after,
            recovers_after,
            ..
        } = self.oddities;
        let down = fails_after + 1..=fails_after + recovers_after;
        fails_after > 0 && down.contains(&holdings.requests)
    }
}

async fn answer(
    State(store): State<OddStore>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query: Query = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.replace("%2F", "/"))
        })
        .collect();
    let has = |name: &str| query.contains_key(name);
    let key = uri.path().trim_start_matches("/safelight");
    let key = key.trim_start_matches('/');
    let carries_sum = headers
        .keys()
        .any(|name| name.as_str().starts_with("x-amz-checksum-"))
        && method != Method::HEAD;
    if store.is_down() {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
    }
    if store.oddities.refuses_checksums && carries_sum {
        return refused(StatusCode::BAD_REQUEST, "InvalidRequest");
    }
    if ["cors", "lifecycle", "notification"]
        .iter()
        .any(|of| has(of))
    {
        return match store.oddities.hides_rules {
            true => refused(StatusCode::FORBIDDEN, "AccessDenied"),
            false => refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        };
    }
    match (method.as_str(), key) {
        ("HEAD", "") => StatusCode::OK.into_response(),
        ("GET", "") if has("uploads") => store.list_uploads(),
        ("GET", "") => store.list(query.get("prefix").map_or("", String::as_str)),
        ("PUT" | "GET", _) if has("tagging") => {
            refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented")
        }
        ("PUT", _) if headers.contains_key("x-amz-copy-source") => {
            refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented")
        }
        ("PUT", _) => store.put(key, &query, body),
        ("POST", _) if has("uploads") => store.begin(),
        ("POST", _) => {
            let body = String::from_utf8_lossy(&body);
            store.complete(key, &query["uploadId"], &body)
        }
        ("GET", _) if has("uploadId") => store.list_parts(&query["uploadId"]),
        ("GET" | "HEAD", _) => store.read(key, &headers),
        ("DELETE", _) => {
            let mut holdings = store.holdings.lock().unwrap();
            match query.get("uploadId") {
                Some(id) => {
                    let late = store.oddities.parts_behind_aborts;
                    let again = holdings.uploads.get_mut(id).is_some_and(|upload| {
                        upload.aborts += 1;
                        upload.aborts <= late
                    });
                    if !again {
                        holdings.uploads.remove(id);
                    }
                }
                None => drop(holdings.objects.remove(key)),
            }
            StatusCode::NO_CONTENT.into_response()
        }
        _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

fn xml(body: &str) -> Response {
    (StatusCode::OK, body.to_owned()).into_response()
}

fn completed(etag: &str) -> Response {
    xml(&format!(
        "<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
    ))
}

fn refused(status: StatusCode, code: &str) -> Response {
    (status, error_body(code)).into_response()
}
