//! Ctrl-C: the first pauses, the second ends at once.

use std::path::Path;

use safelight_client::uploader::Uploader;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::UploadArgs;

/// What a shell says of a process that ended by Ctrl-C.
pub const EXIT_CODE: u8 = 130;

/// Listens for Ctrl-C from now on.
pub fn listen() -> anyhow::Result<Signal> {
    Ok(signal(SignalKind::interrupt())?)
}

/// From now on the next Ctrl-C ends the process. What it was doing is in the journal.
pub fn end_at_next(mut interrupts: Signal) {
    tokio::spawn(async move {
        interrupts.recv().await;
        std::process::exit(i32::from(EXIT_CODE));
    });
}

/// Pauses everything, and says how to go on.
pub async fn pause(uploader: &Uploader, args: &UploadArgs) -> anyhow::Result<()> {
    uploader.pause_all().await?;
    let captures = uploader.captures().await?;
    let files = captures.iter().flat_map(|c| &c.files);
    let left = files.filter(|(_, is_there)| !is_there).count();
    eprintln!(
        "paused; {left} files of the journal are not sent yet. Go on with: {}",
        again(args)
    );
    Ok(())
}

/// The command to go on with, without what it was told about the server.
fn again(args: &UploadArgs) -> String {
    let mut words = vec!["safelight".to_owned(), "upload".to_owned()];
    if let Some(journal) = &args.journal {
        words.push("--journal".to_owned());
        words.push(quoted(journal));
    }
    words.extend(args.paths.iter().map(|path| quoted(path)));
    words.join(" ")
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn paths_are_quoted_as_a_shell_takes_them() {
        for (path, text) in [
            ("/a/IMG_1.jpg", "/a/IMG_1.jpg"),
            ("my photos", "'my photos'"),
            ("it's", r"'it'\''s'"),
            ("a;b", "'a;b'"),
        ] {
            assert_eq!(quoted(&PathBuf::from(path)), text);
        }
    }
}
