//! What ffprobe and ffmpeg are told to do with a clip.
//!
//! They are told that it is MP4 or QuickTime, so that no other format of those that refer to files or addresses is guessed; and
//! how large a picture they may decode. Of what comes from outside nothing but numbers stands in an argument.

use safelight_model::preset::{
    PREVIEW_CLIP, PREVIEW_CLIP_FPS, PREVIEW_CLIP_S, PREVIEW_CLIP_SHORT_EDGE, Preset, STREAM,
    STREAM_SHORT_EDGE,
};

use super::clip_facts::{self, ClipFacts, Colors};

/// Threads of ffmpeg: a clip is not to have all processors.
pub(super) const THREADS: u64 = 2;
/// The clip, and the output, as ffmpeg names them.
pub(super) const INPUT: &str = "/proc/self/fd/0";
const OUTPUT: &str = "/proc/self/fd/1";
/// So many seconds into a clip its picture is taken, or a third into a shorter one: what is first is often still dark.
const POSTER_AT_S: f64 = 1.0;

/// How long a fragment plays at least, in microseconds: with a picture that stands by itself every two seconds it comes to what Apple
/// recommends for HTTP Live Streaming, six seconds.
const FRAGMENT_US: &str = "5000000";

/// What says who they are.
pub(super) fn version() -> Vec<String> {
    texts(&["-hide_banner", "-version"])
}

/// What looks at the tracks of a clip.
pub(super) fn probe(max_pixels: u64) -> Vec<String> {
    let mut args = texts(&["-hide_banner", "-v", "error"]);
    args.extend(input(max_pixels));
    args.extend(texts(&[
        "-show_entries",
        clip_facts::ENTRIES,
        "-of",
        "json",
    ]));
    args
}

/// What makes a PNG of the picture at `at_s`.
pub(super) fn frame(facts: &ClipFacts, at_s: f64) -> Vec<String> {
    let mut args = opened(facts, at_s, &["-noaccurate_seek"]);
    let mut filters = filters(facts);
    // Packed, and said to be what it is now.
    filters.push("format=rgb24".to_owned());
    args.extend(["-vf".to_owned(), filters.join(",")]);
    args.extend(texts(&[
        "-frames:v",
        "1",
        "-map_metadata",
        "-1",
        "-c:v",
        "png",
        "-compression_level",
        "1",
        "-f",
        "image2pipe",
        "pipe:1",
    ]));
    args
}

/// What makes its [`STREAM`].
pub(super) fn stream(facts: &ClipFacts) -> Vec<String> {
    played(facts, None)
}

/// What makes the same of its first seconds.
pub(super) fn motion(facts: &ClipFacts, most_seconds: u64) -> Vec<String> {
    played(facts, Some(most_seconds))
}

fn played(facts: &ClipFacts, most_seconds: Option<u64>) -> Vec<String> {
    let mut args = opened(facts, 0.0, &[]);
    if let Some(track) = facts.sound {
        args.extend(["-map".to_owned(), format!("0:{track}")]);
    }
    args.extend(recoded(facts, &STREAM, STREAM_SHORT_EDGE));
    if let Some(seconds) = most_seconds {
        args.extend(["-t".to_owned(), seconds.to_string()]);
    }
    args.extend(texts(&[
        "-crf",
        "23",
        "-maxrate",
        "8M",
        "-bufsize",
        "16M",
        "-fpsmax",
        "60",
        "-force_key_frames",
        "expr:gte(t,n_forced*2)",
    ]));
    if facts.sound.is_some() {
        args.extend(texts(&[
            "-map_metadata:s:a",
            "-1",
            "-flags:a",
            "+bitexact",
            "-c:a",
            "aac",
            "-b:a",
            "128k",
            "-ac",
            "2",
        ]));
    }
    args.extend(written());
    args
}

