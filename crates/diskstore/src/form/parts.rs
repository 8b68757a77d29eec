//! Reading `multipart/form-data` (RFC 7578) as it comes: what stands before the
//! file into memory, within bounds, the file as a stream.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use memchr::memmem::{self, Finder};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, StdError, s3_error};

use crate::receive::body_error;

/// Everything before the file, as on Amazon S3.
const LONGEST_HEAD_BYTES: usize = 20 << 10;
/// The longest boundary of RFC 2046, section 5.1.1.
const LONGEST_BOUNDARY_BYTES: usize = 70;

/// A form up to its file. What comes after that is ignored, as on Amazon S3.
pub(super) struct Head {
    /// Names as they were sent, with their values, in order.
    pub fields: Vec<(String, String)>,
    pub file_name: Option<String>,
    pub file: File,
}

/// The bytes of the file, to be read.
pub(super) struct File {
    body: Body,
    delimiter: Finder<'static>,
    /// What was read of the body and not given out.
    pending: Bytes,
    ended: bool,
}

/// The body ended within the file.
#[derive(Debug, thiserror::Error)]
#[error("the form ended within its file")]
struct Truncated;

/// The boundary that a `Content-Type` names; `None` if it has none.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    parameter(content_type, "boundary")
        .filter(|boundary| (1..=LONGEST_BOUNDARY_BYTES).contains(&boundary.len()))
}

/// Reads a form up to its file.
pub(super) async fn read_head(body: Body, boundary: &str) -> S3Result<Head> {
    let delimiter = Finder::new(&format!("\r\n--{boundary}")).into_owned();
    let mut read = Buffered {
        body,
        // The first delimiter has no line before it.
        bytes: BytesMut::from(&b"\r\n"[..]),
    };
    let mut fields = Vec::new();
    let mut at = read.find(0, delimiter.needle()).await?;
    loop {
        at += delimiter.needle().len();
        let line = read.find(at, b"\r\n").await?;
        let rest = read.bytes.get(at..line).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Err(no_file());
        }
        if !rest.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(malformed());
        }
        let headers_end = read.find(line, b"\r\n\r\n").await?;
        let headers = read.bytes.get(line..headers_end).unwrap_or_default();
        let part = Part::of(headers).ok_or_else(malformed)?;
        let start = headers_end + 4;
        if part.name.eq_ignore_ascii_case("file") {
            return Ok(Head {
                fields,
                file_name: part.file_name,
                file: File {
                    delimiter,
                    pending: read.bytes.split_off(start).freeze(),
                    body: read.body,
                    ended: false,
                },
            });
        }
        at = read.find(start, delimiter.needle()).await?;
        let value = read.bytes.get(start..at).unwrap_or_default();
        let value = std::str::from_utf8(value).map_err(|_| malformed())?;
        fields.push((part.name, value.to_owned()));
    }
}

/// A body and what was read of it.
struct Buffered {
    body: Body,
    bytes: BytesMut,
}

impl Buffered {
    /// Reads on until a pattern is there; returns where.
    async fn find(&mut self, from: usize, pattern: &[u8]) -> S3Result<usize> {
        loop {
            let unseen = self.bytes.get(from..).unwrap_or_default();
            let found = memmem::find(unseen, pattern).map(|at| from + at);
            let needed = found.unwrap_or(self.bytes.len());
            if needed > LONGEST_HEAD_BYTES {
                return Err(head_too_long());
            }
            if let Some(found) = found {
                return Ok(found);
            }
            match self.body.next().await {
                Some(chunk) => self.bytes.extend_from_slice(&chunk.map_err(body_error)?),
                None => return Err(malformed()),
            }
        }
    }
}

impl File {
    /// The file, chunk by chunk as it comes.
    pub(super) fn into_body(self) -> Body {
        let frames = futures::stream::try_unfold(self, |mut file| async move {
            let bytes = file.next().await?;
            Ok::<_, StdError>(bytes.map(|bytes| (Frame::data(bytes), file)))
        });
        Body::http_body(StreamBody::new(frames))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StdError> {
        while !self.ended {
            if let Some(at) = self.delimiter.find(&self.pending) {
                self.ended = true;
                let last = self.pending.split_to(at);
                return Ok((!last.is_empty()).then_some(last));
            }
            let free = self.pending.len() - overlap(&self.pending, self.delimiter.needle());
            if free > 0 {
                return Ok(Some(self.pending.split_to(free)));
            }
            let Some(chunk) = self.body.next().await else {
                return Err(Box::new(Truncated));
            };
            let chunk = chunk?;
            self.pending = if self.pending.is_empty() {
                chunk
            } else {
                [self.pending.as_ref(), chunk.as_ref()].concat().into()
            };
        }
        Ok(None)
    }
}

/// How many bytes at the end of a text may begin the pattern.
fn overlap(text: &[u8], pattern: &[u8]) -> usize {
    (1..pattern.len())
        .rev()
        .find(|length| text.ends_with(pattern.get(..*length).unwrap_or_default()))
        .unwrap_or(0)
}

/// What the headers of a part say.
struct Part {
    name: String,
    file_name: Option<String>,
}

impl Part {
    fn of(headers: &[u8]) -> Option<Self> {
        let headers = std::str::from_utf8(headers).ok()?;
        let disposition = headers.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case("content-disposition")
                .then_some(value.trim())
        })?;
        let kind = disposition.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("form-data") {
            return None;
        }
        Some(Self {
            name: parameter(disposition, "name")?,
            file_name: parameter(disposition, "filename"),
        })
    }
}

