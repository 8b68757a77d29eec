//! The key directory: made at the first start, readable by its owner only.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use safelight_model::entropy::{self, Entropy};
use safelight_model::ids;
use safelight_service::governance::keyring::Keyring;

/// What the key directory holds.
pub struct Keys {
    /// What signs tokens and links.
    pub keyring: Keyring,
    /// The first API key.
    pub admin: String,
    /// The embedded store's access key and secret.
    pub store: (String, String),
}

/// Makes a directory that only its owner can enter.
pub fn private_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

/// Reads the keys, making those that are missing.
pub fn open(dir: &Path, source: &dyn Entropy) -> anyhow::Result<Keys> {
    private_dir(dir)?;
    let token = read_or_make(dir, "token.key", || hex(&entropy::bytes(source)))?;
    let link = read_or_make(dir, "link.key", || hex(&entropy::bytes(source)))?;
    let admin = read_or_make(dir, "admin.key", || {
        format!("sk_{}", ids::base62(32, source))
    })?;
    let store = read_or_make(dir, "store.key", || {
        format!(
            "SL{}:{}",
            ids::base62(18, source).to_uppercase(),
            ids::base62(40, source)
        )
    })?;
    let Some((access, secret)) = store.split_once(':') else {
        bail!("{}/store.key must hold `access:secret`", dir.display())
    };
    let mut keyring = Keyring::of(
        &unhex(dir, "token.key", &token)?,
        unhex(dir, "link.key", &link)?,
    );
    // Never made: processes that share a catalog must agree, and a copy of `link.key` is right until that changes.
    if let Some(root) = read(dir, "webhook.key")? {
        keyring = keyring.with_webhook_root(unhex(dir, "webhook.key", &root)?);
    }
    Ok(Keys {
        keyring,
        store: (access.to_owned(), secret.to_owned()),
        admin,
    })
}

fn read(dir: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let path = dir.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn read_or_make(dir: &Path, name: &str, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    let path = dir.join(name);
    let shown = || format!("cannot read or make {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(shown),
    }
    // Written whole under another name and linked, so that of two starting at once both use the same.
    let draft = dir.join(format!("{name}.{}", std::process::id()));
    let text = make();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .with_context(shown)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .with_context(shown)?;
    file.sync_all().with_context(shown)?;
    let linked = std::fs::hard_link(&draft, &path);
    std::fs::remove_file(&draft).with_context(shown)?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(shown),
    }
    std::fs::File::open(dir)
        .and_then(|d| d.sync_all())
        .with_context(shown)?;
    Ok(std::fs::read_to_string(&path)
        .with_context(shown)?
        .trim()
        .to_owned())
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(dir: &Path, name: &str, text: &str) -> anyhow::Result<[u8; 32]> {
    let mut out = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        bail!("{}/{name} must hold 64 hexadecimal digits", dir.display());
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(&String::from_utf8_lossy(pair), 16)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use safelight_model::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn keys_are_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(&dir.path().join("keys"), &SeededEntropy::new(1)).unwrap();
        let second = open(&dir.path().join("keys"), &SeededEntropy::new(2)).unwrap();
        assert_eq!(first.admin, second.admin);
        assert_eq!(first.store, second.store);
        assert_eq!(first.keyring.link_key_id, second.keyring.link_key_id);
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("keys")), 0o700);
        assert_eq!(mode(&dir.path().join("keys/admin.key")), 0o600);
        assert_eq!(
            std::fs::read_dir(dir.path().join("keys")).unwrap().count(),
            4
        );
    }

    #[test]
    fn webhooks_keep_their_secrets_when_the_link_key_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let secret = |seed| {
            let keys = open(dir.path(), &SeededEntropy::new(seed)).unwrap();
            (
                keys.keyring.webhook_secret("ten_1", "whk_1", "salt"),
                keys.keyring.link_key_id,
            )
        };
        let (before, link_before) = secret(1);
        std::fs::copy(file("link.key"), file("webhook.key")).unwrap();
        std::fs::remove_file(file("link.key")).unwrap();
        let (after, link_after) = secret(2);
        assert_eq!(before, after);
        assert_ne!(link_before, link_after);
        std::fs::write(file("webhook.key"), "short").unwrap();
        assert!(open(dir.path(), &SeededEntropy::new(3)).is_err());
    }
}
