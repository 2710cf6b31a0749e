//! Whether an observed object says what the landing zone declares, decided locally, and what
//! differs where it does not. Pure.

mod content;
mod diff;
mod owners;
#[cfg(test)]
mod tests;

pub use content::{Content, Digest, digest_of};
pub use diff::{Difference, differences};
pub use owners::{holder, keys_held};
