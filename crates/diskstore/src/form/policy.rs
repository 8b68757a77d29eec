//! The policy of a form: what its signer allows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::{S3Error, S3Result, s3_error};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fields::Fields;

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    expires: OffsetDateTime,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
struct Condition {
    rule: Rule,
    /// As an error shows it.
    shown: String,
}

#[derive(Debug)]
enum Rule {
    Equal { field: String, value: String },
    StartsWith { field: String, prefix: String },
    LengthRange { min: u64, max: u64 },
}

impl Policy {
    /// Reads a policy as a form carries it.
    pub(super) fn parse(encoded: &str) -> S3Result<Self> {
        let bytes = BASE64
            .decode(encoded)
            .map_err(|_| invalid("invalid Base64 encoding."))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| invalid("Invalid JSON."))?;
        let Value::Object(mut document) = value else {
            return Err(invalid("Invalid JSON."));
        };
        let expires = match document.remove("expiration") {
            Some(Value::String(text)) => OffsetDateTime::parse(&text, &Rfc3339)
                .ok()
                .filter(|_| text.contains('T') && text.ends_with('Z'))
                .ok_or_else(|| invalid(&format!("Invalid 'expiration' value: '{text}'")))?,
            _ => return Err(invalid("Policy missing expiration.")),
        };
        let Some(Value::Array(conditions)) = document.remove("conditions") else {
            return Err(invalid("Policy missing conditions."));
        };
        if let Some(name) = document.keys().next() {
            return Err(invalid(&format!("Unexpected: '{name}'")));
        }
        Ok(Self {
            expires,
            conditions: conditions
                .into_iter()
                .map(Condition::parse)
                .collect::<S3Result<_>>()?,
        })
    }

    /// Refuses a form that the policy does not allow. The bucket counts as a
    /// field; so does everything else but what [`Fields::needs_condition`] says.
    pub(super) fn check(&self, fields: &Fields, now: OffsetDateTime) -> S3Result<()> {
        if now >= self.expires {
            return Err(against("Policy expired."));
        }
        for condition in &self.conditions {
            let holds = match &condition.rule {
                Rule::Equal { field, value } => fields.get(field) == Some(value),
                Rule::StartsWith { field, prefix } => fields
                    .get(field)
                    .is_some_and(|value| starts_with(field, value, prefix)),
                Rule::LengthRange { .. } => true,
            };
            if !holds {
                return Err(against(&format!(
                    "Policy Condition failed: {}",
                    condition.shown
                )));
            }
        }
        for name in fields.names().filter(|name| Fields::needs_condition(name)) {
            let covered = self.conditions.iter().any(|condition| {
                matches!(&condition.rule, Rule::Equal { field, .. } | Rule::StartsWith { field, .. } if field == name)
            });
            if !covered {
                return Err(against(&format!("Extra input fields: {name}")));
            }
        }
        Ok(())
    }

    /// The least and the most bytes that the file may have, within those of the
    /// store.
    pub(super) fn length_range(&self, most: u64) -> (u64, u64) {
        self.conditions
            .iter()
            .fold((0, most), |(least, most), condition| match condition.rule {
                Rule::LengthRange { min, max } => (least.max(min), most.min(max)),
                _ => (least, most),
            })
    }
}

impl Condition {
    fn parse(value: Value) -> S3Result<Self> {
        match value {
            Value::Object(pair) => {
                let mut pairs = pair.into_iter();
                let (Some((field, value)), None) = (pairs.next(), pairs.next()) else {
                    return Err(invalid(
                        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                    ));
                };
                let Value::String(value) = value else {
                    return Err(invalid("Invalid Simple-Condition: value must be a string."));
                };
                Ok(Self {
                    shown: shown("eq", &format!("${field}"), &value),
                    rule: Rule::Equal {
                        field: field.to_ascii_lowercase(),
                        value,
                    },
                })
            }
            Value::Array(items) => Self::parse_list(&items),
            _ => Err(invalid("Invalid condition: must be a List or Object.")),
        }
    }

