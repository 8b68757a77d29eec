//! Speaks the API for one owner: credentials, idempotency keys, retries.

use std::sync::Arc;
use std::time::Duration;

use safelight_api::assets::{Asset, AssetPage, GrantOriginal, OriginalGranted};
use safelight_api::captures::{Capture, CaptureInitiated};
use safelight_api::keys::{CreateKey, Key, KeyCreated, KeyList, MintToken, TokenMinted};
use safelight_api::paths;
use safelight_api::uploads::{
    CompleteUpload, FoundUpload, PartToSign, Replan, Replanned, SignUrls, SignedUrl, SignedUrls,
    TransferReport, Upload, UploadAborted, UploadCompleted, UploadList,
};
use safelight_model::codes::Code;
use safelight_model::ids;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::back_off::Patience;
use crate::call_error::CallError;
use crate::gauge::Gauge;
use crate::transport::{ApiRequest, Method, Transport};

/// Who asks.
#[derive(Clone)]
pub enum Credential {
    /// An API key of the tenant, on behalf of an owner.
    ApiKey {
        /// `sk_…`.
        key: String,
        /// The owner.
        owner: String,
    },
    /// A device token that the app's own server minted.
    DeviceToken(String),
}

/// What stands for an API key in requests on the owner's behalf.
#[derive(Clone)]
enum Stand {
    /// A device token minted with it.
    Minted(String),
    /// The key itself: it may not mint.
    Key,
}

/// Calls to the API. With an API key it mints a short-lived device token and acts with that,
/// renewing it when it has expired.
pub struct Session {
    transport: Arc<dyn Transport>,
    credential: Credential,
    device: String,
    patience: Patience,
    stand: Mutex<Option<Stand>>,
    gauge: Arc<Gauge>,
}

/// As whom a call is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Actor {
    /// The owner.
    Owner,
    /// The holder of the credential as it is.
    Holder,
}

struct Call {
    method: Method,
    path: String,
    idempotency_key: Option<String>,
    body: Option<String>,
    actor: Actor,
    /// Whether a request that hangs, perhaps in a server that died, is overtaken with another key.
    /// Only for what is idempotent by itself.
    overtakes: bool,
}

impl Session {
    /// A session. `device` names this phone or machine in minted tokens.
    #[must_use]
    pub fn open(
        transport: Arc<dyn Transport>,
        credential: Credential,
        device: String,
        patience: Patience,
    ) -> Self {
        Self {
            transport,
            credential,
            device,
            patience,
            stand: Mutex::new(None),
            gauge: Arc::default(),
        }
    }

    /// What is measured of the link to the server.
    #[must_use]
    pub fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    /// Gets ready to act: mints the token if there is none yet. Fails where a first call would, but
    /// gives up after `give_up_after` already, so that a server that is not there is noticed soon.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses the credential.
    pub async fn prepare(&self, give_up_after: Duration) -> Result<(), CallError> {
        let patience = Patience {
            give_up_after,
            ..self.patience.clone()
        };
        let mut attempts = patience.begin();
        loop {
            match self.headers(Actor::Owner).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_passing() => {
                    let why = error.to_string();
                    if !attempts.failed(&why, error.retry_after()).await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Initiates a capture. `request` is sent byte for byte, so that a retry is the same request.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn initiate(
        &self,
        request: &str,
        idempotency_key: &str,
    ) -> Result<CaptureInitiated, CallError> {
        self.initiate_telling(request, idempotency_key, &|| ())
            .await
    }

    /// As [`Session::initiate`]; calls `failed` at each failure that it tries again after.
    pub(crate) async fn initiate_telling(
        &self,
        request: &str,
        idempotency_key: &str,
        failed: &(dyn Fn() + Sync),
    ) -> Result<CaptureInitiated, CallError> {
        let call = Call {
            method: Method::Post,
            path: paths::CAPTURES.to_owned(),
            idempotency_key: Some(idempotency_key.to_owned()),
            body: Some(request.to_owned()),
            actor: Actor::Owner,
            overtakes: false,
        };
        let answer = self.send_within(call, self.patience.give_up_after, failed);
        read(&answer.await?)
    }

    /// Signs URLs for parts; for the one file of `single` if `parts` is empty.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn sign(
        &self,
        upload_id: &str,
        parts: Vec<PartToSign>,
    ) -> Result<Vec<SignedUrl>, CallError> {
        let path = paths::fill(paths::UPLOAD_URLS, upload_id);
        let body = json(&SignUrls { parts })?;
        let signed: SignedUrls = self.post(path, None, body, Actor::Owner).await?;
        Ok(signed.urls)
    }

    /// What has arrived of an upload.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn upload(&self, upload_id: &str) -> Result<Upload, CallError> {
        self.get(paths::fill(paths::UPLOAD, upload_id), Actor::Owner)
            .await
    }

    /// Unfinished uploads of a file, by its SHA-256.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn unfinished(&self, sha256: &str) -> Result<Vec<FoundUpload>, CallError> {
        let path = format!("{}?sha256={sha256}", paths::UPLOADS);
        let list: UploadList = self.get(path, Actor::Owner).await?;
        Ok(list.items)
    }