/// A parameter of a header such as `form-data; name="key"`. In quotes only
/// `\"` is an escape, since old browsers send paths with plain backslashes.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, more) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (value, more) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), more)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = more.trim_start().strip_prefix(';').unwrap_or(more);
    }
}

/// Reads up to the closing quote; returns the text and what comes after.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = quoted;
    loop {
        let at = rest.find('"')?;
        let (piece, more) = (rest.get(..at)?, rest.get(at + 1..)?);
        match piece.strip_suffix('\\') {
            Some(escaped) => {
                text.push_str(escaped);
                text.push('"');
                rest = more;
            }
            None => {
                text.push_str(piece);
                return Some((text, more));
            }
        }
    }
}

pub(super) fn malformed() -> S3Error {
    s3_error!(
        MalformedPOSTRequest,
        "The body of your POST request is not well-formed multipart/form-data."
    )
}

fn no_file() -> S3Error {
    s3_error!(
        InvalidArgument,
        "POST requires exactly one file upload per request."
    )
}

fn head_too_long() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("MaxPostPreDataLengthExceeded".into()),
        "Your POST request fields preceding the upload file were too large.",
    );
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parsed = Result<(Vec<(String, String)>, Option<String>, Vec<u8>), String>;

    /// Parses a form that comes in chunks of such lengths.
    fn parse(form: &[u8], chunks: &[usize]) -> Parsed {
        let mut rest = form;
        let mut pieces = Vec::new();
        for length in chunks.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*length).clamp(1, rest.len()));
            pieces.push(Ok::<_, StdError>(Frame::data(Bytes::copy_from_slice(
                piece,
            ))));
            rest = more;
        }
        let body = Body::http_body(StreamBody::new(futures::stream::iter(pieces)));
        let code = |error: S3Error| error.code().as_str().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let head = read_head(body, "b").await.map_err(code)?;
            let mut bytes = Vec::new();
            let mut file = head.file.into_body();
            while let Some(chunk) = file.next().await {
                bytes.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
            }
            Ok((head.fields, head.file_name, bytes))
        })
    }

    fn form(file: &[u8]) -> Vec<u8> {
        let head = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\no/ä\r\n--b \r\n\
            Content-Type: text/plain\r\ncontent-disposition: form-data; name=x\r\n\r\n\r\n--b\r\n\
            Content-Disposition: form-data; name=\"File\"; filename=\"C:\\a \\\"b\\\".jpg\"\r\n\r\n";
        let tail =
            b"\r\n--b\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nx\r\n--b--\r\n";
        [head.as_bytes(), file, tail].concat()
    }

    fn expected(file: &[u8]) -> Parsed {
        let fields = vec![
            ("key".to_owned(), "o/ä".to_owned()),
            ("x".to_owned(), String::new()),
        ];
        Ok((fields, Some("C:\\a \"b\".jpg".to_owned()), file.to_vec()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_form_is_the_same_however_it_comes(
            file in prop::collection::vec(
                prop::sample::select(vec!["\r\n--", "\r", "\n--b", "--b--", "a"]),
                0..30,
            ),
            chunks in prop::collection::vec(1_usize..40, 1..10),
        ) {
            let file = file.concat().into_bytes();
            prop_assume!(memmem::find(&[&file[..], b"\r\n--"].concat(), b"\r\n--b").is_none());
            prop_assert_eq!(parse(&form(&file), &chunks), expected(&file));
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let file = "Content-Disposition: form-data; name=\"file\"\r\n\r\n";
        let key = "Content-Disposition: form-data; name=\"key\"\r\n\r\nk";
        let long = format!("--b\r\n{key}{}", "x".repeat(30_000));
        for (form, code) in [
            (String::new(), "MalformedPOSTRequest"),
            ("--c\r\n".to_owned(), "MalformedPOSTRequest"),
            (format!("--bx\r\n{file}x\r\n--b--"), "MalformedPOSTRequest"),
            (format!("--b\r\n{key}"), "MalformedPOSTRequest"),
            (
                "--b\r\nContent-Disposition: file; name=\"file\"\r\n\r\nx\r\n--b--".to_owned(),
                "MalformedPOSTRequest",
            ),
            (
                "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--".to_owned(),
                "MalformedPOSTRequest",
            ),
            ("--b--\r\n".to_owned(), "InvalidArgument"),
            (format!("--b\r\n{key}\r\n--b--\r\n"), "InvalidArgument"),
            (long, "MaxPostPreDataLengthExceeded"),
            (
                format!("--b\r\n{file}no end"),
                "the form ended within its file",
            ),
        ] {
            for chunk in [1, 7, 1 << 20] {
                assert_eq!(
                    parse(form.as_bytes(), &[chunk]),
                    Err(code.to_owned()),
                    "{form:.80}"
                );
            }
        }
    }

    #[test]
    fn a_boundary_may_stand_in_quotes() {
        let of = |header| boundary(header);
        assert_eq!(
            of("multipart/form-data; charset=utf-8; boundary=\"a b\"").as_deref(),
            Some("a b")
        );
        assert_eq!(
            of("multipart/form-data;Boundary=--x ").as_deref(),
            Some("--x")
        );
        assert_eq!(of("multipart/form-data"), None);
        assert_eq!(of("multipart/form-data; boundary=\"\""), None);
        assert_eq!(of(&format!("m; boundary={}", "x".repeat(71))), None);
    }
}
