//! CORS rules as S3 writes them.

use s3s::dto;
use s3s::{S3Result, s3_error};

use super::CorsRule;

/// As on Amazon S3.
const MOST_RULES: usize = 100;
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

/// The rules that a client wants a bucket to have.
pub(crate) fn validate(config: dto::CORSConfiguration) -> S3Result<Vec<CorsRule>> {
    let rules = config.cors_rules;
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(s3_error!(
            MalformedXML,
            "A CORS configuration has 1 to {MOST_RULES} rules."
        ));
    }
    rules.into_iter().map(rule).collect()
}

fn rule(rule: dto::CORSRule) -> S3Result<CorsRule> {
    let rule = CorsRule {
        id: rule.id,
        origins: rule.allowed_origins,
        methods: rule.allowed_methods,
        headers: rule.allowed_headers.unwrap_or_default(),
        expose: rule.expose_headers.unwrap_or_default(),
        max_age_s: rule.max_age_seconds,
    };
    if rule.origins.is_empty() || rule.methods.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "A CORS rule needs an AllowedOrigin and an AllowedMethod."
        ));
    }
    if let Some(method) = rule
        .methods
        .iter()
        .find(|method| !METHODS.contains(&method.as_str()))
    {
        return Err(s3_error!(
            InvalidRequest,
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        ));
    }
    let stars = |text: &str| text.matches('*').count();
    if let Some(origin) = rule.origins.iter().find(|origin| stars(origin) > 1) {
        return Err(s3_error!(
            InvalidRequest,
            "AllowedOrigin \"{origin}\" can not have more than one wildcard."
        ));
    }
    if let Some(header) = rule.headers.iter().find(|header| stars(header) > 1) {
        return Err(s3_error!(
            InvalidRequest,
            "AllowedHeader \"{header}\" can not have more than one wildcard."
        ));
    }
    // They are sent back as they are, so they must be names of headers.
    if let Some(header) = rule.expose.iter().find(|header| {
        http::HeaderName::from_bytes(header.as_bytes()).is_err() || stars(header) > 0
    }) {
        return Err(s3_error!(
            InvalidRequest,
            "ExposeHeader \"{header}\" is not a header's name. Wildcards are not supported."
        ));
    }
    Ok(rule)
}

/// The rules of a bucket for GetBucketCors.
pub(crate) fn to_dto(rules: &[CorsRule]) -> Vec<dto::CORSRule> {
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    rules
        .iter()
        .map(|rule| dto::CORSRule {
            allowed_headers: some(&rule.headers),
            allowed_methods: rule.methods.clone(),
            allowed_origins: rule.origins.clone(),
            expose_headers: some(&rule.expose),
            id: rule.id.clone(),
            max_age_seconds: rule.max_age_s,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut dto::CORSRule)) -> S3Result<Vec<CorsRule>> {
        let mut rule = dto::CORSRule {
            allowed_methods: vec!["PUT".to_owned()],
            allowed_origins: vec!["https://*.example".to_owned()],
            ..dto::CORSRule::default()
        };
        change(&mut rule);
        validate(dto::CORSConfiguration {
            cors_rules: vec![rule],
        })
    }

    #[test]
    fn rules_come_back_as_they_were_given() {
        let rules = with(|rule| {
            rule.id = Some("phones".to_owned());
            rule.allowed_headers = Some(vec!["x-AMZ-*".to_owned()]);
            rule.expose_headers = Some(vec!["ETag".to_owned()]);
            rule.max_age_seconds = Some(5);
        })
        .unwrap();
        let again = validate(dto::CORSConfiguration {
            cors_rules: to_dto(&rules),
        });
        assert_eq!(again.unwrap(), rules);
    }

    #[test]
    fn nonsense_is_refused() {
        let code = |result: S3Result<Vec<CorsRule>>| result.unwrap_err().code().as_str().to_owned();
        assert_eq!(code(with(|r| r.allowed_methods.clear())), "MalformedXML");
        assert_eq!(code(with(|r| r.allowed_origins.clear())), "MalformedXML");
        assert_eq!(
            code(with(|r| r.allowed_methods[0] = "OPTIONS".to_owned())),
            "InvalidRequest"
        );
        assert_eq!(
            code(with(|r| r.allowed_origins[0] = "*.*".to_owned())),
            "InvalidRequest"
        );
        assert_eq!(
            code(with(|r| r.allowed_headers = Some(vec!["**".to_owned()]))),
            "InvalidRequest"
        );
        assert_eq!(
            code(with(|r| r.expose_headers = Some(vec!["a\r\nb".to_owned()]))),
            "InvalidRequest"
        );
        assert_eq!(
            code(validate(dto::CORSConfiguration::default())),
            "MalformedXML"
        );
    }
}
