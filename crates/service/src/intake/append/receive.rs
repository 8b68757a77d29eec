//! Receiving the body of one request.
//!
//! Bytes are acknowledged part by part, and what is left at the end, whatever the end is. Where the request came with
//! a digest they are acknowledged all at once, when it held; parts that were stored for nothing go with the upload.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use safelight_catalog::appends::{Advance, AppendedPart};

use super::Gateway;
use super::digest::Expected;
use super::error::AppendError;
use super::scratch::Scratch;
use super::store;
use super::take::{Held, fix_length};
use crate::context::Context;

/// With so many segments the next one holds what they hold as well, so that a part is never in pieces without number.
const MOST_SEGMENTS: usize = 64;

/// What is known of a body before it comes.
pub struct Incoming<'a> {
    /// How many bytes it has, where that was said.
    pub size_bytes: Option<i64>,
    /// Whether the file ends with it.
    pub is_last: bool,
    /// What its bytes must come to.
    pub digest: Option<Expected>,
    /// Told the offset whenever more is acknowledged.
    pub on_progress: &'a (dyn Fn(i64) + Send + Sync),
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// The connection broke.
    Broken,
    /// The client sent nothing for too long.
    Idle,
    /// A newer request wants the upload.
    Overtaken,
    /// The server stops.
    Stopping,
    /// There were more bytes than the file has.
    TooMuch,
    /// There was no room for more.
    NoRoom,
}

struct Receiver<'a> {
    context: &'a Context,
    held: &'a mut Held,
    scratch: Scratch,
    /// The place in the file of the next byte.
    received: i64,
    /// The place of the first byte of the part that is being gathered.
    part_start: i64,
    /// The place of the first byte in the scratch file; before it are segments.
    fresh_start: i64,
    /// Parts that are stored and not acknowledged, where a digest has to hold first.
    pending: Option<Vec<AppendedPart>>,
}

/// A body that has begun waits so long for room, its client held up meanwhile, before it is broken off.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// So much is taken at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What a client sent that then says nothing for so long does not stay in memory.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(1);
/// So much is still read of a request that a newer one takes the upload from: what a socket holds,
const LATE_BYTES: usize = 4 << 20;
/// if it comes so soon, all of it.
const LATE: std::time::Duration = std::time::Duration::from_millis(50);

/// Receives a body. Thousands of requests wait for their bytes here, so that what is seldom done has room only while it is
/// done. How it ended; the offset stands in `held`.
///
/// # Errors
/// If the upload is no longer ours, there is no room, the bytes are not those of the digest, or store, catalog or
/// disk fail. What was acknowledged stays so.
pub async fn receive<E>(
    context: &Context,
    gateway: &Gateway,
    held: &mut Held,
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    mut incoming: Incoming<'_>,
) -> Result<Ending, AppendError> {
    let part_start = held.taken.in_parts_bytes;
    let received = held.taken.offset_bytes;
    let scratch_dir = context.settings.scratch_dir.clone();
    let scratch = Scratch::of(gateway, scratch_dir, &held.upload);
    let mut receiver = Receiver {
        context,
        held,
        scratch,
        received,
        part_start,
        fresh_start: received,
        pending: incoming.digest.is_some().then(Vec::new),
    };
    if receiver.received > receiver.part_end() {
        // An earlier version planned other parts while it was appended to. What waits fits into none of them.
        tracing::error!(
            upload_id = receiver.held.upload.upload_id,
            "an upload holds more than a part outside of its parts, and cannot be gone on with"
        );
        return Err(AppendError::Ended);
    }
    // Before a byte is read, so that nothing is read for which there is no room: also for what comes before it in its part.
    if incoming.size_bytes != Some(0) {
        let mut end = received.saturating_add(1);
        if incoming.digest.is_some() {
            // It is taken whole or not at all.
            let all = received.saturating_add(incoming.size_bytes.unwrap_or(i64::MAX));
            end = end.max(all.min(receiver.part_end()));
        }
        let end = receiver.place(end);
        receiver.scratch.reserve(end)?;
    }
    // What may still be read once a newer request asks for the upload.
    let mut late_bytes = None;
    let mut late_until = tokio::time::Instant::now();
    let ending = loop {
        let next = match late_bytes {
            None => tokio::select! {
                biased;
                () = receiver.held.place.asked() => {
                    late_bytes = Some(LATE_BYTES);
                    late_until = tokio::time::Instant::now() + LATE;
                    continue;
                }
                () = gateway.stop.cancelled() => break Ending::Stopping,
                // Thousands of clients may have stopped in the midst of a file.
                () = tokio::time::sleep(SILENCE), if receiver.scratch.is_in_memory() => {
                    Box::pin(receiver.scratch.leave_memory()).await?;
                    continue;
                }
                next = tokio::time::timeout(gateway.idle, body.next()) => next,
            },
            Some(0) => break Ending::Overtaken,
            // What has come over a connection that broke need not come again over the next one.
            // Who never stops sending is not waited for, even where each of his bytes is quick.
            Some(_) if late_until <= tokio::time::Instant::now() => break Ending::Overtaken,
            Some(_) => match tokio::time::timeout_at(late_until, body.next()).await {
                Ok(Some(Ok(chunk))) => Ok(Some(Ok(chunk))),
                _ => break Ending::Overtaken,
            },
        };
        let chunk = match next {
            Err(_) => break Ending::Idle,
            Ok(None) => {
                let came = receiver.received - received;
                // A connection that goes down can look like the end of a body.
                if incoming.size_bytes.is_some_and(|all| came < all) {
                    break Ending::Broken;
                }
                break Ending::Whole;
            }
            Ok(Some(Err(_))) => break Ending::Broken,
            Ok(Some(Ok(chunk))) => chunk,
        };
        if receiver.exceeds(chunk.len()) {
            break Ending::TooMuch;
        }
        late_bytes = late_bytes.map(|left: usize| left.saturating_sub(chunk.len()));
        if let Some(digest) = &mut incoming.digest {
            digest.count(&chunk);
        }
        match receiver.push(chunk, incoming.on_progress).await {
            Ok(()) => {}
            // What has come until here is kept.
            Err(AppendError::NoRoom) => break Ending::NoRoom,
            Err(error) => return Err(error),
        }
    };
    if let Some(digest) = incoming.digest.take() {
        // Without its end a body cannot be held against its digest.
        if ending != Ending::Whole {
            return Ok(ending);
        }
        if !digest.holds() {
            return Err(AppendError::Digest);
        }
    }
    let fixed = if ending == Ending::Whole && incoming.is_last {
        let length = receiver.received;
        Box::pin(fix_length(context, receiver.held, length)).await
    } else {
        Ok(())
    };
    // What came is kept, also where it is not what was declared.
    Box::pin(receiver.end()).await?;
    fixed.map(|()| ending)
}

