//! The framing of `aws-chunked` bodies, cut small.
//!
//! s3s gathers a whole chunk before it gives out any of it, and some clients
//! send all of a body as one chunk. Where chunks carry no signature they are
//! cut here into pieces as they arrive; where they do, they must be whole, so
//! overlong ones are refused.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use s3s::StdError;

/// The longest signed chunk that is taken. Clients use 8 KiB to 1 MiB.
const LONGEST_SIGNED_BYTES: u64 = 8 << 20;
/// The longest line that announces a chunk.
const LONGEST_LINE_BYTES: usize = 1024;

/// What is wrong with the framing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("a chunk is not framed as it should be")]
    Malformed,
    #[error("a signed chunk is longer than 8 MiB")]
    TooLong,
}

/// Whether a body's chunks may be cut, if it comes in such chunks.
pub(crate) fn cuts(headers: &HeaderMap) -> Option<bool> {
    let kind = headers.get("x-amz-content-sha256")?.to_str().ok()?;
    kind.starts_with("STREAMING-")
        .then_some(kind == "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
}

/// A body whose chunks are short.
pub(crate) struct ShortChunks<B> {
    body: B,
    framing: Framing,
}

impl<B> ShortChunks<B> {
    /// `cut` says whether chunks may be cut.
    pub(crate) fn of(body: B, cut: bool) -> Self {
        Self {
            body,
            framing: Framing {
                cut,
                place: Place::Line(Vec::new()),
                out: VecDeque::new(),
            },
        }
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Body for ShortChunks<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        loop {
            if let Some(bytes) = self.framing.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(bytes))) => {
                    if let Err(error) = self.framing.take(bytes) {
                        return Poll::Ready(Some(Err(Box::new(error))));
                    }
                }
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.framing.is_whole() => return Poll::Ready(None),
                None => {
                    self.framing.place = Place::Trailers;
                    return Poll::Ready(Some(Err(Box::new(FramingError::Malformed))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.framing.out.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Cut bodies are longer than what was sent.
        SizeHint::new()
    }
}

struct Framing {
    cut: bool,
    place: Place,
    out: VecDeque<Bytes>,
}

/// Where in the framing the next byte is.
enum Place {
    /// In the line that announces a chunk.
    Line(Vec<u8>),
    /// In a chunk, with so many bytes to come.
    Chunk(u64),
    /// Behind a chunk, with so many bytes of its line's end to come.
    End(usize),
    /// Behind the last chunk.
    Trailers,
}

impl Framing {
    fn take(&mut self, mut bytes: Bytes) -> Result<(), FramingError> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Line(line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    line.extend_from_slice(&bytes.split_to(end.map_or(bytes.len(), |at| at + 1)));
                    if line.len() > LONGEST_LINE_BYTES {
                        return Err(FramingError::Malformed);
                    }
                    if end.is_some() {
                        let line = std::mem::take(line);
                        self.announce(line)?;
                    }
                }
                Place::Chunk(left) => {
                    let here = bytes
                        .len()
                        .min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let piece = bytes.split_to(here);
                    *left -= here as u64;
                    if *left == 0 {
                        self.place = Place::End(2);
                    }
                    if self.cut {
                        self.out.push_back(format!("{here:x}\r\n").into());
                    }
                    self.out.push_back(piece);
                    if self.cut {
                        self.out.push_back(Bytes::from_static(b"\r\n"));
                    }
                }
                Place::End(left) => {
                    let byte = bytes.get_u8();
                    if byte != if *left == 2 { b'\r' } else { b'\n' } {
                        return Err(FramingError::Malformed);
                    }
                    *left -= 1;
                    if *left == 0 {
                        self.place = Place::Line(Vec::new());
                        if !self.cut {
                            self.out.push_back(Bytes::from_static(b"\r\n"));
                        }
                    }
                }
                Place::Trailers => self.out.push_back(std::mem::take(&mut bytes)),
            }
        }
        Ok(())
    }

    /// Whether the last chunk came.
    fn is_whole(&self) -> bool {
        matches!(self.place, Place::Trailers)
    }

    /// Reads the line before a chunk.
    fn announce(&mut self, line: Vec<u8>) -> Result<(), FramingError> {
        let digits: Vec<u8> = line
            .iter()
            .copied()
            .take_while(u8::is_ascii_hexdigit)
            .collect();
        let size_bytes = std::str::from_utf8(&digits)
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or(FramingError::Malformed)?;
        if self.cut && line.get(digits.len()..) != Some(b"\r\n") {
            return Err(FramingError::Malformed);
        }
        if !self.cut && size_bytes > LONGEST_SIGNED_BYTES {
            return Err(FramingError::TooLong);
        }
        self.place = if size_bytes == 0 {
            Place::Trailers
        } else {
            Place::Chunk(size_bytes)
        };
        if !self.cut || size_bytes == 0 {
            self.out.push_back(line.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when the bytes arrive in pieces of this length.
    fn reframe(cut: bool, bytes: &[u8], piece: usize) -> Result<Vec<Bytes>, FramingError> {
        let mut framing = ShortChunks::of((), cut).framing;
        for piece in bytes.chunks(piece) {
            framing.take(Bytes::copy_from_slice(piece))?;
        }
        Ok(framing.out.into())
    }

    /// The bytes that the chunks carry, and the longest of these.
    fn decode(framed: &[u8]) -> (Vec<u8>, usize) {
        let (mut body, mut rest, mut longest) = (Vec::new(), framed, 0);
        loop {
            let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return (body, longest);
            }
            body.extend_from_slice(&rest[end + 2..end + 2 + size]);
            assert_eq!(&rest[end + 2 + size..end + 4 + size], b"\r\n");
            rest = &rest[end + 4 + size..];
            longest = longest.max(size);
        }
    }

    #[test]
    fn chunks_without_signatures_become_as_short_as_what_arrives() {
        let body: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let mut framed = format!("{:x}\r\n", body.len()).into_bytes();
        framed.extend_from_slice(&body);
        framed.extend_from_slice(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        for piece in [1, 7, 4096, 1_000_000] {
            let out = reframe(true, &framed, piece).unwrap().concat();
            let (bytes, longest) = decode(&out);
            assert!(bytes == body && longest <= piece);
            assert!(out.ends_with(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"));
        }
    }

    #[test]
    fn signed_chunks_pass_as_they_are() {
        let framed = b"3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=cd\r\n\r\n";
        for piece in 1..framed.len() {
            assert_eq!(reframe(false, framed, piece).unwrap().concat(), framed);
        }
    }

    #[test]
    fn a_body_without_its_last_chunk_is_not_whole() {
        let mut framing = ShortChunks::of((), false).framing;
        framing.take(Bytes::from_static(b"3;x\r\nabc\r\n")).unwrap();
        assert!(!framing.is_whole());
        framing.take(Bytes::from_static(b"0;x\r\n")).unwrap();
        assert!(framing.is_whole());
    }

    #[test]
    fn nonsense_and_too_long_chunks_are_refused() {
        for wrong in [
            &b"\r\n"[..],
            b"x\r\n",
            b"3\r\nabcd\r\n",
            b"3;chunk-signature=ab\r\n",
            b"10000000000000000\r\n",
            &[b'1'; 2000],
        ] {
            assert!(matches!(
                reframe(true, wrong, 3),
                Err(FramingError::Malformed)
            ));
        }
        let long = b"800001;chunk-signature=ab\r\n";
        assert!(matches!(
            reframe(false, long, 99),
            Err(FramingError::TooLong)
        ));
        assert!(reframe(true, b"800001\r\n", 99).is_ok());
    }
}
