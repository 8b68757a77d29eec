//! Who may do what: everything for requests signed with the one key, if all
//! that could change their meaning is signed.

use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};

/// The longest life of a presigned URL in S3, in seconds.
const LONGEST_URL_S: u64 = 604_800;

/// Refuses anonymous requests and such with `x-amz-*` headers that are not
/// among the signed ones: whoever was handed a presigned URL could otherwise
/// add some.
pub(crate) struct SignedOnly;

#[async_trait::async_trait]
impl S3Access for SignedOnly {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required."));
        }
        let query = cx.uri().query().unwrap_or_default();
        if let Some(expires) = parameter(query, "X-Amz-Expires")
            && expires.parse::<u64>().is_ok_and(|s| s > LONGEST_URL_S)
        {
            return Err(s3_error!(
                AuthorizationQueryParametersError,
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds."
            ));
        }
        let signed = match parameter(query, "X-Amz-SignedHeaders") {
            Some(signed) => signed.into_owned(),
            None => cx
                .headers()
                .get(http::header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.split_once("SignedHeaders="))
                .and_then(|(_, rest)| rest.split([',', ' ']).next())
                .unwrap_or_default()
                .to_owned(),
        };
        let signed: Vec<&str> = signed.split(';').collect();
        for name in cx.headers().keys() {
            let name = name.as_str();
            if name.starts_with("x-amz-")
                // It can only make the check of the body stricter.
                && name != "x-amz-content-sha256"
                && !signed.contains(&name)
            {
                return Err(s3_error!(
                    AccessDenied,
                    "There were headers present in the request which were not signed: {name}."
                ));
            }
        }
        Ok(())
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then(|| percent_encoding::percent_decode_str(value).decode_utf8_lossy())
    })
}
