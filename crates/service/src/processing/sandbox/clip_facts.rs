//! What ffprobe says of a clip, believed as far as it is used.

use serde::Deserialize;

use super::error::SandboxError;
use safelight_model::codes::Code;

/// Longest clip that is believed to be one, in seconds: a day.
const MAX_DURATION_S: f64 = 86_400.0;

/// What is to be known of a clip before it is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipFacts {
    /// Columns of the picture, upright, with square pixels.
    pub width: u32,
    /// Rows of it.
    pub height: u32,
    /// How long it runs, in seconds; 0 where that is not told.
    pub duration_s: f64,
    /// The first track with sound that can be decoded.
    pub(super) sound: Option<u32>,
    /// The track with the picture.
    pub(super) track: u32,
    pub(super) colors: Colors,
    /// Whether its pixels are not square.
    pub(super) is_anamorphic: bool,
    /// The largest picture that may be decoded.
    pub(super) max_pixels: u64,
}

impl ClipFacts {
    /// How long it runs, in milliseconds, where that is told.
    #[must_use]
    pub fn duration_ms(&self) -> Option<u64> {
        (self.duration_s > 0.0)
            .then(|| std::time::Duration::try_from_secs_f64(self.duration_s).ok())
            .flatten()
            .and_then(|told| u64::try_from(told.as_millis()).ok())
    }
}

/// What its colours mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    /// As screens show them.
    Ordinary,
    /// It is not told by which matrix they were coded, and the picture is as large as such that use the newer one.
    UntoldHd,
    /// Of more than screens show, by their primaries.
    Wide,
    /// Brighter than screens show (PQ, HLG).
    Bright,
}

