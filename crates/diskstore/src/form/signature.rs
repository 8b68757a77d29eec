//! Whether the policy of a form was signed with a key of the store, by
//! Signature Version 4.

use hmac::{Hmac, KeyInit as _, Mac as _};
use s3s::{S3Error, S3Result, s3_error};
use sha2::Sha256;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::fields::Fields;
use crate::keys::{Keyring, denied};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// A signing key is good for so long, as on Amazon S3.
const LONGEST_LIFE: Duration = Duration::days(7);
/// Clocks may differ by so much.
const SKEW: Duration = Duration::minutes(15);

/// Verifies the signature; returns the id of the access key.
pub(super) fn verify<'a>(
    fields: &'a Fields,
    keys: &Keyring,
    now: OffsetDateTime,
) -> S3Result<&'a str> {
    if fields.get("awsaccesskeyid").is_some() || fields.get("signature").is_some() {
        return Err(s3_error!(
            InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        ));
    }
    let names = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Signature",
    ];
    let lower = |name: &str| name.to_ascii_lowercase();
    if names.iter().all(|name| fields.get(&lower(name)).is_none()) {
        return Err(denied());
    }
    let policy = fields.require("Policy")?;
    let [algorithm, credential, date, signature] = names.map(|name| fields.require(name));
    if algorithm? != ALGORITHM {
        return Err(s3_error!(
            InvalidArgument,
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""
        ));
    }
    let (access_key, scope) = Scope::parse(credential?)?;
    let date = date?;
    let signed_at = PrimitiveDateTime::parse(
        date,
        format_description!("[year][month][day]T[hour][minute][second]Z"),
    )
    .map_err(|_| {
        s3_error!(
            InvalidArgument,
            "X-Amz-Date must be formated via ISO8601 Long format"
        )
    })?
    .assume_utc();
    let secret = keys.secret(access_key)?;
    let mac = mac(&scope.signing_key(secret.expose())?)?.chain_update(policy);
    let claimed = hex::decode(signature?).map_err(|_| mismatch())?;
    mac.verify_slice(&claimed).map_err(|_| mismatch())?;
    if !date.starts_with(scope.day) {
        return Err(mismatch());
    }
    if signed_at - now > SKEW {
        return Err(s3_error!(
            RequestTimeTooSkewed,
            "The difference between the request time and the server's time is too large."
        ));
    }
    if now - signed_at > LONGEST_LIFE {
        return Err(s3_error!(AccessDenied, "Request has expired"));
    }
    Ok(access_key)
}

/// For what a signing key is made.
struct Scope<'a> {
    day: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    /// Reads a credential: the access key and its scope.
    fn parse(credential: &'a str) -> S3Result<(&'a str, Self)> {
        let parts: Vec<&str> = credential.split('/').collect();
        match parts.as_slice() {
            [access_key, day, region, service @ "s3", "aws4_request"] => Ok((
                access_key,
                Self {
                    day,
                    region,
                    service,
                },
            )),
            _ => Err(s3_error!(
                InvalidArgument,
                "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\"."
            )),
        }
    }

    fn signing_key(&self, secret: &str) -> S3Result<Vec<u8>> {
        let mut key = format!("AWS4{secret}").into_bytes();
        for text in [self.day, self.region, self.service, "aws4_request"] {
            key = mac(&key)?
                .chain_update(text)
                .finalize()
                .into_bytes()
                .to_vec();
        }
        Ok(key)
    }
}

fn mac(key: &[u8]) -> S3Result<Hmac<Sha256>> {
    Hmac::new_from_slice(key).map_err(|_| s3_error!(InternalError, "The store failed."))
}

fn mismatch() -> S3Error {
    s3_error!(
        SignatureDoesNotMatch,
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    // The example of Amazon S3's documentation: "Example: Browser-Based Upload
    // using HTTP POST (Using AWS Signature Version 4)".
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    const SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
    const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request";

    fn check(change: impl Fn(&str) -> Option<&'static str>, now: OffsetDateTime) -> String {
        let settings = Settings::new(
            "/",
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        );
        let given = [
            ("Policy", POLICY),
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", CREDENTIAL),
            ("X-Amz-Date", "20151229T000000Z"),
            ("X-Amz-Signature", SIGNATURE),
        ];
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), change(name).unwrap_or(value).to_owned()))
            .filter(|(_, value)| value != "none");
        let fields = Fields::gather(given.collect(), "photos", None).unwrap();
        match verify(&fields, &Keyring::of(&settings).unwrap(), now) {
            Ok(access_key) => access_key.to_owned(),
            Err(error) => error.code().as_str().to_owned(),
        }
    }

    #[test]
    fn the_example_of_the_documentation_holds() {
        let day = time::macros::datetime!(2015-12-29 12:00 UTC);
        assert_eq!(check(|_| None, day), "AKIAIOSFODNN7EXAMPLE");
        let late = day + Duration::days(7);
        assert_eq!(check(|_| None, late), "AccessDenied");
        let early = day - Duration::days(1);
        assert_eq!(check(|_| None, early), "RequestTimeTooSkewed");
    }

    #[test]
    fn whatever_differs_is_refused() {
        let day = time::macros::datetime!(2015-12-29 12:00 UTC);
        for (name, value, code) in [
            ("Policy", "eyAi", "SignatureDoesNotMatch"),
            ("Policy", "none", "InvalidArgument"),
            ("X-Amz-Signature", "none", "InvalidArgument"),
            ("X-Amz-Signature", "8afdbf40", "SignatureDoesNotMatch"),
            ("X-Amz-Signature", "zz", "SignatureDoesNotMatch"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA1", "InvalidArgument"),
            ("X-Amz-Date", "20151230T000000Z", "SignatureDoesNotMatch"),
            ("X-Amz-Date", "yesterday", "InvalidArgument"),
            (
                "X-Amz-Credential",
                "AKIAIOSFODNN7EXAMPLE",
                "InvalidArgument",
            ),
            (
                "X-Amz-Credential",
                "somebody/20151229/us-east-1/s3/aws4_request",
                "InvalidAccessKeyId",
            ),
            (
                "X-Amz-Credential",
                "AKIAIOSFODNN7EXAMPLE/20151229/eu-west-1/s3/aws4_request",
                "SignatureDoesNotMatch",
            ),
        ] {
            let changed = check(|of| (of == name).then_some(value), day);
            assert_eq!(changed, code, "{name} {value}");
        }
        let unsigned = |name: &str| name.starts_with("X-Amz").then_some("none");
        assert_eq!(check(unsigned, day), "AccessDenied");
    }
}
