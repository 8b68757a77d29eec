//! What a user says of the link.

use clap::builder::PossibleValuesParser;
use safelight_client::conditions::{Conditions, NetworkKind};

/// The link, for the server's plan. What is not said is measured.
#[derive(clap::Args)]
pub struct LinkArgs {
    /// The network that this machine is on: on a thin one the server has files sent so that they can go on at any byte
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    network: Option<String>,
    /// Bytes cost money: the server advises to send less
    #[arg(long)]
    metered: bool,
    /// What the link carries towards the server, in kbit/s [default: as measured]
    #[arg(long, value_name = "KBPS", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    uplink_kbps: Option<u32>,
    /// How long the server is away and back, in milliseconds [default: as measured]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    round_trip_ms: Option<u32>,
}

impl LinkArgs {
    /// As the client takes it.
    pub fn conditions(&self) -> Conditions {
        Conditions {
            network: self.network.as_deref().and_then(NetworkKind::parse),
            metered: self.metered.then_some(true),
            uplink_kbps: self.uplink_kbps,
            round_trip_ms: self.round_trip_ms,
            ..Conditions::default()
        }
    }
}

/// All that can be sent over.
fn kinds() -> PossibleValuesParser {
    let kinds = NetworkKind::ALL.into_iter();
    PossibleValuesParser::new(
        kinds
            .filter(|kind| *kind != NetworkKind::Offline)
            .map(NetworkKind::as_str),
    )
}
