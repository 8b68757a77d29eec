//! Sends the last files of a run in parts where one connection does not fill the link: what is appended to goes over one, so
//! that the last bytes of all would go at the rate of one while the lanes beside it are empty. Only what has not begun may
//! travel in another way, so it is decided when a file begins; how many of its parts go at once follows the lanes that others
//! leave.

use safelight_api::uploads::Replan;
use safelight_model::plan::Transport;

use super::ask_again::adopt;
use super::run::Turn;
use super::{FileJob, Uploader};

/// Only a file that would keep the whole link busy for so long is worth it, in seconds: the server makes no parts that
/// take less.
const WORTH_PARTS_S: u64 = 8;

/// What is known when a file is about to begin.
#[derive(Clone, Copy, Debug)]
struct Facts {
    transport: Option<Transport>,
    size_bytes: i64,
    /// Files that begin after it.
    left: usize,
    /// As many as had better be under way at once.
    at_once: u32,
    /// Whether more connections carry more, as was measured of late.
    more_carry_more: Option<bool>,
    /// What the link carries, in kbit/s.
    uplink_kbps: Option<u32>,
}

/// Whether the file had better go in parts.
fn is_worth_it(facts: &Facts) -> bool {
    let Some(kbps) = facts.uplink_kbps else {
        return false;
    };
    let soon_bytes = u64::from(kbps) * 125 * WORTH_PARTS_S;
    facts.transport == Some(Transport::Append)
        && facts.more_carry_more == Some(true)
        && u32::try_from(facts.left).is_ok_and(|left| left < facts.at_once)
        && u64::try_from(facts.size_bytes).is_ok_and(|size| size > soon_bytes)
}

impl Uploader {
    /// Has the server plan `job` in parts, if that is worth it; nothing of it has been sent. `true` if it is not known how the
    /// server wants it now.
    pub(super) async fn split(&self, job: &mut FileJob, turn: &Turn) -> bool {
        let conditions = self.settings.conditions.borrow().clone();
        let at_once = self.at_once();
        let facts = Facts {
            transport: Transport::parse(&job.upload.plan.transport),
            size_bytes: job.file.sent().stamp.size_bytes,
            left: turn.left(),
            at_once,
            more_carry_more: self.breadth.more_carry_more(),
            uplink_kbps: self.session.gauge().measured().uplink_kbps,
        };
        if conditions.background || !self.bears_company() || !is_worth_it(&facts) {
            return false;
        }
        let asked = Replan {
            network: self.network(),
            battery: conditions.battery(),
            background: conditions.background,
            accept_transports: vec![Transport::Multipart.as_str().to_owned()],
            restart: false,
        };
        match self.session.replan(&job.upload.upload_id, &asked).await {
            Ok(answer) => {
                if adopt(job, answer) {
                    job.is_split = true;
                    let plan = &mut job.upload.plan;
                    plan.concurrency = plan.concurrency.max(at_once);
                }
                false
            }
            Err(error) => error.is_passing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_files_go_in_parts_where_more_connections_carry_more() {
        let last = Facts {
            transport: Some(Transport::Append),
            size_bytes: 3_000_000,
            left: 2,
            at_once: 3,
            more_carry_more: Some(true),
            uplink_kbps: Some(1_000),
        };
        assert!(is_worth_it(&last));
        for facts in [
            Facts { left: 3, ..last },
            Facts {
                more_carry_more: Some(false),
                ..last
            },
            Facts {
                more_carry_more: None,
                ..last
            },
            Facts {
                transport: Some(Transport::Single),
                ..last
            },
            Facts {
                size_bytes: 1_000_000,
                ..last
            },
            Facts {
                uplink_kbps: None,
                ..last
            },
        ] {
            assert!(!is_worth_it(&facts), "{facts:?}");
        }
    }
}
