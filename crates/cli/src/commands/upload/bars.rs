//! Shows how far an upload is: bars on a terminal, else a line now and then on standard error.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use safelight_client::progress::{Event, Progress};

use crate::output;

/// Bars of finished files stay when there are no more than these; else a screen would overflow.
const BARS_THAT_STAY: usize = 24;
/// Shorter waits are not worth a line.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// The display. Without a terminal the bars are kept but not drawn.
pub struct Bars {
    drawn: bool,
    bars: MultiProgress,
    all: ProgressBar,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: usize,
    done: usize,
    /// Bytes counted in the bar of all, for each file under way.
    counted: HashMap<PathBuf, (ProgressBar, u64)>,
    waiting_for: usize,
    settled: usize,
    /// The last reason for waiting that was printed: the same one is not printed again.
    said: String,
}

impl Bars {
    /// Draws on standard error, if that is a terminal.
    pub fn show() -> Self {
        let drawn = std::io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(if drawn {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let all = bars.add(ProgressBar::no_length());
        all.set_style(style(
            "{prefix:>10} [{bar:30}] {bytes:>10} / {total_bytes} {bytes_per_sec} {wide_msg}",
        ));
        all.set_prefix("in all");
        Self {
            drawn,
            bars,
            all,
            state: Mutex::default(),
        }
    }

    /// From now on it is about assets that become viewable.
    pub fn begin_waiting(&self, asset_ids: &[String]) {
        let count = asset_ids.iter().collect::<HashSet<_>>().len();
        self.state().waiting_for = count;
        self.all.set_style(style(
            "{prefix:>10} [{bar:30}] {pos} / {len} assets {wide_msg}",
        ));
        self.all.set_prefix("settled");
        self.all.set_message("");
        self.all.set_length(count as u64);
        self.all.set_position(0);
        if !self.drawn && count > 0 {
            eprintln!("waiting for {count} assets to become viewable");
        }
    }

    /// One more asset is settled.
    pub fn settled(&self) {
        let mut state = self.state();
        state.settled += 1;
        self.all.set_position(state.settled as u64);
        if !self.drawn && is_worth_a_line(state.settled, state.waiting_for) {
            eprintln!("settled {} of {}", state.settled, state.waiting_for);
        }
    }

    /// Ends the display.
    pub fn end(&self) {
        self.all.finish_and_clear();
    }

    /// A line that stays.
    fn say(&self, line: &str) {
        if self.drawn {
            // What cannot be written to a terminal is of no use to anybody.
            let _ = self.bars.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, file: &Path, size_bytes: i64) -> ProgressBar {
        let bar = ProgressBar::new(u64::try_from(size_bytes).unwrap_or(0));
        bar.set_style(style(
            "{prefix:>10} [{bar:30}] {bytes:>10} / {total_bytes} {wide_msg}",
        ));
        bar.set_message(name(file));
        self.bars.insert_before(&self.all, bar)
    }

    fn count(&self, state: &mut State, file: &Path, sent_bytes: i64) {
        let now = u64::try_from(sent_bytes).unwrap_or(0);
        if let Some((bar, before)) = state.counted.get_mut(file) {
            bar.set_position(now);
            let all = (self.all.position() + now).saturating_sub(*before);
            self.all.set_position(all);
            *before = now;
        }
    }

    fn done(&self, file: &Path, size_bytes: i64, how: &'static str) {
        let mut state = self.state();
        let (bar, _) = match state.counted.get(file) {
            Some(known) => known.clone(),
            None => (self.begin(file, size_bytes), 0),
        };
        state
            .counted
            .entry(file.to_owned())
            .or_insert((bar.clone(), 0));
        self.count(&mut state, file, size_bytes);
        state.counted.remove(file);
        bar.set_prefix(how);
        if state.files <= BARS_THAT_STAY {
            bar.finish();
        } else {
            bar.finish_and_clear();
        }
        state.done += 1;
        if !self.drawn && is_worth_a_line(state.done, state.files) {
            eprintln!("{how} {} of {}: {}", state.done, state.files, name(file));
        }
    }
}

impl Progress for Bars {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Found { files, size_bytes } => {
                self.state().files = files;
                self.all.set_length(u64::try_from(size_bytes).unwrap_or(0));
                if !self.drawn {
                    eprintln!("{files} files, {}", output::size(size_bytes));
                }
            }
            Event::Started { file, size_bytes } => {
                let bar = self.begin(file, size_bytes);
                self.state().counted.insert(file.to_owned(), (bar, 0));
            }
            Event::Sent { file, sent_bytes } => {
                self.all.set_message("");
                self.count(&mut self.state(), file, sent_bytes);
            }
            Event::Uploaded {
                file,
                size_bytes,
                already_there,
            } => {
                let how = if already_there { "there" } else { "sent" };
                self.done(file, size_bytes, how);
            }
            // The report at the end says why.
            Event::Failed { file, .. } => {
                let mut state = self.state();
                state.done += 1;
                if let Some((bar, _)) = state.counted.remove(file) {
                    bar.finish_and_clear();
                }
            }
            Event::NoCopy { file, why } => self.say(&format!(
                "{}: no smaller copy could be made, it goes as it is: {}",
                name(file),
                output::printable(why)
            )),
            Event::Held { hold, .. } => self.all.set_message(hold.as_str()),
            Event::Waiting { why, wait } => {
                let text = format!(
                    "{}; trying again in {:.1} s",
                    output::printable(why),
                    wait.as_secs_f64()
                );
                if self.drawn {
                    self.all.set_message(text);
                } else if wait >= WORTH_SAYING {
                    let mut state = self.state();
                    if state.said != why {
                        state.said = why.to_owned();
                        eprintln!("{text}");
                    }
                }
            }
        }
    }
}

/// About ten lines in all.
fn is_worth_a_line(done: usize, of: usize) -> bool {
    done == of || of <= 20 || done.is_multiple_of(of.div_ceil(10))
}

fn name(file: &Path) -> String {
    output::printable(&file.file_name().unwrap_or_default().to_string_lossy())
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and a bar without style is still a bar.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
