//! Whether anything may be sent at this moment: what the user wishes, and what holds of network and battery.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::conditions::{Conditions, Needs, NetworkKind};

/// Why nothing is sent. An app shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The user paused it.
    Paused,
    /// There is no network.
    Offline,
    /// It goes over Wi-Fi only.
    Wifi,
    /// It goes while charging only.
    Charging,
    /// The user cancelled it: it never goes on.
    Cancelled,
}

impl Hold {
    /// A stable word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Offline => "waiting_for_network",
            Self::Wifi => "waiting_for_wifi",
            Self::Charging => "waiting_for_charging",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What the user wishes of one capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// It waits until it is resumed.
    pub is_paused: bool,
    /// It is given up.
    pub is_cancelled: bool,
    /// What it needs besides what all need.
    pub needs: Needs,
}

#[derive(Clone, Debug, Default)]
struct Wishes {
    is_paused: bool,
    needs: Needs,
    captures: HashMap<i64, Wish>,
}

/// Holds back, and lets through.
#[derive(Debug)]
pub(crate) struct Gate {
    wishes: watch::Sender<Wishes>,
    conditions: watch::Receiver<Conditions>,
}

impl Gate {
    pub(crate) fn new(needs: Needs, conditions: watch::Receiver<Conditions>) -> Self {
        let wishes = Wishes {
            needs,
            ..Wishes::default()
        };
        Self {
            wishes: watch::channel(wishes).0,
            conditions,
        }
    }

    /// Pauses or resumes everything.
    pub(crate) fn pause_all(&self, is_paused: bool) {
        self.wishes.send_modify(|w| w.is_paused = is_paused);
    }

    /// What the user wishes of the capture `seq`.
    pub(crate) fn wish(&self, seq: i64, change: impl FnOnce(&mut Wish)) {
        self.wishes
            .send_modify(|w| change(w.captures.entry(seq).or_default()));
    }

    /// Why nothing of the capture `seq` is sent now; `None` if it is.
    pub(crate) fn hold(&self, seq: i64) -> Option<Hold> {
        let wish = self.wishes.borrow().captures.get(&seq).copied();
        self.hold_by(wish.unwrap_or_default())
    }

    /// Why nothing at all is sent now; `None` if something may be.
    pub(crate) fn hold_of_all(&self) -> Option<Hold> {
        self.hold_by(Wish::default())
    }

    fn hold_by(&self, wish: Wish) -> Option<Hold> {
        let wishes = self.wishes.borrow();
        let conditions = self.conditions.borrow();
        let needs = wishes.needs.and(wish.needs);
        if wish.is_cancelled {
            Some(Hold::Cancelled)
        } else if wishes.is_paused || wish.is_paused {
            Some(Hold::Paused)
        } else if conditions.network == Some(NetworkKind::Offline) {
            Some(Hold::Offline)
        // What is not known may cost the user money, or his battery.
        } else if needs.wifi && !conditions.network.is_some_and(NetworkKind::is_wifi) {
            Some(Hold::Wifi)
        } else if needs.charging && conditions.charging != Some(true) {
            Some(Hold::Charging)
        } else {
            None
        }
    }

    /// Returns once something of the capture `seq` is held back, with the reason.
    pub(crate) async fn closed(&self, seq: i64) -> Hold {
        let (mut wishes, mut conditions) = self.watching();
        loop {
            if let Some(hold) = self.hold(seq) {
                return hold;
            }
            changed(&mut wishes, &mut conditions).await;
        }
    }

    /// Returns once one of the captures is held back for another reason than it was, or for none.
    pub(crate) async fn moves(&self, held: &[(i64, Hold)]) {
        let (mut wishes, mut conditions) = self.watching();
        while held.iter().all(|(seq, was)| self.hold(*seq) == Some(*was)) {
            changed(&mut wishes, &mut conditions).await;
        }
    }

    /// Marks what is now as seen, before it is looked at.
    fn watching(&self) -> (watch::Receiver<Wishes>, watch::Receiver<Conditions>) {
        let mut conditions = self.conditions.clone();
        conditions.borrow_and_update();
        (self.wishes.subscribe(), conditions)
    }
}

/// Returns when either has changed. Conditions whose source is gone never do.
async fn changed(
    wishes: &mut watch::Receiver<Wishes>,
    conditions: &mut watch::Receiver<Conditions>,
) {
    let other = async {
        if conditions.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // The sender is the gate's own.
        _ = wishes.changed() => {}
        () = other => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(network: NetworkKind) -> Conditions {
        Conditions {
            network: Some(network),
            ..Conditions::default()
        }
    }

    #[tokio::test]
    async fn it_opens_and_closes_with_wishes_and_conditions() {
        let (tell, conditions) = watch::channel(Conditions::default());
        let gate = Gate::new(Needs::default(), conditions);
        assert_eq!(gate.hold(1), None);
        gate.wish(1, |w| w.needs.wifi = true);
        assert_eq!(gate.hold(1), Some(Hold::Wifi), "not known is not Wi-Fi");
        assert_eq!(gate.hold(2), None, "another capture");
        tell.send_replace(on(NetworkKind::Cellular));
        assert_eq!(gate.closed(1).await, Hold::Wifi);

        let opened = gate.moves(&[(1, Hold::Wifi)]);
        tokio::pin!(opened);
        assert!(futures::poll!(&mut opened).is_pending());
        tell.send_replace(on(NetworkKind::Ethernet));
        opened.await;

        let closed = gate.closed(1);
        tokio::pin!(closed);
        assert!(futures::poll!(&mut closed).is_pending());
        gate.pause_all(true);
        assert_eq!(closed.await, Hold::Paused);
        gate.pause_all(false);
        gate.wish(1, |w| w.needs.charging = true);
        assert_eq!(gate.hold(1), Some(Hold::Charging));
        tell.send_replace(on(NetworkKind::Offline));
        assert_eq!(gate.hold(2), Some(Hold::Offline));
        gate.wish(1, |w| w.is_cancelled = true);
        assert_eq!(gate.hold(1), Some(Hold::Cancelled));
        gate.moves(&[(2, Hold::Offline), (1, Hold::Offline)]).await;
        drop(tell);
        let closed = gate.closed(2);
        assert_eq!(closed.await, Hold::Offline);
    }
}
