//! What ETags are made of. The crate's header says what may be relied on.

use http::Uri;
use s3s::crypto::{Checksum as _, Md5, Sha256};

use crate::checksum::{Algorithm, Checksums};
use crate::expectation::Expectation;
use crate::hoist::is_presigned;
use crate::ids::Ids;
use crate::record::PartRecord;

/// The MD5 that may become an ETag: one that came with credentials. Whoever holds
/// a presigned URL could send two bodies with the same MD5 and so exchange one
/// for the other under readers who rely on the ETag.
pub(crate) fn trusted_md5(expectation: &Expectation, uri: &Uri) -> Option<String> {
    expectation.md5_hex().filter(|_| !is_presigned(uri.query()))
}

/// The ETag of a body with these checksums. `md5` is the body's MD5 in
/// hexadecimal if the client gave it, and is then the ETag.
pub(crate) fn of_body(ids: &Ids, md5: Option<String>, checksums: &Checksums) -> String {
    match (md5, checksums.get(&Algorithm::Sha256)) {
        (Some(md5), _) => md5,
        (None, Some(sha256)) => of_content(sha256),
        (None, None) => fresh(ids, 1),
    }
}

/// The ETag of an object that is put together from parts.
pub(crate) fn of_parts(ids: &Ids, parts: &[PartRecord]) -> String {
    let mut hasher = Md5::new();
    for part in parts {
        match md5_of(&part.etag) {
            Some(md5) => hasher.update(&md5),
            None => return fresh(ids, parts.len()),
        }
    }
    format!("{}-{}", hex::encode(hasher.finalize()), parts.len())
}

/// The MD5 that an ETag is, if it is one.
fn md5_of(etag: &str) -> Option<Vec<u8>> {
    hex::decode(etag).ok().filter(|bytes| bytes.len() == 16)
}

/// An ETag that nothing had before. The number keeps clients from taking it
/// for an MD5.
fn fresh(ids: &Ids, parts: usize) -> String {
    format!("{}-{parts}", ids.next())
}

/// The ETag of content with this SHA-256: the same bytes sent twice are the same version, so that a
/// late repetition of a PUT takes nothing from a reader who holds on to an ETag.
fn of_content(sha256: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"safelight etag 1\n");
    hasher.update(sha256.as_bytes());
    format!("{}-1", hex::encode(&hasher.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(etag: &str) -> PartRecord {
        PartRecord {
            number: 1,
            size_bytes: 1,
            etag: etag.to_owned(),
            modified_us: 0,
            checksums: Checksums::new(),
        }
    }

    #[test]
    fn only_an_md5_looks_like_one() {
        let ids = Ids::draw().unwrap();
        let none = Checksums::new();
        let sha256 = Checksums::from([(Algorithm::Sha256, "c2hhMjU2".to_owned())]);
        let md5 = hex::encode(Md5::checksum(b"abc"));
        assert_eq!(of_body(&ids, Some(md5.clone()), &sha256), md5);
        assert_eq!(md5_of(&md5), Some(Md5::checksum(b"abc").to_vec()));
        assert_eq!(md5_of(&of_body(&ids, None, &sha256)), None);
        assert_eq!(md5_of(&of_body(&ids, None, &none)), None);
        assert_eq!(of_body(&ids, None, &sha256), of_body(&ids, None, &sha256));
        assert_ne!(of_body(&ids, None, &none), of_body(&ids, None, &none));
    }

    #[test]
    fn parts_with_md5s_give_what_amazon_s3_gives() {
        let ids = Ids::draw().unwrap();
        let (one, two) = (Md5::checksum(b"one"), Md5::checksum(b"two"));
        let parts = [part(&hex::encode(one)), part(&hex::encode(two))];
        let joined = hex::encode(Md5::checksum(&[one, two].concat()));
        assert_eq!(of_parts(&ids, &parts), format!("{joined}-2"));
        let mixed = [part(&hex::encode(one)), part("0123-1")];
        assert_ne!(of_parts(&ids, &mixed), of_parts(&ids, &mixed));
        assert!(of_parts(&ids, &mixed).ends_with("-2"));
    }
}
