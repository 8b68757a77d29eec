//! The numbers that plans are made by, and how an operator changes them.

/// One number of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Its name, which is that of the field in [`Policy`].
    pub name: &'static str,
    /// What it means, and why the default is what it is.
    pub meaning: &'static str,
    /// Its value in force.
    pub value: u64,
    /// Its default.
    pub default: u64,
    /// The least that is taken.
    pub least: u64,
    /// The most that is taken.
    pub most: u64,
}

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It has no such number.
    #[error("{0} is not part of the plan policy; it has {1}")]
    Unknown(String, String),
    /// The number is outside of what makes sense.
    #[error("{name} must be {least} to {most}, not {value}")]
    Range {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Two numbers contradict each other.
    #[error("{0} must not be more than {1}")]
    Order(&'static str, &'static str),
}

macro_rules! policy {
    ($($name:ident: $default:expr, $least:expr, $most:expr, $meaning:literal;)*) => {
        /// The rule by which plans are made.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Policy {
            $(#[doc = $meaning] pub $name: u64,)*
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Policy {
            /// Every number of it.
            #[must_use]
            pub fn thresholds(&self) -> Vec<Threshold> {
                vec![$(Threshold {
                    name: stringify!($name), meaning: $meaning, value: self.$name,
                    default: $default, least: $least, most: $most,
                },)*]
            }

            /// Changes one number.
            ///
            /// # Errors
            /// If there is none of this name, or the value is outside of what it may be.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), PolicyError> {
                match name {
                    $(stringify!($name) => {
                        if !($least..=$most).contains(&value) {
                            return Err(PolicyError::Range {
                                name: stringify!($name), value, least: $least, most: $most,
                            });
                        }
                        self.$name = value;
                    })*
                    _ => {
                        let names: Vec<_> = self.thresholds().iter().map(|t| t.name).collect();
                        return Err(PolicyError::Unknown(name.to_owned(), names.join(", ")));
                    }
                }
                Ok(())
            }
        }
    };
}

const MIB: u64 = 1024 * 1024;

