//! What a client says of a file, its link and itself. All of it may be missing, and none of it is trusted with more than
//! how bytes travel.

use super::Transport;

/// What the plan of a file is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// The transports that the client speaks.
    pub spoken: &'a [Transport],
    /// Its link.
    pub link: Link,
    /// Its battery.
    pub battery: Battery,
    /// Whether the system sends for it in the background, one file as one request, whether the app runs or not.
    pub background: bool,
    /// What the app means the file for.
    pub purpose: Option<&'a str>,
}

/// A file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct File<'a> {
    /// Its size in bytes.
    pub size_bytes: i64,
    /// Its media type as the device knows it.
    pub mime: Option<&'a str>,
    /// Width and height in pixels.
    pub pixels: Option<(u32, u32)>,
    /// What is seen in it.
    pub content: Option<Content>,
}

impl File<'_> {
    /// Hundredths of a bit for each pixel: how much detail the camera's encoder found in it.
    #[must_use]
    pub fn centibits_per_pixel(&self) -> Option<u64> {
        let (width, height) = self.pixels?;
        let pixels = u64::from(width).checked_mul(u64::from(height))?;
        let centibits = u64::try_from(self.size_bytes).ok()?.checked_mul(800)?;
        centibits.checked_div(pixels)
    }
}

/// What is seen in a picture, as far as it matters to encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text and flat areas with hard edges.
    Screenshot,
    /// Sky, walls, snow.
    Flat,
    /// Leaves, crowds, grain.
    Detailed,
}

impl Content {
    /// The content of this word; `None` for one that this version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "screenshot" => Some(Self::Screenshot),
            "flat" => Some(Self::Flat),
            "detailed" => Some(Self::Detailed),
            _ => None,
        }
    }
}

/// A link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its kind.
    pub kind: NetworkKind,
    /// What was measured towards the client, in kbit/s.
    pub downlink_kbps: Option<u32>,
    /// What was measured towards the server, in kbit/s.
    pub uplink_kbps: Option<u32>,
    /// Round trip in milliseconds.
    pub rtt_ms: Option<u32>,
    /// Packets lost, in millionths.
    pub loss_millionths: Option<u32>,
    /// Whether bytes cost the user money, or he asked to save them.
    pub is_dear: bool,
}

/// The kind of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkKind {
    /// Not said, or a word that this version does not know.
    #[default]
    Unknown,
    /// A cable.
    Ethernet,
    /// Wi-Fi.
    Wifi,
    /// Cellular of the second generation.
    Cellular2g,
    /// Of the third.
    Cellular3g,
    /// Of the fourth.
    Cellular4g,
    /// Of the fifth.
    Cellular5g,
}

impl NetworkKind {
    /// The kind of this word. Platforms name them in many ways.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "ethernet" => Self::Ethernet,
            "wifi" => Self::Wifi,
            "2g" | "slow-2g" | "cellular_2g" => Self::Cellular2g,
            "3g" | "cellular_3g" => Self::Cellular3g,
            "4g" | "lte" | "cellular_4g" => Self::Cellular4g,
            "5g" | "cellular_5g" => Self::Cellular5g,
            _ => Self::Unknown,
        }
    }
}

/// A battery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Battery {
    /// From 0 to 100.
    pub percent: Option<u8>,
    /// Whether it is being charged.
    pub is_charging: bool,
    /// Whether the system saves it.
    pub is_saving: bool,
}
