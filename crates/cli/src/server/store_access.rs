//! The file that says who else may use the embedded store, and who is told of its events.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use safelight_diskstore::{AccessKey, EventTarget, Receiver};
use serde::Deserialize;

/// What the file holds.
#[derive(Debug, Default)]
pub struct StoreAccess {
    /// Keys beside the server's own.
    pub keys: Vec<AccessKey>,
    /// Webhooks that buckets' configurations may name.
    pub targets: Vec<EventTarget>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<Key>,
    #[serde(default)]
    webhook: Vec<Webhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    secret: String,
    may: Vec<String>,
    bucket: Option<String>,
    #[serde(default)]
    prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    name: String,
    url: String,
    bearer: Option<String>,
}

/// Reads the file. One that is missing says nothing, unless it `must_exist`.
pub fn read(path: &Path, must_exist: bool) -> anyhow::Result<StoreAccess> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {
            return Ok(StoreAccess::default());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mode = std::fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} holds secrets and others may read it: chmod 600 it",
            path.display()
        );
    }
    // Only the message of an error is shown: the text around it may be a secret.
    let document: Document = toml::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.message()))?;
    document
        .into_access()
        .with_context(|| format!("{} is wrong", path.display()))
}

impl Document {
    fn into_access(self) -> anyhow::Result<StoreAccess> {
        let mut keys = Vec::with_capacity(self.key.len());
        for key in self.key {
            let may = key
                .may
                .iter()
                .map(|word| word.parse())
                .collect::<Result<_, _>>()
                .with_context(|| format!("key {}", key.id))?;
            keys.push(AccessKey {
                id: key.id,
                secret: key.secret,
                may,
                bucket: key.bucket,
                prefix: key.prefix,
            });
        }
        let targets = self.webhook.into_iter().map(|webhook| EventTarget {
            name: webhook.name,
            receiver: Receiver::Webhook {
                url: webhook.url,
                bearer: webhook.bearer,
            },
        });
        Ok(StoreAccess {
            keys,
            targets: targets.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use safelight_diskstore::Permission;

    use super::*;

    fn read_text(text: &str, mode: u32) -> anyhow::Result<StoreAccess> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("store.toml");
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, Permissions::from_mode(mode))?;
        read(&path, true)
    }

    const GOOD: &str = r#"
        [[key]]
        id = "RCLONE"
        secret = "s3cret"
        may = ["read", "list"]
        bucket = "safelight"
        prefix = "o/"

        [[key]]
        id = "BACKUP"
        secret = "s3cret"
        may = ["read"]

        [[webhook]]
        name = "intake"
        url = "https://hooks.example/store"
        bearer = "t0ken"
    "#;

    #[test]
    fn keys_and_webhooks_are_read() {
        let access = read_text(GOOD, 0o600).unwrap();
        let [rclone, backup] = access.keys.as_slice() else {
            panic!("two keys");
        };
        assert_eq!(rclone.may, [Permission::Read, Permission::List].into());
        assert_eq!(rclone.bucket.as_deref(), Some("safelight"));
        assert_eq!((rclone.prefix.as_str(), backup.prefix.as_str()), ("o/", ""));
        assert_eq!(access.targets[0].arn(), "arn:safelight:sqs::intake:webhook");
    }

    #[test]
    fn a_missing_file_is_fine_only_where_nobody_named_it() {
        let path = Path::new("/nowhere/store.toml");
        assert!(read(path, false).unwrap().keys.is_empty());
        assert!(read(path, true).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secrets() {
        for (text, mode, says) in [
            (GOOD.to_owned(), 0o640, "chmod 600"),
            (GOOD.replace("list", "lists"), 0o600, "lists"),
            (GOOD.replace("prefix", "prefixes"), 0o600, "prefixes"),
            (GOOD.replace("secret =", "password ="), 0o600, "password"),
            (GOOD.replace("\"s3cret\"", "\"s3cret"), 0o600, "store.toml"),
        ] {
            let error = format!("{:#}", read_text(&text, mode).unwrap_err());
            assert!(error.contains(says), "{error}");
            assert!(
                !error.contains("s3cret") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