impl Receiver<'_> {
    fn exceeds(&self, more: usize) -> bool {
        let tenant_id = &self.held.upload.tenant_id;
        let most = self
            .held
            .length_bytes()
            .unwrap_or(self.context.settings.media.max_file_bytes.of(tenant_id));
        self.received
            .saturating_add(i64::try_from(more).unwrap_or(i64::MAX))
            > most
    }

    fn part_end(&self) -> i64 {
        let full = self
            .part_start
            .saturating_add(self.held.upload.part_size_bytes);
        self.held.length_bytes().map_or(full, |all| full.min(all))
    }

    fn place(&self, offset: i64) -> u64 {
        u64::try_from(offset - self.part_start).unwrap_or(0)
    }

    async fn push(
        &mut self,
        mut chunk: Bytes,
        on_progress: &(dyn Fn(i64) + Send + Sync),
    ) -> Result<(), AppendError> {
        while !chunk.is_empty() {
            let room = usize::try_from(self.part_end() - self.received).unwrap_or(0);
            // As much as there is room for is taken.
            let piece = chunk.split_to(room.min(chunk.len()).min(PIECE_BYTES));
            let at = self.place(self.received);
            let end = at + piece.len() as u64;
            if self.scratch.reserve(end).is_err() {
                Box::pin(self.scratch.reserve_within(end, PATIENCE)).await?;
            }
            self.scratch.put(at, &piece).await?;
            self.received += i64::try_from(piece.len()).unwrap_or(0);
            if self.received == self.part_end() {
                Box::pin(self.part()).await?;
                if self.pending.is_none() {
                    on_progress(self.received);
                }
            }
        }
        Ok(())
    }

    /// Makes a part of what was gathered, with what waits in segments before it.
    async fn part(&mut self) -> Result<(), AppendError> {
        if self.fresh_start > self.part_start {
            store::fetch_segments(self.context, self.held, &mut self.scratch).await?;
        }
        let bytes = self.scratch.slice(0, self.place(self.received)).await?;
        let part = store::write_part(self.context, self.held, self.part_start, &bytes).await?;
        self.part_start = self.received;
        self.fresh_start = self.received;
        match &mut self.pending {
            Some(pending) => pending.push(part),
            None => self.acknowledge(vec![part], None, true).await?,
        }
        Ok(())
    }

    /// Acknowledges everything that was received.
    async fn end(&mut self) -> Result<(), AppendError> {
        // The last part of a file whose length is known only now.
        if self.received > self.part_start && self.received == self.part_end() {
            self.part().await?;
        }
        let mut segment = None;
        let mut merges = false;
        if self.received > self.fresh_start {
            let before = self.fresh_start > self.part_start;
            merges = before && self.held.taken.segments.len() >= MOST_SEGMENTS;
            let start = if merges {
                store::fetch_segments(self.context, self.held, &mut self.scratch).await?;
                self.part_start
            } else {
                self.fresh_start
            };
            let bytes = self
                .scratch
                .slice(self.place(start), self.place(self.received))
                .await?;
            segment = Some(store::write_segment(self.context, self.held, start, &bytes).await?);
        }
        let parts = self.pending.take().unwrap_or_default();
        if parts.is_empty() && segment.is_none() {
            return Ok(());
        }
        let replaces = merges || !parts.is_empty();
        self.acknowledge(parts, segment, replaces).await
    }

    async fn acknowledge(
        &mut self,
        parts: Vec<AppendedPart>,
        segment: Option<(String, String)>,
        replaces_segments: bool,
    ) -> Result<(), AppendError> {
        let step = Advance {
            from_bytes: self.held.taken.offset_bytes,
            to_bytes: self.received,
            parts,
            segment,
            replaces_segments,
            look_at: None,
        };
        store::advance(self.context, self.held, step).await
    }
}