/// What makes one file of fragments of a [`STREAM`] without decoding it, each of [`FRAGMENT_US`] at least and from one picture that stands by
/// itself to the next, with an index of them at its beginning.
pub(super) fn fragmented(stream: &ClipFacts) -> Vec<String> {
    let mut args = opened(stream, 0.0, &[]);
    if let Some(track) = stream.sound {
        args.extend(["-map".to_owned(), format!("0:{track}")]);
    }
    args.extend(texts(&[
        "-c",
        "copy",
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        "-movflags",
        "+frag_keyframe+delay_moov+default_base_moof+global_sidx+skip_trailer",
        "-min_frag_duration",
        FRAGMENT_US,
        "-f",
        "mp4",
        OUTPUT,
    ]));
    args
}

/// What makes its [`PREVIEW_CLIP`], which begins with the picture that [`frame`] makes with the same `at_s`.
pub(super) fn preview(facts: &ClipFacts, at_s: f64) -> Vec<String> {
    let mut args = opened(facts, at_s, &[]);
    args.extend(recoded(facts, &PREVIEW_CLIP, PREVIEW_CLIP_SHORT_EDGE));
    args.extend(["-t".to_owned(), PREVIEW_CLIP_S.to_string()]);
    args.extend(["-fpsmax".to_owned(), PREVIEW_CLIP_FPS.to_string()]);
    args.extend(texts(&[
        "-crf", "28", "-maxrate", "1M", "-bufsize", "2M", "-an",
    ]));
    args.extend(written());
    args
}

/// Where to look for a picture of a clip: what cannot be found at its time is taken from the beginning.
pub(super) fn places(facts: &ClipFacts) -> [f64; 2] {
    [POSTER_AT_S.min(facts.duration_s / 3.0), 0.0]
}

