//! Seeds of generated tests: the same in every run, unless somebody asks for another one.

use std::env;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use proptest::test_runner::{RngAlgorithm, TestRng};

/// A seed.
pub type Seed = [u8; 32];

/// The seed that an environment variable asks for: `random`, or 32 bytes in hexadecimal. Without it, `otherwise`.
pub fn asked_for(variable: &str, otherwise: Seed) -> Result<Seed> {
    let Ok(asked) = env::var(variable) else {
        return Ok(otherwise);
    };
    let mut seed = [0; 32];
    if asked == "random" {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        seed[..16].copy_from_slice(&now.to_le_bytes());
        return Ok(seed);
    }
    ensure!(
        asked.len() == 64,
        "{variable} is no 32 bytes in hexadecimal"
    );
    for (index, byte) in seed.iter_mut().enumerate() {
        let digits = asked.get(2 * index..2 * index + 2);
        let digits = digits.with_context(|| format!("{variable} is not hexadecimal"))?;
        *byte = u8::from_str_radix(digits, 16)
            .with_context(|| format!("{variable} is not hexadecimal"))?;
    }
    Ok(seed)
}

/// A seed as people write it.
#[must_use]
pub fn in_hexadecimal(seed: &Seed) -> String {
    seed.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Random numbers from a seed.
#[must_use]
pub fn rng(seed: &Seed) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, seed)
}
