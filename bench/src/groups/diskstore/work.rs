//! What is done to a store.

/// How many clients there are at once.
pub const CLIENTS: [usize; 2] = [1, 16];

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A whole object by a presigned PUT with its SHA-256, as phones do.
    Put(Size),
    /// 8 MiB parts of multipart uploads, each by a presigned PUT with its SHA-256.
    Parts,
    /// Whole objects, of those that were put.
    Get(Size),
    /// 1 MiB out of the middle of objects of 256 MiB.
    GetRange,
    /// A page of 1,000 keys.
    List,
}

/// How large objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 100 kB: a rendition, a small photo.
    Small,
    /// 8 MiB: a photo of 48 megapixels.
    Medium,
    /// 256 MiB: a video.
    Large,
}

/// Size of a part, and of a medium object.
pub const PART_BYTES: u64 = 8 << 20;
/// What [`Work::GetRange`] asks for.
pub const RANGE_BYTES: u64 = 1 << 20;
/// Parts in an upload of [`Work::Parts`].
pub const PARTS: u64 = 32;

impl Size {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Small => 100_000,
            Self::Medium => PART_BYTES,
            Self::Large => 256 << 20,
        }
    }

    /// How many of them are read at most, so that all fit into the page cache of a small machine.
    pub fn read(self) -> u64 {
        match self {
            Self::Small | Self::Medium => u64::MAX,
            Self::Large => 4,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Small => "100_kb",
            Self::Medium => "8_mib",
            Self::Large => "256_mib",
        }
    }
}

impl Work {
    /// All, writing before reading.
    pub fn all() -> [Self; 9] {
        let sizes = [Size::Small, Size::Medium, Size::Large];
        let [small, medium, large] = sizes.map(Self::Put);
        let [read_small, read_medium, read_large] = sizes.map(Self::Get);
        [
            small,
            medium,
            large,
            Self::Parts,
            read_small,
            read_medium,
            read_large,
            Self::GetRange,
            Self::List,
        ]
    }

    /// As rows name it.
    pub fn name(self) -> String {
        match self {
            Self::Put(size) => format!("put.{}", size.name()),
            Self::Parts => "put_part.8_mib".to_owned(),
            Self::Get(size) => format!("get.{}", size.name()),
            Self::GetRange => "get_range.1_mib".to_owned(),
            Self::List => "list.1000_keys".to_owned(),
        }
    }

    /// Bytes of the body that one request moves; 0 where bytes are not what counts.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Put(size) | Self::Get(size) => size.bytes(),
            Self::Parts => PART_BYTES,
            Self::GetRange => RANGE_BYTES,
            Self::List => 0,
        }
    }

    /// The units of its rate and of its processor time.
    pub fn unit(self) -> (&'static str, &'static str) {
        match self {
            Self::List => ("1/s", "us"),
            _ => ("MB/s", "ms/GB"),
        }
    }

    /// How many requests are made at most, so that the disk holds what is written.
    pub fn most(self) -> u64 {
        match self {
            Self::Put(Size::Small) => 18_000,
            Self::Put(Size::Medium) | Self::Parts => 288,
            Self::Put(Size::Large) => 20,
            _ => u64::MAX,
        }
    }

    /// In how many slices after one that does not count: many, but each with something for 16 clients to do at once.
    pub fn slices(self) -> u64 {
        match self {
            Self::Put(Size::Large) => 3,
            _ => 8,
        }
    }
}

/// The numbers of the objects that a peer was given, by size; their keys follow from these.
#[derive(Debug, Default)]
pub struct Stored {
    small: u64,
    medium: u64,
    large: u64,
}

impl Stored {
    /// How many there are of a size: their numbers are 0 and up.
    pub fn of(&mut self, size: Size) -> &mut u64 {
        match size {
            Size::Small => &mut self.small,
            Size::Medium => &mut self.medium,
            Size::Large => &mut self.large,
        }
    }
}
