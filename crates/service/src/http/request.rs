//! What handlers take from a request's head.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header;
use http::request::Parts;
use safelight_api::paths;
use safelight_model::codes::Code;
use safelight_model::limits;
use serde::de::DeserializeOwned;

use super::problem::Refused;
use super::router::AppState;
use crate::context::Owner;
use crate::governance::authenticate::{Caller, Unauthenticated, authenticate};
use crate::governance::decide::Viewer;

/// A caller whose credential was good.
pub struct Authenticated(pub Caller);

/// What a caller shows to say who he is.
pub struct Credential {
    bearer: Option<String>,
    named_owner: Option<String>,
}

impl Credential {
    fn of(parts: &Parts) -> Self {
        let text = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let bearer = text(header::AUTHORIZATION.as_str())
            .and_then(|v| v.strip_prefix("Bearer "))
            .map(str::trim);
        Self {
            bearer: bearer.map(str::to_owned),
            named_owner: text(paths::OWNER).map(str::to_owned),
        }
    }

    /// Who it says he is, as of now.
    pub(super) async fn caller(&self, state: &AppState) -> Result<Caller, Unauthenticated> {
        let (bearer, owner) = (self.bearer.as_deref(), self.named_owner.as_deref());
        authenticate(&state.context, &state.remembered, bearer, owner).await
    }
}

impl<S: Sync> FromRequestParts<S> for Credential {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Ok(Self::of(parts))
    }
}

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refused> {
        Ok(Self(Credential::of(parts).caller(state).await?))
    }
}

/// The object store, telling what happens to its objects.
pub struct StoreSender;

impl FromRequestParts<AppState> for StoreSender {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refused> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let sent = header.and_then(|v| v.to_str().ok()).and_then(secret_of);
        match &state.context.settings.store_events_secret {
            None => Err(Refused::because(
                Code::Forbidden,
                "events of the store are not taken here: set store_events_secret",
            )),
            Some(secret) if sent.as_deref().is_some_and(|sent| secret.is(sent)) => Ok(Self),
            Some(_) => Err(Refused::because(
                Code::Unauthorized,
                "send the store_events_secret of this server as bearer token or as password",
            )),
        }
    }
}

/// What a store sends to be known: a bearer token, or the password of whatever user.
fn secret_of(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
    login
        .split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// A caller who may work with an owner's media.
pub struct Media {
    /// Who calls.
    pub caller: Caller,
    /// Whose media.
    pub owner: Owner,
}

impl Media {
    /// Who looks at them.
    pub fn viewer(&self) -> Viewer {
        self.caller.viewer()
    }
}

impl FromRequestParts<AppState> for Media {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refused> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        caller.require("media")?;
        let owner = caller.owner()?;
        Ok(Self { caller, owner })
    }
}

/// The idempotency key of a write.
pub struct IdempotencyKey(pub String);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let missing = || {
            Refused::because(
                Code::IdempotencyKeyMissing,
                "send an Idempotency-Key of 1 to 255 characters, and the same one with every repetition",
            )
        };
        let header = parts
            .headers
            .get(paths::IDEMPOTENCY_KEY)
            .ok_or_else(missing)?;
        let key = header.to_str().ok().and_then(unquote).ok_or_else(missing)?;
        Ok(Self(key))
    }
}

/// The idempotency key of a write that may come without one.
pub struct MaybeKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for MaybeKey {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        if !parts.headers.contains_key(paths::IDEMPOTENCY_KEY) {
            return Ok(Self(None));
        }
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, state).await?;
        Ok(Self(Some(key)))
    }
}

/// A structured-field string (RFC 9651, section 3.3.3), or a bare token.
pub(super) fn unquote(text: &str) -> Option<String> {
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => {
            let inner = rest.strip_suffix('"')?;
            let mut key = String::with_capacity(inner.len());
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
                    '"' => return None,
                    c => key.push(c),
                }
            }
            key
        }
        None => text.to_owned(),
    };
    (!key.is_empty() && key.len() <= limits::MAX_IDEMPOTENCY_KEY).then_some(key)
}

/// What stands in a path's places.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| {
                Refused::because(Code::NotFound, "there is no such path; see /openapi.json")
            })
    }
}

/// A query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|e| {
                Refused::because(
                    Code::ValidationFailed,
                    format!("the query is not what is expected: {e}"),
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{secret_of, unquote};

    #[test]
    fn a_secret_comes_as_token_or_password() {
        // `any:s3:cret`
        for header in [
            "Bearer s3:cret",
            "bearer  s3:cret ",
            "Basic YW55OnMzOmNyZXQ=",
        ] {
            assert_eq!(secret_of(header).as_deref(), Some("s3:cret"), "{header}");
        }
        for header in [
            "s3:cret",
            "Digest s3:cret",
            "Basic s3:cret",
            "Basic YW55",
            "",
        ] {
            assert_eq!(secret_of(header), None, "{header}");
        }
    }

    #[test]
    fn keys_come_quoted_or_bare() {
        assert_eq!(unquote("\"a-1\"").as_deref(), Some("a-1"));
        assert_eq!(unquote("a-1").as_deref(), Some("a-1"));
        assert_eq!(unquote("\"a\\\"b\"").as_deref(), Some("a\"b"));
        for wrong in ["", "\"\"", "\"a", "\"a\"b\"", "\"a\\x\""] {
            assert_eq!(unquote(wrong), None, "{wrong}");
        }
        assert_eq!(unquote(&"k".repeat(256)), None);
    }
}
