//! Webhooks: a tenant's events, sent where it asks, by the Standard Webhooks specification (version 1.0.0).

pub mod check_url;
pub mod deliver;
pub mod endpoints;
pub mod post;
pub mod prune_deliveries;
pub mod replay;
pub mod rotate_secret;
pub mod sign;
pub mod turn;
