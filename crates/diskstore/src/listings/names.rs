//! The names in a directory, in no order.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawDir};

use crate::keypath::{Kind, Name, decode_name};

/// One call to the system brings so many bytes of them, some 700 names.
const BUFFER_BYTES: usize = 32 << 10;
/// Enough of them to know whether there is anything.
const PEEK_BYTES: usize = 4 << 10;
/// Among so many names the end of a key is looked for.
const PEEKED: usize = 64;

/// Shows each name in a directory that is text until one is refused. `false` if there is no such directory.
pub(super) fn each<E: From<io::Error>>(
    dir: &Path,
    show: impl FnMut(&str) -> Result<(), E>,
) -> Result<bool, E> {
    each_with(dir, BUFFER_BYTES, show)
}

/// The name of the end of a key, if one is among the first that come; else of a directory, if there is any. `None` also
/// if there is no such directory.
pub(super) fn leaf_or_any(dir: &Path) -> io::Result<Option<Name>> {
    enum Stop {
        Found(Name),
        Refused(io::Error),
    }
    impl From<io::Error> for Stop {
        fn from(error: io::Error) -> Self {
            Self::Refused(error)
        }
    }
    let (mut any, mut looked_at) = (None, 0);
    let looked = each_with(dir, PEEK_BYTES, |name| {
        looked_at += 1;
        match decode_name(name) {
            Some(name) if name.kind == Kind::Leaf => return Err(Stop::Found(name)),
            Some(name) => any = Some(name),
            None => {}
        }
        match any.take_if(|_| looked_at > PEEKED) {
            Some(name) => Err(Stop::Found(name)),
            None => Ok(()),
        }
    });
    match looked {
        Ok(_) => Ok(any),
        Err(Stop::Found(name)) => Ok(Some(name)),
        Err(Stop::Refused(error)) => Err(error),
    }
}

fn each_with<E: From<io::Error>>(
    dir: &Path,
    buffer_bytes: usize,
    mut show: impl FnMut(&str) -> Result<(), E>,
) -> Result<bool, E> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(dir, flags, Mode::empty()) {
        Ok(opened) => opened,
        // What is no directory is not of this store.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(false),
        Err(error) => return Err(refused(dir, error).into()),
    };
    let mut buffer = Vec::with_capacity(buffer_bytes);
    let mut names = RawDir::new(opened, buffer.spare_capacity_mut());
    while let Some(name) = names.next() {
        match name {
            Ok(name) => {
                if let Ok(name) = name.file_name().to_str() {
                    show(name)?;
                }
            }
            // It was removed while it was being read.
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            Err(error) => return Err(refused(dir, error).into()),
        }
    }
    Ok(true)
}

fn refused(dir: &Path, error: rustix::io::Errno) -> io::Error {
    tracing::warn!(%error, dir = %dir.display(), "a directory cannot be listed");
    error.into()
}