    fn parse_list(items: &[Value]) -> S3Result<Self> {
        let Some(Value::String(operation)) = items.first() else {
            return Err(invalid("Invalid Condition: missing operation identifier."));
        };
        let operation = operation.to_ascii_lowercase();
        let [_, first, second] = items else {
            return Err(invalid(&format!(
                "Invalid {operation}: wrong number of arguments."
            )));
        };
        if operation == "content-length-range" {
            let (Some(min), Some(max)) = (bytes(first), bytes(second)) else {
                return Err(invalid(
                    "Invalid content-length-range: the limits must be whole numbers.",
                ));
            };
            return Ok(Self {
                rule: Rule::LengthRange { min, max },
                shown: String::new(),
            });
        }
        let (Value::String(name), Value::String(value)) = (first, second) else {
            return Err(invalid("Invalid JSON."));
        };
        let Some(field) = name.strip_prefix('$') else {
            return Err(against(&format!(
                "Policy Condition failed: {}",
                shown(&operation, name, value)
            )));
        };
        let field = field.to_ascii_lowercase();
        let shown = shown(&operation, name, value);
        let value = value.clone();
        let rule = match operation.as_str() {
            "eq" => Rule::Equal { field, value },
            "starts-with" => Rule::StartsWith {
                field,
                prefix: value,
            },
            _ => {
                return Err(invalid(&format!(
                    "Invalid Condition: unknown operation '{operation}'."
                )));
            }
        };
        Ok(Self { rule, shown })
    }
}

/// A limit, which some write as a text.
fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_u64(),
    }
}

/// Types of content separated by commas must all begin so.
fn starts_with(field: &str, value: &str, prefix: &str) -> bool {
    if field == "content-type" {
        value.split(',').all(|one| one.trim().starts_with(prefix))
    } else {
        value.starts_with(prefix)
    }
}

fn shown(operation: &str, field: &str, value: &str) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    format!(
        "[{}, {}, {}]",
        quoted(operation),
        quoted(field),
        quoted(value)
    )
}

fn invalid(why: &str) -> S3Error {
    s3_error!(InvalidPolicyDocument, "Invalid Policy: {why}")
}

