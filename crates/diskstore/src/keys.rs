//! Who may do what: access keys and their policies.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use s3s::auth::SecretKey;
use s3s::{S3Error, S3Result, s3_error};

use crate::settings::Settings;

/// An access key beside the store's own, and what it may do.
#[derive(Clone)]
pub struct AccessKey {
    /// The access key id: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// The secret that requests with this key are signed with.
    pub secret: String,
    /// What it may do; at least one thing.
    pub may: BTreeSet<Permission>,
    /// The only bucket that it sees; all if none.
    pub bucket: Option<String>,
    /// What every key that it touches or lists must begin with.
    pub prefix: String,
}

/// What an access key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Get objects and what is known of them.
    Read,
    /// Put objects, at once or in parts, also over others.
    Write,
    /// Delete objects.
    Delete,
    /// List buckets, objects and open uploads.
    List,
    /// Make, configure and delete buckets.
    Admin,
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "read" => Self::Read,
            "write" => Self::Write,
            "delete" => Self::Delete,
            "list" => Self::List,
            "admin" => Self::Admin,
            _ => return Err(UnknownPermission(text.to_owned())),
        })
    }
}

/// A word that is no permission.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a permission: read, write, delete, list or admin")]
pub struct UnknownPermission(String);

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("may", &self.may)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Why a set of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the access key {id:?} {reason}")]
pub struct InvalidKey {
    id: String,
    reason: &'static str,
}

/// All keys of a store.
pub(crate) struct Keyring {
    keys: HashMap<String, (SecretKey, Policy)>,
}

/// What a key may do.
#[derive(Debug, Clone)]
pub(crate) enum Policy {
    /// Everything: the store's own key.
    All,
    /// What is listed, within its limits.
    Limited {
        may: BTreeSet<Permission>,
        bucket: Option<String>,
        prefix: String,
    },
}

impl Keyring {
    /// The keys of the settings.
    pub(crate) fn of(settings: &Settings) -> Result<Self, InvalidKey> {
        let own = (settings.secret_key.clone().into(), Policy::All);
        let mut keys = HashMap::from([(settings.access_key.clone(), own)]);
        for key in &settings.keys {
            let wrong = |reason| InvalidKey {
                id: key.id.clone(),
                reason,
            };
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            if key.id.is_empty() || !key.id.bytes().all(plain) {
                return Err(wrong("must consist of letters, digits, -, _ and ."));
            }
            if key.secret.is_empty() {
                return Err(wrong("has no secret"));
            }
            if key.may.is_empty() {
                return Err(wrong("may do nothing"));
            }
            if key.may.contains(&Permission::Admin) && !key.prefix.is_empty() {
                return Err(wrong("has a prefix and may yet administer whole buckets"));
            }
            let policy = Policy::Limited {
                may: key.may.clone(),
                bucket: key.bucket.clone(),
                prefix: key.prefix.clone(),
            };
            let entry = (key.secret.clone().into(), policy);
            if keys.insert(key.id.clone(), entry).is_some() {
                return Err(wrong("is there twice"));
            }
        }
        Ok(Self { keys })
    }

    /// The secret of a key; else `InvalidAccessKeyId`.
    pub(crate) fn secret(&self, id: &str) -> S3Result<&SecretKey> {
        match self.keys.get(id) {
            Some((secret, _)) => Ok(secret),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }

    /// What a key may do; else `AccessDenied`.
    pub(crate) fn policy(&self, id: &str) -> S3Result<&Policy> {
        match self.keys.get(id) {
            Some((_, policy)) => Ok(policy),
            None => Err(denied()),
        }
    }
}

impl Policy {
    /// Whether a key sees a bucket at all.
    pub(crate) fn sees(&self, bucket: &str) -> bool {
        match self {
            Self::All => true,
            Self::Limited { bucket: only, .. } => only.as_deref().is_none_or(|only| only == bucket),
        }
    }

    /// Refuses with `AccessDenied` what a key may do nowhere.
    pub(crate) fn check(&self, permission: Permission) -> S3Result<()> {
        match self {
            Self::Limited { may, .. } if !may.contains(&permission) => Err(denied()),
            _ => Ok(()),
        }
    }

    /// Refuses with `AccessDenied` what it may not do with this key of a
    /// bucket, or with all keys that begin so.
    pub(crate) fn check_key(
        &self,
        permission: Permission,
        bucket: &str,
        key: &str,
    ) -> S3Result<()> {
        self.check(permission)?;
        match self {
            Self::Limited { prefix, .. } if !key.starts_with(prefix.as_str()) => Err(denied()),
            _ if !self.sees(bucket) => Err(denied()),
            _ => Ok(()),
        }
    }
}

pub(crate) fn denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> AccessKey {
        AccessKey {
            id: id.to_owned(),
            secret: "secret".to_owned(),
            may: BTreeSet::from([Permission::Read]),
            bucket: Some("photos".to_owned()),
            prefix: "o/".to_owned(),
        }
    }

    fn keyring(keys: Vec<AccessKey>) -> Result<Keyring, InvalidKey> {
        Keyring::of(&Settings {
            keys,
            ..Settings::new("/", "own", "secret")
        })
    }

    #[test]
    fn a_key_may_do_what_it_may_where_it_may() {
        let keys = keyring(vec![key("a")]).unwrap();
        let policy = keys.policy("a").unwrap();
        policy.check_key(Permission::Read, "photos", "o/x").unwrap();
        assert!(
            policy
                .check_key(Permission::Write, "photos", "o/x")
                .is_err()
        );
        assert!(policy.check_key(Permission::Read, "photos", "x").is_err());
        assert!(policy.check_key(Permission::Read, "others", "o/x").is_err());
        assert!(policy.sees("photos") && !policy.sees("others"));
        let own = keys.policy("own").unwrap();
        own.check_key(Permission::Delete, "any", "x").unwrap();
        assert!(keys.policy("b").is_err() && keys.secret("b").is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        let admin = AccessKey {
            may: BTreeSet::from([Permission::Admin]),
            ..key("a")
        };
        let idle = AccessKey {
            may: BTreeSet::new(),
            ..key("a")
        };
        let open = AccessKey {
            secret: String::new(),
            ..key("a")
        };
        for wrong in [
            vec![key("a/b")],
            vec![key("")],
            vec![key("own")],
            vec![key("a"), key("a")],
            vec![admin],
            vec![idle],
            vec![open],
        ] {
            assert!(keyring(wrong).is_err());
        }
        assert!("reads".parse::<Permission>().is_err());
        assert!(!format!("{:?}", key("a")).contains("secret"));
    }
}
