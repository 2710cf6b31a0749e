//! Names of node pools: at most 12 lower-case letters and digits, the first a letter (AKS documentation, "Create node
//! pools").

use sha2::{Digest, Sha256};

use crate::domain::{LandingZoneName, NodePool, Subnet};

/// Characters of the landing zone's name that stay.
const READABLE: usize = 7;
/// Characters that tell apart what would have the same name.
const DISTINCT: usize = 5;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The name of a landing zone's pool: the beginning of its name, and what distinguishes it. Whatever Azure cannot change of a
/// pool is part of that, so that another pool has another name and can be there beside the first.
pub(super) fn pool_name(
    cluster: &str,
    zone: &LandingZoneName,
    pool: &NodePool,
    subnet: Option<&Subnet>,
) -> String {
    let letters = zone.as_str().chars().filter(char::is_ascii_alphanumeric);
    let mut name: String = letters.take(READABLE).collect();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert(0, 'z');
        name.truncate(READABLE);
    }
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update(text.as_bytes());
        digest.update([0]);
    };
    part(cluster);
    part(zone.as_str());
    part(&pool.vm_size.to_ascii_lowercase());
    part(&pool.max_pods.map(|it| it.to_string()).unwrap_or_default());
    part(&subnet.map(|it| it.cidr.to_string()).unwrap_or_default());
    part(
        &subnet
            .and_then(|it| it.pod_cidr)
            .map(|it| it.to_string())
            .unwrap_or_default(),
    );
    let zones = pool.availability_zones.iter();
    part(&zones.map(ToString::to_string).collect::<Vec<_>>().join(","));
    let digest = digest.finalize();
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    name.extend(digest.iter().take(DISTINCT).map(letter));
    name
}
