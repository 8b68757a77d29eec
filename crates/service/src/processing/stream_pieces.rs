//! A clip in pieces, for players that fetch it so (HTTP Live Streaming, RFC 8216): one file in fragments, made of the `stream` without
//! decoding it, and a playlist of byte ranges in it.
//!
//! The playlist is stored with the file's name as it stands in links; delivery puts the signed link in its place.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use safelight_catalog::renditions::Stored;
use safelight_imaging::{Fragments, fragments};
use safelight_model::codes::Code;
use safelight_model::preset::{HLS, Label};
use safelight_model::variant::HLS_MEDIA;
use safelight_objects::{ObjectKey, PutOptions, ownership};

use super::fetch_original::{disk_failed, store_failed};
use super::not_made::not_made;
use super::sandbox::ClipFacts;
use super::store_rendition::CACHE_CONTROL;
use super::transcode::Clip;
use crate::work::JobError;

/// What of the file is read for its index: with 65,535 fragments, the most there are, that is less.
const HEAD_BYTES: u64 = 1 << 20;

/// The name of the file in its playlist, as in links.
fn media_name() -> String {
    let Label {
        name,
        version,
        format,
    } = HLS_MEDIA.label();
    format!("{name}@{version}.{}", format.extension())
}

/// Makes and stores both, of a stream in a file.
pub(super) async fn make(
    clip: &Clip<'_>,
    (stream, facts): (File, ClipFacts),
) -> Result<[Stored; 2], JobError> {
    let Clip {
        context, job, blob, ..
    } = *clip;
    let made = clip.sandbox.fragment_stream(&stream.into()).await;
    let made = made.map_err(|error| not_made(&error, job))?;
    let read = made.try_clone().map_err(|e| disk_failed(&e))?;
    let found = tokio::task::spawn_blocking(move || index(&read)).await;
    let found = found
        .map_err(std::io::Error::other)
        .and_then(|read| read)
        .map_err(|e| disk_failed(&e))?;
    let found = found.ok_or_else(|| JobError::Cancel {
        code: Code::Internal,
        detail: "the clip in pieces has no index".to_owned(),
    })?;
    let (width, height) = (i64::from(facts.width), i64::from(facts.height));
    let media = clip.store(HLS_MEDIA, (made, facts)).await?;
    let text = playlist(&found);
    let key = ObjectKey::rendition(&job.tenant_id, &blob.blob_id, &HLS.label());
    let key = key.map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    let metadata = ownership(&context.catalog_id, &job.tenant_id, clip.asset_id);
    let options = PutOptions {
        content_type: Some(HLS.format.mime()),
        cache_control: Some(CACHE_CONTROL),
        metadata: Some(&metadata),
        ..PutOptions::default()
    };
    let size_bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let put = context.objects.put(&key, Bytes::from(text), options).await;
    let playlist = Stored {
        preset: HLS,
        object_key: key.as_str().to_owned(),
        etag: put.map_err(|e| store_failed(&e))?,
        width,
        height,
        size_bytes,
    };
    Ok([media, playlist])
}

fn index(file: &File) -> std::io::Result<Option<Fragments>> {
    let size_bytes = file.metadata()?.len();
    let length = usize::try_from(size_bytes.min(HEAD_BYTES)).unwrap_or(0);
    let mut head = vec![0; length];
    file.read_exact_at(&mut head, 0)?;
    Ok(fragments(&head, size_bytes))
}

/// The playlist of a file in fragments.
fn playlist(file: &Fragments) -> String {
    let name = media_name();
    let longest_s = file.all.iter().map(|f| f.duration_s).fold(0.0, f64::max);
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
    // Rounded to the nearest whole number none may be longer (RFC 8216, section 4.3.3.1).
    let _ = writeln!(
        text,
        "#EXT-X-TARGETDURATION:{:.0}",
        longest_s.ceil().max(1.0)
    );
    text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let init = file.init_bytes;
    let _ = writeln!(text, "#EXT-X-MAP:URI=\"{name}\",BYTERANGE=\"{init}@0\"");
    for piece in &file.all {
        let (length, offset) = (piece.size_bytes, piece.offset_bytes);
        let _ = writeln!(text, "#EXTINF:{:.5},", piece.duration_s);
        let _ = writeln!(text, "#EXT-X-BYTERANGE:{length}@{offset}\n{name}");
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

#[cfg(test)]
mod tests {
    use safelight_imaging::Fragment;

    use super::*;

    #[test]
    fn a_playlist_names_every_piece() {
        let piece = |offset_bytes, size_bytes, duration_s| Fragment {
            offset_bytes,
            size_bytes,
            duration_s,
        };
        let file = Fragments {
            init_bytes: 1200,
            all: vec![piece(1500, 90_000, 6.0), piece(91_500, 40_000, 2.533_33)],
        };
        let expected = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"hls@1.mp4\",BYTERANGE=\"1200@0\"\n\
             #EXTINF:6.00000,\n#EXT-X-BYTERANGE:90000@1500\nhls@1.mp4\n\
             #EXTINF:2.53333,\n#EXT-X-BYTERANGE:40000@91500\nhls@1.mp4\n#EXT-X-ENDLIST\n";
        assert_eq!(playlist(&file), expected);
    }
}
