//! Free ports on loopback.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::{Result, bail};

/// Below the range from which the kernel takes the source ports of outgoing
/// connections. Inside of it, a client that reconnects while a server restarts
/// may be given the server's port, and can even connect to itself.
const RANGE: std::ops::Range<u16> = 15_000..30_000;

static HANDED_OUT: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port on which nothing listens, and that this process has not handed out.
///
/// Another process can take it before it is used: whoever starts a server on it
/// tries again then.
pub fn free_port() -> Result<u16> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let width = u64::from(RANGE.end - RANGE.start);
    for attempt in 0..1_000_u64 {
        let random = RandomState::new().hash_one(attempt) % width;
        let port = RANGE.start + u16::try_from(random)?;
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free && handed_out.insert(port) {
            return Ok(port);
        }
    }
    bail!(
        "no free port on loopback between {} and {}",
        RANGE.start,
        RANGE.end
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports: HashSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }
}
