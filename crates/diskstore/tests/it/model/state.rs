//! A model of S3: what is there, and whether an answer fits.

use std::collections::{BTreeMap, BTreeSet};

use super::drive::Answer;
use super::object::{Checked, Failure, Object, same, select};
use super::step::{Op, Tags};
use crate::listing;

#[derive(Debug, Clone, PartialEq)]
struct Upload {
    key: String,
    note: Option<String>,
    tags: Tags,
    parts: BTreeMap<i32, (Vec<u8>, String)>,
}

/// All that a client can see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    /// The ETags that were given at random.
    given: BTreeSet<String>,
    /// The ETags that depend on the content.
    of_content: BTreeMap<Vec<u8>, String>,
}

/// The source of a copy as it was read, or why it could not be.
pub struct Read(Result<Object, Failure>);

const NO_KEY: Failure = Failure(404, "NoSuchKey");
const NO_UPLOAD: Failure = Failure(404, "NoSuchUpload");
const CONDITION: Failure = Failure(412, "PreconditionFailed");

impl Model {
    pub fn etag(&self, key: &str) -> Option<String> {
        self.objects.get(key).map(|object| object.etag.clone())
    }

    pub fn open_uploads(&self) -> Vec<(String, String)> {
        let mut open: Vec<_> = self
            .uploads
            .iter()
            .map(|(id, upload)| (upload.key.clone(), id.clone()))
            .collect();
        open.sort();
        open
    }

    pub fn parts(&self, id: &str) -> Vec<(i32, String)> {
        let parts = self.uploads.get(id).map(|upload| &upload.parts);
        parts
            .into_iter()
            .flatten()
            .map(|(number, (_, etag))| (*number, etag.clone()))
            .collect()
    }

    /// The upload that made an object, and its parts.
    pub fn made_by(&self, key: &str) -> Option<(String, Vec<(i32, String)>)> {
        let (id, parts) = self.objects.get(key)?.parts.as_ref()?;
        Some((
            id.clone(),
            parts
                .iter()
                .map(|(n, _, etag)| (*n, etag.clone()))
                .collect(),
        ))
    }

    /// How many files hold bytes apart from their records.
    pub fn part_files(&self) -> usize {
        let of_object = |object: &Object| match &object.parts {
            Some((_, parts)) => parts.len(),
            None => usize::from(object.detached),
        };
        let of_objects: usize = self.objects.values().map(of_object).sum();
        of_objects
            + self
                .uploads
                .values()
                .map(|upload| upload.parts.len())
                .sum::<usize>()
    }

    /// Whether the answer is right. If so, the operation is done here as well.
    pub fn check(&mut self, op: &Op, answer: &Answer) -> Checked {
        let read = self.read(op);
        self.check_write(op, &read, answer)
    }

    /// What a copy reads.
    pub fn read(&self, op: &Op) -> Read {
        Read(match op {
            Op::Copy { from, if_match, .. } => self.object(from, if_match.as_deref()).cloned(),
            Op::PartCopy { from, .. } => self.object(from, None).cloned(),
            _ => Err(NO_KEY),
        })
    }

    /// The same for an operation that has read something before.
    pub fn check_write(&mut self, op: &Op, read: &Read, answer: &Answer) -> Checked {
        match self.expect(op, read, answer) {
            Ok(checked) => checked,
            Err(Failure(status, code)) => match answer {
                Answer::Failed(found, text)
                    if *found == status && text.as_deref().is_none_or(|text| text == code) =>
                {
                    Ok(())
                }
                _ => Err(format!("expected {code}, got {answer:?}")),
            },
        }
    }

    fn object(&self, key: &str, if_match: Option<&str>) -> Result<&Object, Failure> {
        let object = self.objects.get(key).ok_or(NO_KEY)?;
        match if_match {
            Some(etag) if etag != "*" && etag != object.etag => Err(CONDITION),
            _ => Ok(object),
        }
    }

