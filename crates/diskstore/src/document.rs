//! Checksums of bodies that s3s reads as XML documents.
//!
//! s3s does not give out their bytes, so they are hashed as they pass, and an
//! operation that takes a document asks whether it is what the client meant.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};
use hyper::body::{Body, Frame, SizeHint};
use s3s::{S3Request, S3Result, StdError, s3_error};

use crate::expectation::{Expectation, Hasher};

/// The hashes of a request's document, in the request's extensions.
#[derive(Clone)]
struct Digest(Arc<Mutex<Option<Hasher>>>);

/// Prepares to hash a request's body if s3s will read it as a document and the
/// headers say what it is.
pub(crate) fn watch<B>(parts: &mut Parts, body: B) -> Watched<B> {
    let digest = expectation(&parts.method, parts.uri.query(), &parts.headers)
        .filter(Expectation::is_given)
        .map(|expectation| Digest(Arc::new(Mutex::new(Some(expectation.hasher())))));
    if let Some(digest) = &digest {
        parts.extensions.insert(digest.clone());
    }
    Watched { body, digest }
}

/// Compares a document with what the headers say of it.
pub(crate) fn verify<T>(request: &S3Request<T>) -> S3Result<()> {
    let query = request.uri.query();
    let expectation = match kind(&request.method, query) {
        Some(Kind::Checked) => Expectation::of_headers(&request.headers)?,
        _ => Expectation::of_md5(&request.headers)?,
    };
    let hasher = request.extensions.get::<Digest>().and_then(|digest| {
        digest
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    });
    match hasher {
        Some(hasher) => expectation.verify(hasher).map(drop),
        None if expectation.is_given() => {
            Err(s3_error!(InvalidRequest, "This body cannot be verified."))
        }
        None => Ok(()),
    }
}

/// The same where S3 insists on a checksum.
pub(crate) fn verify_required<T>(request: &S3Request<T>) -> S3Result<()> {
    if !Expectation::of_headers(&request.headers)?.is_given() {
        return Err(s3_error!(
            InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        ));
    }
    verify(request)
}

/// What the checksums in the headers are about.
enum Kind {
    /// The document.
    Checked,
    /// The object that CompleteMultipartUpload makes; only `Content-MD5` is
    /// about the document.
    Complete,
}

/// Documents come with POST, or with PUT to a subresource, which is a parameter
/// without a value (`?tagging`).
fn kind(method: &Method, query: Option<&str>) -> Option<Kind> {
    let mut pairs = query.unwrap_or_default().split('&');
    if *method == Method::POST {
        Some(match pairs.any(|pair| pair.starts_with("uploadId=")) {
            true => Kind::Complete,
            false => Kind::Checked,
        })
    } else if *method == Method::PUT {
        pairs
            .any(|pair| !pair.is_empty() && pair.split_once('=').is_none_or(|(_, v)| v.is_empty()))
            .then_some(Kind::Checked)
    } else {
        None
    }
}

fn expectation(method: &Method, query: Option<&str>, headers: &HeaderMap) -> Option<Expectation> {
    // What is wrong with the headers, the operation will say.
    match kind(method, query)? {
        Kind::Checked => Expectation::of_headers(headers).ok(),
        Kind::Complete => Expectation::of_md5(headers).ok(),
    }
}

/// A body that is hashed as it passes.
pub(crate) struct Watched<B> {
    body: B,
    digest: Option<Digest>,
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(digest), Some(Ok(frame))) = (&self.digest, &frame)
            && let Some(bytes) = frame.data_ref()
            && let Some(hasher) = &mut *digest.0.lock().unwrap_or_else(PoisonError::into_inner)
        {
            hasher.update(bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
