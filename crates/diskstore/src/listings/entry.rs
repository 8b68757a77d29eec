//! A name in a directory, and what is known of the object that it stands for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::fault::Fault;
use crate::keypath::{Kind, Name};
use crate::record::Summary;

/// What an entry takes besides its name, about: its own fields, and what becomes known of its object.
const ENTRY_BYTES: usize = 240;

/// A name.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: Name,
    summary: OnceLock<Arc<Summary>>,
}

impl Entry {
    pub(super) fn of(name: Name) -> Self {
        Self {
            name,
            summary: OnceLock::new(),
        }
    }

    /// Whether it is the end of a key.
    pub(crate) fn is_leaf(&self) -> bool {
        self.name.kind == Kind::Leaf
    }

    /// Its path in its directory.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.name.file_name())
    }

    /// What a listing says of the object in this directory; `None` if there is none any more. An entry does not outlive
    /// a change of the object (see [`super::Listings::touched`]), so what was read once is kept with it.
    pub(crate) fn summary(&self, dir: &Path) -> Result<Option<Arc<Summary>>, Fault> {
        if let Some(summary) = self.summary.get() {
            return Ok(Some(Arc::clone(summary)));
        }
        let Some(summary) = Summary::of_file(&self.path(dir))? else {
            return Ok(None);
        };
        // What is damaged may be put back behind the store's back.
        if summary.is_damaged() {
            return Ok(Some(Arc::new(summary)));
        }
        Ok(Some(Arc::clone(
            self.summary.get_or_init(|| Arc::new(summary)),
        )))
    }

    /// The memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        entry_bytes(self.name.adds.len() + self.name.upload_id.len())
    }
}

/// The memory that an entry takes with so many bytes of names, about.
pub(super) fn entry_bytes(name_bytes: usize) -> usize {
    ENTRY_BYTES + name_bytes
}