    fn expect(&mut self, op: &Op, read: &Read, answer: &Answer) -> Result<Checked, Failure> {
        match op {
            Op::Put {
                key,
                body,
                note,
                tags,
                if_match,
                if_none_match,
                sha256,
            } => {
                if if_match.is_some() {
                    self.object(key, if_match.as_deref())?;
                }
                if *if_none_match && self.objects.contains_key(key) {
                    return Err(CONDITION);
                }
                Ok(self.written(answer, sha256.then_some(body)).map(|etag| {
                    let object = Object {
                        body: body.clone(),
                        etag,
                        note: note.clone(),
                        tags: tags.clone(),
                        parts: None,
                        detached: false,
                    };
                    self.objects.insert(key.clone(), object);
                }))
            }
            Op::Get {
                key,
                range,
                part,
                if_match,
                if_none_match,
            } => {
                if range.is_some_and(|(first, last)| first > last) {
                    return Err(Failure(400, "InvalidArgument"));
                }
                let object = self.object(key, if_match.as_deref())?;
                if if_none_match
                    .as_deref()
                    .is_some_and(|etag| etag == "*" || etag == object.etag)
                {
                    return Err(Failure(304, "NotModified"));
                }
                let expected = select(object, *range, *part)?;
                Ok(same(answer, &Answer::Got(Box::new(expected))))
            }
            Op::Delete { key, if_match } => {
                if if_match.is_some() {
                    self.object(key, if_match.as_deref())?;
                }
                self.objects.remove(key);
                Ok(same(answer, &Answer::Done))
            }
            Op::DeleteMany { keys, quiet } => {
                let (mut gone, mut left) = (Vec::new(), Vec::new());
                for (key, etag) in keys {
                    let failure = etag
                        .as_ref()
                        .and_then(|etag| self.object(key, Some(etag)).err());
                    match failure {
                        Some(Failure(_, code)) => left.push((key.clone(), code.to_owned())),
                        None => {
                            self.objects.remove(key);
                            if !quiet {
                                gone.push(key.clone());
                            }
                        }
                    }
                }
                Ok(same(answer, &Answer::Deleted(gone, left)))
            }
            Op::Copy { .. } => self.copy(op, read, answer),
            Op::Tags { key } => {
                let tags = self.object(key, None)?.tags.clone();
                Ok(same(answer, &Answer::Tagged(tags)))
            }
            Op::Retag { key, tags } => {
                let object = self.objects.get_mut(key).ok_or(NO_KEY)?;
                object.tags = tags.clone().unwrap_or_default();
                object.detached |= !object.body.is_empty();
                Ok(same(answer, &Answer::Done))
            }
            Op::Create { key, note, tags } => Ok(match answer {
                Answer::Created(id) if !self.uploads.contains_key(id) => {
                    let upload = Upload {
                        key: key.clone(),
                        note: note.clone(),
                        tags: tags.clone(),
                        parts: BTreeMap::new(),
                    };
                    self.uploads.insert(id.clone(), upload);
                    Ok(())
                }
                _ => Err(format!("expected an upload, got {answer:?}")),
            }),
            Op::Part {
                id, number, body, ..
            } => {
                self.uploads.get(id).ok_or(NO_UPLOAD)?;
                Ok(self.part(id, *number, body.clone(), None, answer))
            }
            Op::PartCopy {
                id, number, range, ..
            } => {
                if range.is_some_and(|(first, last)| first > last) {
                    return Err(Failure(400, "InvalidArgument"));
                }
                self.uploads.get(id).ok_or(NO_UPLOAD)?;
                let object = read.0.as_ref().map_err(|failure| *failure)?;
                let (body, etag) = match range {
                    None => (object.body.clone(), Some(object.etag.clone())),
                    Some((first, last)) => {
                        let bytes = object.body.get(*first as usize..=*last as usize);
                        let bytes = bytes.ok_or(Failure(416, "InvalidRange"))?;
                        let whole = bytes.len() == object.body.len();
                        (bytes.to_vec(), whole.then(|| object.etag.clone()))
                    }
                };
                Ok(self.part(id, *number, body, etag, answer))
            }
            Op::ListParts { id, .. } => {
                let upload = self.uploads.get(id).ok_or(NO_UPLOAD)?;
                let parts = upload
                    .parts
                    .iter()
                    .map(|(n, (body, etag))| (*n, body.len() as i64, etag.clone()));
                Ok(same(answer, &Answer::Parts(parts.collect())))
            }
            Op::Complete {
                key,
                id,
                parts,
                if_none_match,
            } => self.complete(key, id, parts, *if_none_match, answer),
            Op::Abort { id, .. } => {
                self.uploads.remove(id).ok_or(NO_UPLOAD)?;
                Ok(same(answer, &Answer::Done))
            }
            Op::List {
                prefix,
                delimiter,
                after,
                first_version,
                ..
            } => {
                let keys = self.objects.keys().cloned().collect();
                let after = after.as_deref().unwrap_or_default();
                let names = if *first_version {
                    let mut names = listing::model(&keys, prefix, delimiter, "");
                    names.retain(|name| name.as_str() > after);
                    names
                } else {
                    listing::model(&keys, prefix, delimiter, after)
                };
                let rolled = |name: &str| {
                    !delimiter.is_empty() && name[prefix.len()..].contains(delimiter.as_str())
                };
                let listed = names.into_iter().map(|name| {
                    let etag = self.etag(&name).filter(|_| !rolled(&name));
                    (name, etag)
                });
                Ok(same(answer, &Answer::Listed(listed.collect())))
            }
            Op::ListUploads { prefix, .. } => {
                let mut open = self.open_uploads();
                open.retain(|(key, _)| key.starts_with(prefix));
                Ok(same(answer, &Answer::Uploads(open)))
            }
        }
    }

