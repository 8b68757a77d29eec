//! What handlers take from a request's head.

use axum::extract::FromRequestParts;
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

/// A caller who may work with an owner's media.
pub struct Media {
    /// Who calls.
    pub caller: Caller,
    /// Whose media.
    pub owner: Owner,
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
    use super::unquote;

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