fn texts(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

/// How the clip is opened, by both tools.
fn input(max_pixels: u64) -> Vec<String> {
    // Of more they say that it is no number.
    let most = max_pixels.min(u64::from(i32::MAX.unsigned_abs()));
    let mut args = texts(&["-f", "mov", "-protocol_whitelist", "file", "-max_pixels"]);
    args.push(most.to_string());
    args.extend(texts(&["-i", INPUT]));
    args
}

/// ffmpeg with the track of the picture, from `at_s` on, which is sought in this way.
fn opened(facts: &ClipFacts, at_s: f64, how: &[&str]) -> Vec<String> {
    let mut args = texts(&["-nostdin", "-hide_banner", "-v", "error", "-y"]);
    args.extend(["-threads".to_owned(), THREADS.to_string()]);
    if at_s > 0.0 {
        args.extend(texts(how));
        args.extend(["-ss".to_owned(), format!("{at_s:.3}")]);
    }
    args.extend(input(facts.max_pixels));
    args.extend(["-map".to_owned(), format!("0:{}", facts.track)]);
    args
}

/// A picture in H.264 within the edges of `preset`, that says nothing of where it comes from.
fn recoded(facts: &ClipFacts, preset: &Preset, short_edge: u32) -> Vec<String> {
    let (width, height) = size_within(facts, preset.long_edge, short_edge);
    // Smaller first: the rest costs by the pixel.
    let mut filters = vec![format!("scale={width}:{height}")];
    let rest = self::filters(facts).into_iter();
    filters.extend(rest.filter(|f| !f.starts_with("scale=")));
    // Some phones use all of a byte for light; players that do not look take it for the usual range.
    filters.push("scale=out_range=tv".to_owned());
    filters.push("format=yuv420p".to_owned());
    let mut args = vec!["-vf".to_owned(), filters.join(",")];
    args.extend(texts(&[
        "-sn",
        "-dn",
        "-map_metadata",
        "-1",
        "-map_metadata:s:v",
        "-1",
        "-map_chapters",
        "-1",
        // Without the name of what encoded it, and of tracks.
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-profile:v",
        "high",
    ]));
    args.extend(["-threads".to_owned(), THREADS.to_string()]);
    args
}

/// With what tells where everything is before the rest.
fn written() -> Vec<String> {
    texts(&["-movflags", "+faststart", "-f", "mp4", OUTPUT])
}

/// What every picture of it goes through: tones and colours that screens show, square pixels.
fn filters(facts: &ClipFacts) -> Vec<String> {
    let mut filters = Vec::new();
    if facts.is_anamorphic {
        filters.push(format!("scale={}:{}", facts.width, facts.height));
    }
    match facts.colors {
        Colors::Ordinary => {}
        Colors::UntoldHd => filters.push("setparams=colorspace=bt709".to_owned()),
        Colors::Wide => filters.push("zscale=p=709:t=709:m=709".to_owned()),
        // Light as it is, brought into what a screen shows by a curve that leaves middle tones alone, then coded again.
        Colors::Bright => filters.push(
            "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=709,tonemap=hable:desat=0,zscale=t=709:m=709:r=tv"
                .to_owned(),
        ),
    }
    filters.push("setsar=1".to_owned());
    filters
}

/// Columns and rows within these edges: even, never enlarged.
fn size_within(facts: &ClipFacts, most_long: u32, most_short: u32) -> (u32, u32) {
    let (long, short) = (
        u64::from(facts.width.max(facts.height)),
        u64::from(facts.width.min(facts.height)),
    );
    let (most_long, most_short) = (u64::from(most_long), u64::from(most_short));
    let side = |side: u32| {
        let mut side = u64::from(side);
        if long * most_short > short * most_long {
            if long > most_long {
                side = side * most_long / long;
            }
        } else if short > most_short {
            side = side * most_short / short;
        }
        u32::try_from((side / 2 * 2).max(2)).unwrap_or(2)
    };
    (side(facts.width), side(facts.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(width: u32, height: u32) -> ClipFacts {
        ClipFacts {
            width,
            height,
            duration_s: 2.0,
            sound: Some(1),
            track: 0,
            colors: Colors::Ordinary,
            is_anamorphic: false,
            max_pixels: u64::MAX,
        }
    }

    #[test]
    fn what_is_played_is_even_and_within_its_edges() {
        for (from, stream, preview) in [
            ((3840, 2160), (1920, 1080), (852, 480)),
            ((2160, 3840), (1080, 1920), (480, 852)),
            ((1920, 1440), (1440, 1080), (640, 480)),
            ((4000, 1000), (1920, 480), (854, 212)),
            ((1080, 1080), (1080, 1080), (480, 480)),
            ((641, 361), (640, 360), (640, 360)),
            ((1, 1), (2, 2), (2, 2)),
            ((u32::MAX, 1), (1920, 2), (854, 2)),
        ] {
            let facts = facts(from.0, from.1);
            let of = |preset: Preset, short| size_within(&facts, preset.long_edge, short);
            assert_eq!(of(STREAM, STREAM_SHORT_EDGE), stream, "{from:?}");
            let found = of(PREVIEW_CLIP, PREVIEW_CLIP_SHORT_EDGE);
            assert_eq!(found, preview, "{from:?}");
        }
    }

    #[test]
    fn nothing_of_the_clip_stands_in_an_argument() {
        // All that comes from outside are numbers.
        let facts = facts(10, 10);
        for args in [
            probe(u64::MAX),
            frame(&facts, 0.5),
            preview(&facts, 0.5),
            stream(&facts),
            motion(&facts, 30),
        ] {
            let place = |name: &str| args.iter().position(|a| a == name).unwrap();
            let input = place("-i");
            assert_eq!(args[input + 1], INPUT);
            assert!(place("-protocol_whitelist") < input);
            assert_eq!(args[place("-protocol_whitelist") - 1], "mov");
            // Before the clip is opened, so that it binds what decodes it.
            assert!(place("-max_pixels") < input);
            assert_eq!(args[place("-max_pixels") + 1], i32::MAX.to_string());
        }
    }

    #[test]
    fn of_a_motion_photo_no_more_is_made_than_is_played() {
        let args = motion(&facts(10, 10), 30);
        let place = |name: &str| args.iter().position(|a| a == name).unwrap();
        // Behind the input, of which a clip says itself how long it runs.
        assert!(place("-t") > place("-i"));
        assert_eq!(args[place("-t") + 1], "30");
        assert!(!stream(&facts(10, 10)).iter().any(|a| a == "-t"));
    }

    #[test]
    fn a_preview_is_silent() {
        assert!(!preview(&facts(10, 10), 0.0).iter().any(|a| a == "0:1"));
        assert!(stream(&facts(10, 10)).iter().any(|a| a == "0:1"));
    }
}