fn against(why: &str) -> S3Error {
    s3_error!(AccessDenied, "Invalid according to Policy: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(conditions: &str) -> S3Result<Policy> {
        let text = format!(
            r#"{{ "expiration": "2030-01-01T12:00:00.000Z", "conditions": {conditions} }}"#
        );
        Policy::parse(&BASE64.encode(text))
    }

    fn fields(given: &[(&str, &str)]) -> Fields {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Fields::gather(given.collect(), "photos", None).unwrap()
    }

    fn check(conditions: &str, given: &[(&str, &str)]) -> Result<(), (String, String)> {
        let now = time::macros::datetime!(2029-12-31 0:00 UTC);
        policy(conditions)
            .and_then(|policy| policy.check(&fields(given), now))
            .map_err(|error| {
                (
                    error.code().as_str().to_owned(),
                    error.message().unwrap_or_default().to_owned(),
                )
            })
    }

    #[test]
    fn every_condition_must_hold() {
        let conditions = r#"[{"bucket": "photos"}, ["starts-with", "$Key", "o/"],
            ["EQ", "$success_action_STATUS", "201"], ["starts-with", "$Content-Type", "image/"]]"#;
        let ok = [
            ("Key", "o/a"),
            ("success_action_status", "201"),
            ("content-type", "image/png,image/gif"),
        ];
        check(conditions, &ok).unwrap();
        let denied = |given: &[(&str, &str)], shown: &str| {
            let (code, message) = check(conditions, given).unwrap_err();
            assert_eq!(code, "AccessDenied");
            assert_eq!(message, format!("Invalid according to Policy: {shown}"));
        };
        denied(
            &[("key", "p/a")],
            r#"Policy Condition failed: ["starts-with", "$Key", "o/"]"#,
        );
        denied(
            &[("key", "o/a"), ("success_action_status", "200")],
            r#"Policy Condition failed: ["eq", "$success_action_STATUS", "201"]"#,
        );
        denied(
            &[ok[0], ok[1], ("content-type", "image/png,text/html")],
            r#"Policy Condition failed: ["starts-with", "$Content-Type", "image/"]"#,
        );
        denied(
            &[ok[0], ok[1]],
            r#"Policy Condition failed: ["starts-with", "$Content-Type", "image/"]"#,
        );
        let more = [ok[0], ok[1], ok[2], ("x-amz-meta-a", "b")];
        denied(&more, "Extra input fields: x-amz-meta-a");
        let ignored = [ok[0], ok[1], ok[2], ("x-ignore-a", "b"), ("policy", "p")];
        check(conditions, &ignored).unwrap();
        let elsewhere = conditions.replace("photos", "other");
        assert!(check(&elsewhere, &ok).is_err());
    }

    #[test]
    fn a_policy_must_name_the_bucket() {
        let (code, message) = check(r#"[["eq", "$key", "k"]]"#, &[("key", "k")]).unwrap_err();
        assert_eq!(code, "AccessDenied");
        assert!(message.ends_with("Extra input fields: bucket"), "{message}");
    }

    #[test]
    fn a_policy_ends() {
        let policy = policy(r#"[{"bucket": "photos"}]"#).unwrap();
        let last = time::macros::datetime!(2030-01-01 11:59:59.999 UTC);
        policy.check(&fields(&[]), last).unwrap();
        let end = time::macros::datetime!(2030-01-01 12:00 UTC);
        let error = policy.check(&fields(&[]), end).unwrap_err();
        assert!(error.message().unwrap().ends_with("Policy expired."));
    }

    #[test]
    fn the_narrowest_range_holds() {
        let range = |conditions: &str| policy(conditions).unwrap().length_range(100);
        assert_eq!(range("[]"), (0, 100));
        assert_eq!(range(r#"[["content-length-range", 5, 10]]"#), (5, 10));
        assert_eq!(
            range(r#"[["content-length-range", "5", "1000"]]"#),
            (5, 100)
        );
        assert_eq!(
            range(r#"[["content-length-range", 0, 50], ["content-length-range", 7, 60]]"#),
            (7, 50)
        );
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for conditions in [
            "{}",
            "[{}]",
            r#"[{"a": "b", "c": "d"}]"#,
            r#"[{"a": 1}]"#,
            "[1]",
            "[[]]",
            r#"[["eq", "$key"]]"#,
            r#"[["like", "$key", "k"]]"#,
            r#"[["eq", "$key", 1]]"#,
            r#"[["content-length-range", -1, 2]]"#,
            r#"[["content-length-range", 0]]"#,
            r#"[["content-length-range", 0, 1.5]]"#,
        ] {
            let error = policy(conditions).unwrap_err();
            assert_eq!(
                error.code().as_str(),
                "InvalidPolicyDocument",
                "{conditions}"
            );
        }
        for text in [
            "",
            "[]",
            r#"{"conditions": []}"#,
            r#"{"expiration": "2030-01-01T12:00:00Z"}"#,
            r#"{"EXPIRATION": "2030-01-01T12:00:00Z", "conditions": []}"#,
            r#"{"expiration": "2030-01-01 12:00:00Z", "conditions": []}"#,
            r#"{"expiration": "2030-01-01T12:00:00+02:00", "conditions": []}"#,
            r#"{"expiration": "2030-01-01T12:00:00Z", "conditions": [], "Statement": []}"#,
        ] {
            let error = Policy::parse(&BASE64.encode(text)).unwrap_err();
            assert_eq!(error.code().as_str(), "InvalidPolicyDocument", "{text}");
        }
        assert!(Policy::parse("%").is_err());
    }
}
