//! The store over a real socket, spoken to by the AWS SDK and by plain HTTP.

mod basics;
mod checksums;
mod harness;
mod keys;
mod kill;
mod listing;
mod multipart;
mod presigned;
mod races;
mod robustness;