    /// Completes an upload, and tells how `transfers` went. Doing it twice is harmless, also under two keys.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn complete(
        &self,
        upload_id: &str,
        transfers: Vec<TransferReport>,
    ) -> Result<UploadCompleted, CallError> {
        let answer = self
            .send(Call {
                method: Method::Post,
                path: paths::fill(paths::UPLOAD_COMPLETE, upload_id),
                idempotency_key: Some(self.fresh_key()),
                body: Some(json(&CompleteUpload { transfers })?),
                actor: Actor::Owner,
                overtakes: true,
            })
            .await?;
        read(&answer)
    }

    /// Asks for another plan of an unfinished upload. It is asked once only: who has no answer goes on as before, and asks
    /// what is true before anything depends on it.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn replan(&self, upload_id: &str, asked: &Replan) -> Result<Replanned, CallError> {
        let call = Call {
            method: Method::Post,
            path: paths::fill(paths::UPLOAD_PLAN, upload_id),
            idempotency_key: None,
            body: Some(json(asked)?),
            actor: Actor::Owner,
            overtakes: false,
        };
        read(&self.send_within(call, Duration::ZERO, &|| ()).await?)
    }

    /// Gives an upload up. Doing it twice is harmless.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn abort(&self, upload_id: &str) -> Result<UploadAborted, CallError> {
        self.give_up(paths::fill(paths::UPLOAD, upload_id)).await
    }

    /// Gives an upload up whose file is sent as another asset: that one stands for its own from then on. A server that does not
    /// know of this has its asset expire.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn supersede(
        &self,
        upload_id: &str,
        by_asset_id: &str,
    ) -> Result<UploadAborted, CallError> {
        let path = paths::fill(paths::UPLOAD, upload_id);
        self.give_up(format!("{path}?superseded_by={by_asset_id}"))
            .await
    }

    async fn give_up(&self, path: String) -> Result<UploadAborted, CallError> {
        let answer = self
            .send(Call {
                method: Method::Delete,
                path,
                idempotency_key: Some(self.fresh_key()),
                body: None,
                actor: Actor::Owner,
                overtakes: true,
            })
            .await?;
        read(&answer)
    }

    /// One asset, with the fields named (`renditions,original,times`).
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn asset(&self, asset_id: &str, fields: &str) -> Result<Asset, CallError> {
        let path = paths::fill(paths::ASSET, asset_id);
        self.get(format!("{path}?fields={fields}"), Actor::Owner)
            .await
    }

    /// A page of the owner's assets, the newest first. `cursor` is that of the page before.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn assets(
        &self,
        limit: i64,
        cursor: Option<&str>,
        fields: &str,
    ) -> Result<AssetPage, CallError> {
        let mut path = format!("{}?limit={limit}&fields={fields}", paths::ASSETS);
        if let Some(cursor) = cursor {
            path += "&cursor=";
            path.extend(cursor.bytes().map(query_byte));
        }
        self.get(path, Actor::Owner).await
    }

    /// One capture with its assets.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn capture(&self, capture_id: &str) -> Result<Capture, CallError> {
        self.get(paths::fill(paths::CAPTURE, capture_id), Actor::Owner)
            .await
    }

    /// Grants access to an asset's original, for the server's default time.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn grant_original(&self, asset_id: &str) -> Result<OriginalGranted, CallError> {
        let path = paths::fill(paths::ASSET_GRANTS, asset_id);
        let body = json(&GrantOriginal::default())?;
        self.post(path, Some(self.fresh_key()), body, Actor::Owner)
            .await
    }

    /// Makes an API key of the tenant.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn create_key(&self, key: &CreateKey) -> Result<KeyCreated, CallError> {
        let (path, body) = (paths::KEYS.to_owned(), json(key)?);
        self.post(path, Some(self.fresh_key()), body, Actor::Holder)
            .await
    }

    /// The tenant's API keys.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn keys(&self) -> Result<Vec<Key>, CallError> {
        let list: KeyList = self.get(paths::KEYS.to_owned(), Actor::Holder).await?;
        Ok(list.items)
    }

    /// Revokes an API key.
    ///
    /// # Errors
    /// The server's refusal, or that no answer came.
    pub async fn revoke_key(&self, key_id: &str) -> Result<(), CallError> {
        self.send(Call {
            method: Method::Delete,
            path: paths::fill(paths::KEY, key_id),
            idempotency_key: Some(self.fresh_key()),
            body: None,
            actor: Actor::Holder,
            overtakes: false,
        })
        .await
        .map(|_| ())
    }

    async fn get<T: DeserializeOwned>(&self, path: String, actor: Actor) -> Result<T, CallError> {
        let answer = self
            .send(Call {
                method: Method::Get,
                path,
                idempotency_key: None,
                body: None,
                actor,
                overtakes: false,
            })
            .await?;
        read(&answer)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: String,
        idempotency_key: Option<String>,
        body: String,
        actor: Actor,
    ) -> Result<T, CallError> {
        let answer = self
            .send(Call {
                method: Method::Post,
                path,
                idempotency_key,
                body: Some(body),
                actor,
                overtakes: false,
            })
            .await?;
        read(&answer)
    }

    /// Makes the call until it is answered for good. A token that has expired is renewed once.
    async fn send(&self, call: Call) -> Result<Vec<u8>, CallError> {
        let give_up_after = self.patience.give_up_after;
        self.send_within(call, give_up_after, &|| ()).await
    }

    async fn send_within(
        &self,
        mut call: Call,
        give_up_after: Duration,
        failed: &(dyn Fn() + Sync),
    ) -> Result<Vec<u8>, CallError> {
        let patience = Patience {
            give_up_after,
            ..self.patience.clone()
        };
        let mut attempts = patience.begin();
        let mut renewed = false;
        loop {
            let error = match self.once(&call).await {
                Ok(body) => return Ok(body),
                Err((CallError::Refused { status: 401, .. }, Some(token))) if !renewed => {
                    renewed = true;
                    self.forget(&token).await;
                    continue;
                }
                Err((error, _)) => error,
            };
            if !error.is_passing() {
                return Err(error);
            }
            failed();
            let why = error.to_string();
            if !attempts.failed(&why, error.retry_after()).await {
                return Err(error);
            }
            let in_flight = Code::IdempotencyKeyInFlight.as_str();
            if call.overtakes && error.code() == in_flight {
                call.idempotency_key = Some(self.fresh_key());
            }
        }
    }

    /// One try. With the error comes the minted token that was used.
    async fn once(&self, call: &Call) -> Result<Vec<u8>, (CallError, Option<String>)> {
        let (mut headers, minted) = self.headers(call.actor).await.map_err(|e| (e, None))?;
        if let Some(key) = &call.idempotency_key {
            headers.push((paths::IDEMPOTENCY_KEY, key.clone()));
        }
        let begun = Instant::now();
        let answer = self
            .transport
            .call(ApiRequest {
                method: call.method,
                path: call.path.clone(),
                headers,
                body: call.body.clone(),
            })
            .await;
        if answer.is_ok() {
            self.gauge.answered(begun.elapsed());
        }
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
            Ok(answer) => Err((CallError::refusal(&answer), minted)),
            Err(error) => Err((error.into(), minted)),
        }
    }

    /// The headers that say who asks, and the minted token if it is one.
    async fn headers(
        &self,
        actor: Actor,
    ) -> Result<(Vec<(&'static str, String)>, Option<String>), CallError> {
        let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
        let (key, owner) = match &self.credential {
            Credential::DeviceToken(token) => return Ok((vec![bearer(token)], None)),
            Credential::ApiKey { key, owner } => (key, owner),
        };
        if actor == Actor::Holder {
            return Ok((vec![bearer(key)], None));
        }
        let mut stand = self.stand.lock().await;
        let current = match &*stand {
            Some(current) => current.clone(),
            None => stand.insert(self.mint(key, owner).await?).clone(),
        };
        Ok(match current {
            Stand::Minted(token) => (vec![bearer(&token)], Some(token)),
            Stand::Key => (vec![bearer(key), (paths::OWNER, owner.clone())], None),
        })
    }

    async fn mint(&self, key: &str, owner: &str) -> Result<Stand, CallError> {
        let body = json(&MintToken {
            owner: owner.to_owned(),
            device: self.device.clone(),
            ttl_s: None,
        })?;
        let request = ApiRequest {
            method: Method::Post,
            path: paths::TOKENS.to_owned(),
            headers: vec![
                ("authorization", format!("Bearer {key}")),
                (paths::IDEMPOTENCY_KEY, self.fresh_key()),
            ],
            body: Some(body),
        };
        let answer = self.transport.call(request).await?;
        match answer.status {
            200..300 => Ok(Stand::Minted(read::<TokenMinted>(&answer.body)?.token)),
            403 => Ok(Stand::Key),
            _ => Err(CallError::refusal(&answer)),
        }
    }

    async fn forget(&self, token: &str) {
        let mut stand = self.stand.lock().await;
        if matches!(&*stand, Some(Stand::Minted(current)) if current == token) {
            *stand = None;
        }
    }

    fn fresh_key(&self) -> String {
        ids::public_id(&*self.patience.entropy)
    }
}

fn json(body: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(body).map_err(|e| CallError::NotUnderstood(e.to_string()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|e| CallError::NotUnderstood(e.to_string()))
}

/// A byte of a query value: as it is, or percent-encoded.
fn query_byte(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}
