//! What stores are answered that tell of their objects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoreEventsHeard {
    /// So many uploads are looked at for it.
    pub looked_at: u64,
    /// So many events were of other buckets, of keys that are no upload's, or of uploads that are whole.
    pub ignored: u64,
}