#[derive(Deserialize)]
struct Probe {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

#[derive(Default, Deserialize)]
struct Stream {
    index: u32,
    codec_type: Option<String>,
    codec_name: Option<String>,
    /// How its sound is decoded; none where nothing here decodes it, even if its name is known.
    sample_fmt: Option<String>,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    duration: Option<String>,
    sample_aspect_ratio: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    color_primaries: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    default: u8,
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Default, Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

/// What is asked of ffprobe.
pub(super) const ENTRIES: &str = "format=duration:stream=index,codec_type,codec_name,sample_fmt,width,height,duration,sample_aspect_ratio,color_space,color_transfer,color_primaries:stream_disposition=default,attached_pic:stream_side_data=rotation";

/// Reads ffprobe's answer.
///
/// # Errors
/// There is no picture in it, none that ffmpeg can decode, or one of more than `max_pixels`.
pub(super) fn read(json: &[u8], max_pixels: u64) -> Result<ClipFacts, SandboxError> {
    let refused = |code, detail: &str| SandboxError::Refused {
        code,
        detail: detail.to_owned(),
    };
    let probe: Probe = serde_json::from_slice(json)
        .map_err(|_| refused(Code::MediaCorrupt, "the clip's tracks cannot be read"))?;
    let is = |stream: &Stream, kind: &str| stream.codec_type.as_deref() == Some(kind);
    let sound = probe
        .streams
        .iter()
        .find(|s| is(s, "audio") && s.sample_fmt.is_some())
        .map(|s| s.index);
    let standing = |s: &Stream| (s.codec_name.is_some(), s.disposition.default);
    let mut pictures: Vec<&Stream> = probe
        .streams
        .iter()
        .filter(|s| is(s, "video") && s.disposition.attached_pic == 0)
        .collect();
    let best = pictures.iter().map(|s| standing(s)).max();
    pictures.retain(|s| Some(standing(s)) == best);
    // A Pixel's motion photo has a second track, of a few pictures around the one that was chosen, larger than the others.
    let told = pictures.iter().filter_map(|s| runs_s(s));
    let longest_s = told.fold(0.0, f64::max);
    let main = pictures.into_iter().max_by_key(|s| {
        let is_long = runs_s(s).is_none_or(|s| s >= longest_s / 2.0);
        (is_long, u64::from(s.width) * u64::from(s.height))
    });
    let Some(main) = main else {
        let detail = "there is no picture in it, only sound";
        return Err(refused(Code::UnsupportedMediaType, detail));
    };
    if main.codec_name.is_none() {
        let detail = "its picture is coded in a way that is not known";
        return Err(refused(Code::UnsupportedMediaType, detail));
    }
    let pixels = u64::from(main.width) * u64::from(main.height);
    if pixels == 0 {
        return Err(refused(Code::MediaCorrupt, "a clip without pixels"));
    }
    if pixels > max_pixels {
        let detail = format!(
            "{}x{} is more than {max_pixels} pixels",
            main.width, main.height
        );
        return Err(refused(Code::PixelLimitExceeded, &detail));
    }
    let wide = widened(main);
    let turn = main.side_data_list.iter().find_map(|s| s.rotation);
    let is_on_its_side = turn.is_some_and(|t| (t / 90.0).round().rem_euclid(2.0) > 0.5);
    let (width, height) = match is_on_its_side {
        true => (main.height, wide),
        false => (wide, main.height),
    };
    let duration_s = probe.format.duration.as_deref().and_then(seconds);
    Ok(ClipFacts {
        width,
        height,
        duration_s: duration_s.unwrap_or(0.0),
        sound,
        track: main.index,
        colors: colors(main),
        is_anamorphic: wide != main.width,
        max_pixels,
    })
}

/// How long a track runs, where that is told.
fn runs_s(stream: &Stream) -> Option<f64> {
    stream.duration.as_deref().and_then(seconds)
}

fn seconds(text: &str) -> Option<f64> {
    let said = text.parse().ok();
    said.filter(|s: &f64| (0.0..=MAX_DURATION_S).contains(s))
}

/// How many square pixels its columns are wide; as many where their shape makes no sense.
fn widened(stream: &Stream) -> u32 {
    let shape = stream.sample_aspect_ratio.as_deref();
    let sides = shape.and_then(|s| s.split_once(':'));
    let sides = sides.and_then(|(w, h)| Some((w.parse::<u32>().ok()?, h.parse::<u32>().ok()?)));
    let sides = sides.filter(|(w, h)| *w > 0 && *h > 0 && w / h < 4 && h / w < 4);
    let (w, h) = sides.unwrap_or((1, 1));
    let wide = u64::from(stream.width) * u64::from(w) / u64::from(h);
    u32::try_from(wide).unwrap_or(stream.width).max(1)
}

fn colors(stream: &Stream) -> Colors {
    let named = |field: &Option<String>, names: &[&str]| {
        let name = field.as_deref().unwrap_or_default();
        names.contains(&name)
    };
    if named(&stream.color_transfer, &["smpte2084", "arib-std-b67"]) {
        Colors::Bright
    } else if named(&stream.color_primaries, &["bt2020", "smpte431", "smpte432"]) {
        Colors::Wide
    } else if named(&stream.color_space, &["", "unknown"]) && stream.width.min(stream.height) >= 720
    {
        Colors::UntoldHd
    } else {
        Colors::Ordinary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(streams: &str) -> Result<ClipFacts, SandboxError> {
        let json = format!(r#"{{"streams":[{streams}],"format":{{"duration":"1.5"}}}}"#);
        read(json.as_bytes(), 200_000_000)
    }

    #[test]
    fn the_main_picture_is_found_upright() {
        let found = facts(
            r#"{"index":0,"codec_type":"video","codec_name":"mjpeg","width":4000,"height":3000,"disposition":{"default":0,"attached_pic":1}},
               {"index":1,"codec_type":"video","codec_name":"hevc","width":1920,"height":1080,"disposition":{"default":1},
                "color_transfer":"arib-std-b67","color_primaries":"bt2020","side_data_list":[{},{"rotation":-90}]},
               {"index":2,"codec_type":"audio"},
               {"index":3,"codec_type":"audio","codec_name":"ac4"},
               {"index":4,"codec_type":"audio","codec_name":"aac","sample_fmt":"fltp"},
               {"index":5,"codec_type":"audio","codec_name":"aac","sample_fmt":"fltp"}"#,
        );
        let found = found.unwrap();
        assert_eq!((found.width, found.height, found.track), (1080, 1920, 1));
        assert_eq!((found.sound, found.is_anamorphic), (Some(4), false));
        assert_eq!(found.colors, Colors::Bright);
        assert!((found.duration_s - 1.5).abs() < 1e-9);
    }

    #[test]
    fn the_main_picture_goes_on_to_the_end() {
        let track = |index: u32, width: u32, runs: &str| {
            format!(
                r#"{{"index":{index},"codec_type":"video","codec_name":"h264","width":{width},"height":768,"disposition":{{"default":1}}{runs}}}"#
            )
        };
        let (long, short) = (r#","duration":"0.763389""#, r#","duration":"0.281256""#);
        for (first, second, main) in [
            (track(0, 1024, long), track(1, 2048, short), 0),
            (track(0, 1024, long), track(1, 2048, long), 1),
            // What is not told is not held against it.
            (track(0, 1024, long), track(1, 2048, ""), 1),
            (
                track(0, 1024, ""),
                track(1, 2048, r#","duration":"N/A""#),
                1,
            ),
        ] {
            assert_eq!(facts(&format!("{first},{second}")).unwrap().track, main);
        }
        // However long one runs that is not chosen.
        let other = r#"{"index":2,"codec_type":"video","width":8,"height":8,"duration":"900.0"}"#;
        let three = [
            track(0, 1024, long),
            track(1, 2048, short),
            other.to_owned(),
        ];
        assert_eq!(facts(&three.join(",")).unwrap().track, 0);
    }

    #[test]
    fn turns_shapes_and_colours_are_read() {
        let one = |fields: &str| {
            let stream = format!(
                r#"{{"index":0,"codec_type":"video","codec_name":"h264","width":720,"height":576{fields}}}"#
            );
            facts(&stream).unwrap()
        };
        for (turn, size) in [
            (0, (720, 576)),
            (90, (576, 720)),
            (180, (720, 576)),
            (-270, (576, 720)),
        ] {
            let found = one(&format!(r#","side_data_list":[{{"rotation":{turn}}}]"#));
            assert_eq!((found.width, found.height), size, "{turn}");
        }
        let found = one(r#","sample_aspect_ratio":"16:15""#);
        assert_eq!((found.width, found.is_anamorphic), (768, true));
        for odd in ["0:1", "1:0", "9999:1", "x:y", "1"] {
            let found = one(&format!(r#","sample_aspect_ratio":"{odd}""#));
            assert_eq!((found.width, found.is_anamorphic), (720, false), "{odd}");
        }
        assert_eq!(one("").colors, Colors::Ordinary);
        let wide = one(r#","color_primaries":"smpte432","color_transfer":"bt709""#);
        assert_eq!(wide.colors, Colors::Wide);
    }

    #[test]
    fn what_has_no_picture_is_refused() {
        for (streams, code) in [
            ("", Code::UnsupportedMediaType),
            (
                r#"{"index":0,"codec_type":"audio","codec_name":"aac"}"#,
                Code::UnsupportedMediaType,
            ),
            (
                r#"{"index":0,"codec_type":"video","width":9,"height":9}"#,
                Code::UnsupportedMediaType,
            ),
            (
                r#"{"index":0,"codec_type":"video","codec_name":"h264"}"#,
                Code::MediaCorrupt,
            ),
            (
                r#"{"index":0,"codec_type":"video","codec_name":"h264","width":4294967295,"height":4294967295}"#,
                Code::PixelLimitExceeded,
            ),
            (r#"{"index":-1}"#, Code::MediaCorrupt),
        ] {
            assert_eq!(facts(streams).unwrap_err().code(), code, "{streams}");
        }
    }
}