    fn copy(&mut self, op: &Op, read: &Read, answer: &Answer) -> Result<Checked, Failure> {
        let Op::Copy {
            from,
            to,
            note,
            tags,
            sha256,
            ..
        } = op
        else {
            return Ok(Err(format!("{op:?} copies nothing")));
        };
        let onto_itself = from == to;
        if onto_itself && note.is_none() && tags.is_none() && !sha256 {
            return Err(Failure(400, "InvalidRequest"));
        }
        let mut object = read.0.clone()?;
        if let Some(note) = note {
            object.note = note.clone();
        }
        if let Some(tags) = tags {
            object.tags = tags.clone();
        }
        if onto_itself && !sha256 {
            object.detached |= !object.body.is_empty();
        } else {
            object.parts = None;
            object.detached = false;
        }
        let etag = object.etag.clone();
        self.objects.insert(to.clone(), object);
        Ok(same(answer, &Answer::Written(etag)))
    }

    fn complete(
        &mut self,
        key: &str,
        id: &str,
        parts: &[(i32, String)],
        if_none_match: bool,
        answer: &Answer,
    ) -> Result<Checked, Failure> {
        if parts.is_empty() {
            return Err(Failure(400, "MalformedXML"));
        }
        if let Some((made, whole)) = self.made_by(key)
            && made == id
        {
            let etag = self.etag(key).unwrap_or_default();
            return match whole == parts {
                true => Ok(same(answer, &Answer::Written(etag))),
                false => Err(NO_UPLOAD),
            };
        }
        let upload = self.uploads.get(id).ok_or(NO_UPLOAD)?;
        if if_none_match && self.objects.contains_key(key) {
            return Err(CONDITION);
        }
        let mut body = Vec::new();
        let mut made = Vec::new();
        for (number, etag) in parts {
            match upload.parts.get(number) {
                Some((bytes, found)) if found == etag => {
                    body.extend_from_slice(bytes);
                    made.push((*number, bytes.len(), etag.clone()));
                }
                _ => return Err(Failure(400, "InvalidPart")),
            }
        }
        Ok(self.written(answer, None).map(|etag| {
            if let Some(upload) = self.uploads.remove(id) {
                let object = Object {
                    body,
                    etag,
                    note: upload.note,
                    tags: upload.tags,
                    parts: Some((id.to_owned(), made)),
                    detached: false,
                };
                self.objects.insert(key.to_owned(), object);
            }
        }))
    }

    fn part(
        &mut self,
        id: &str,
        number: i32,
        body: Vec<u8>,
        etag: Option<String>,
        answer: &Answer,
    ) -> Checked {
        let etag = match etag {
            Some(etag) => same(answer, &Answer::Written(etag.clone())).map(|()| etag),
            None => self.written(answer, None),
        }?;
        if let Some(upload) = self.uploads.get_mut(id) {
            upload.parts.insert(number, (body, etag));
        }
        Ok(())
    }

    /// The ETag in an answer: a new one, or that of the content.
    fn written(&mut self, answer: &Answer, content: Option<&Vec<u8>>) -> Result<String, String> {
        let Answer::Written(etag) = answer else {
            return Err(format!("expected an ETag, got {answer:?}"));
        };
        let fits = match content {
            Some(content) => {
                self.of_content
                    .entry(content.clone())
                    .or_insert(etag.clone())
                    == etag
            }
            None => self.given.insert(etag.clone()),
        };
        if fits {
            Ok(etag.clone())
        } else {
            Err(format!("{etag} was given to something else"))
        }
    }
}