policy! {
    thin_kbps: 1_000, 0, 1_000_000,
        "Links below this, in kbit/s, are thin: files are appended to. At 1 Mbit/s a part of 8 MiB takes over a minute.";
    slow_answer_ms: 400, 1, 60_000,
        "Links of unknown bandwidth with a round trip from here on, in ms, are thin: 3G answers in 280 to 850 ms.";
    lossy_millionths: 50_000, 1, 1_000_000,
        "From this loss on, in millionths, files are appended to: at 5 % TCP's retransmissions time out and connections break.";
    not_worth_resuming_bytes: 256 * 1024, 0, 64 * MIB,
        "Files up to this size are not appended to: asking for the offset costs more than sending 256 KiB again.";
    kbps_2g: 250, 1, 10_000_000,
        "What a 2G link carries, in kbit/s, where nothing was measured: 32 kB/s in the field.";
    kbps_3g: 750, 1, 10_000_000,
        "What a 3G link carries upwards, in kbit/s, where nothing was measured: HSPA in the street, well below its 5.76 Mbit/s.";
    kbps_4g: 10_000, 1, 10_000_000,
        "What a 4G link carries upwards, in kbit/s, where nothing was measured: about what national averages report.";
    single_seconds: 30, 1, 3_600,
        "A file goes by one request only if that takes no longer, in s: a cut in its midst loses all that was sent.";
    part_seconds: 8, 1, 3_600,
        "A part is what the link carries in so long, in s: a cut loses half of it on average, and each part costs a round trip.";
    part_bytes: 8 * MIB, MIB, 1024 * MIB,
        "Size of a part where the link's bandwidth is unknown: a few hundred parts for the largest clip of a phone.";
    least_part_bytes: MIB, 64 * 1024, 1024 * MIB,
        "Parts are no smaller, whatever the link: each is a request, a row in the store's list and a sync of its disk.";
    most_part_bytes: 32 * MIB, MIB, 4096 * MIB,
        "Parts are no larger, whatever the link, unless 10,000 would not do: the embedded store answers when a part is synced.";
    connections: 4, 1, 6,
        "Parts at once where the link's bandwidth is unknown.";
    most_connections: 6, 1, 6,
        "Connections of a client at most: browsers open six to a host, and more gain little and starve others.";
    window_bytes: 512 * 1024, 16 * 1024, 1024 * MIB,
        "What one connection has under way at most, in bytes: phones' send buffers seldom grow beyond 512 KiB.";
    assumed_rtt_ms: 100, 1, 60_000,
        "The round trip where none was measured, in ms: 4G to a region of the same continent.";
    low_battery_percent: 20, 0, 100,
        "Up to here a battery that is not being charged is low: where phones begin to warn.";
    connections_on_low_battery: 2, 1, 6,
        "Connections at most on a low battery: the radio is kept busy for shorter by fewer, fuller ones.";
    assets_at_once: 2, 1, 6,
        "Files at once where the link's bandwidth is unknown: one is completed while the next is sent.";
    compress_least_bytes: MIB, 0, 1 << 40,
        "Smaller files are never advised to be compressed, in bytes: decoding them costs more battery than sending.";
    compress_seconds: 20, 1, 86_400,
        "Files that take longer than this to send, in s, are advised to be compressed, if their purpose allows it.";
    flat_centibits: 100, 1, 2_400,
        "Up to so many hundredths of a bit for each pixel a picture is flat: cameras' JPEG has 2 to 4 bits in detailed scenes.";
    flat_quality: 70, 1, 100,
        "Quality advised for flat pictures: there is little in them that artefacts could hide in or spoil.";
    detailed_quality: 80, 1, 100,
        "Quality advised for detailed pictures.";
    max_edge_px: 2_048, 256, 100_000,
        "Longest edge advised, in pixels: the largest rendition that is made, so that nothing shown loses by it.";
    profile_edge_px: 1_024, 256, 100_000,
        "Longest edge advised for the purpose `profile`: shown at 256 pixels, with room to crop.";
}

impl Policy {
    /// Whether its numbers agree with one another.
    ///
    /// # Errors
    /// The first two that do not.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (least, name, most, than) in [
            (
                self.least_part_bytes,
                "least_part_bytes",
                self.most_part_bytes,
                "most_part_bytes",
            ),
            (
                self.part_bytes,
                "part_bytes",
                self.most_part_bytes,
                "most_part_bytes",
            ),
            (
                self.least_part_bytes,
                "least_part_bytes",
                self.part_bytes,
                "part_bytes",
            ),
            (
                self.connections,
                "connections",
                self.most_connections,
                "most_connections",
            ),
            (self.kbps_2g, "kbps_2g", self.kbps_3g, "kbps_3g"),
            (self.kbps_3g, "kbps_3g", self.kbps_4g, "kbps_4g"),
        ] {
            if least > most {
                return Err(PolicyError::Order(name, than));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_defaults_are_such_as_it_takes() {
        let policy = Policy::default();
        assert_eq!(policy.check(), Ok(()));
        for t in policy.thresholds() {
            assert_eq!(Policy::default().set(t.name, t.value), Ok(()), "{}", t.name);
            assert!(
                t.meaning.ends_with('.') && t.value == t.default,
                "{}",
                t.name
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let mut policy = Policy::default();
        let unknown = policy.set("part_second", 1).unwrap_err().to_string();
        assert!(unknown.starts_with("part_second is not") && unknown.contains("part_seconds"));
        let range = policy.set("connections", 7).unwrap_err().to_string();
        assert_eq!(range, "connections must be 1 to 6, not 7");
        policy.set("most_part_bytes", 2 * MIB).unwrap();
        let order = policy.check().unwrap_err().to_string();
        assert_eq!(order, "part_bytes must not be more than most_part_bytes");
    }
}
