//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};

/// A TCP port of 127.0.0.1 that nobody listened on a moment ago.
///
/// Another process may take it before the caller does; whoever binds it retries with another one.
///
/// # Errors
/// The system's, when no port is left.
pub fn free() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_free_port_can_be_bound() {
        let port = super::free().unwrap();
        std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
}
