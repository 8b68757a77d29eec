//! Who appends to which upload in this process, so that a newer request can ask an older one to let go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a newer request waits for an older one to flush. After that the epoch shuts it out.
const PATIENCE: Duration = Duration::from_secs(5);

type Key = (String, String);

#[derive(Clone, Debug)]
struct Entry {
    number: u64,
    asked: CancellationToken,
    gone: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: HashMap<Key, Entry>,
}

/// The table of those who append.
#[derive(Clone, Debug, Default)]
pub struct Holders(Arc<Mutex<Table>>);

/// A place in the table; it is left when this is dropped.
#[derive(Debug)]
pub struct Place {
    table: Holders,
    key: Key,
    entry: Entry,
}

impl Holders {
    /// Takes the place of an upload. Who has it is asked to let go, and waited for, but not for ever.
    pub async fn enter(&self, tenant_id: &str, upload_id: &str) -> Place {
        self.enter_after(PATIENCE, tenant_id, upload_id).await
    }

    /// As [`Self::enter`], for who waits so long at most.
    async fn enter_after(&self, patience: Duration, tenant_id: &str, upload_id: &str) -> Place {
        let key = (tenant_id.to_owned(), upload_id.to_owned());
        let mut patient = true;
        loop {
            let before = match self.try_enter(&key, patient) {
                Ok(place) => return place,
                Err(before) => before,
            };
            before.asked.cancel();
            patient = tokio::time::timeout(patience, before.gone.cancelled())
                .await
                .is_ok();
        }
    }

    fn try_enter(&self, key: &Key, patient: bool) -> Result<Place, Entry> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = table.entries.get(key).filter(|_| patient) {
            return Err(before.clone());
        }
        table.next += 1;
        let entry = Entry {
            number: table.next,
            asked: CancellationToken::new(),
            gone: CancellationToken::new(),
        };
        table.entries.insert(key.clone(), entry.clone());
        Ok(Place {
            table: self.clone(),
            key: key.clone(),
            entry,
        })
    }
}

impl Place {
    /// Returns when a newer request wants the upload.
    pub async fn asked(&self) {
        self.entry.asked.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table
            .entries
            .get(&self.key)
            .is_some_and(|e| e.number == self.entry.number)
        {
            table.entries.remove(&self.key);
        }
        self.entry.gone.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newer_one_gets_the_place_when_the_older_one_leaves() {
        let holders = Holders::default();
        let first = holders.enter("t", "u").await;
        let other = holders.enter("t", "v").await;
        let waiting = tokio::spawn({
            let holders = holders.clone();
            async move { holders.enter("t", "u").await }
        });
        first.asked().await;
        assert!(!waiting.is_finished());
        drop(first);
        let second = waiting.await.unwrap();
        drop(other);
        assert_eq!(holders.0.lock().unwrap().entries.len(), 1);
        drop(second);
        assert!(holders.0.lock().unwrap().entries.is_empty());
    }

    #[tokio::test]
    async fn one_that_hangs_is_not_waited_for_for_ever() {
        let holders = Holders::default();
        let hangs = holders.enter("t", "u").await;
        let second = holders.enter_after(Duration::ZERO, "t", "u").await;
        // Its leaving does not take the place from the one that has it now.
        drop(hangs);
        assert_eq!(holders.0.lock().unwrap().entries.len(), 1);
        drop(second);
    }
}
