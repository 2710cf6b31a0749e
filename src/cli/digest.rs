//! What texts are known by over time.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Bytes of a digest that are kept: far more than findings need to be told apart.
const KEPT: usize = 8;

/// Tells texts apart, and stays the same.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut text = String::with_capacity(2 * KEPT);
    for byte in hash.iter().take(KEPT) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
