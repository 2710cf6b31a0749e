//! Kubernetes quantities, compared exactly.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use crate::api::rule;

#[cfg(test)]
mod tests;

/// A quantity: the text that was written, and its exact value.
///
/// Two quantities are equal when their values are: `1000m` is `1`.
///
/// ```
/// use landing_zone_operator::domain::Quantity;
///
/// let half: Quantity = "500m".parse()?;
/// let whole: Quantity = "1".parse()?;
/// assert!(half < whole);
/// assert_eq!(&half + &half, whole);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quantity {
    text: String,
    nano: i128,
}

const NANO_PER_ONE: i128 = 1_000_000_000;
/// Kubernetes cuts anything greater down to this, so it could never be as declared.
const GREATEST: i128 = i64::MAX as i128 * NANO_PER_ONE;

impl Quantity {
    /// The exact value in billionths.
    #[must_use]
    pub fn nano(&self) -> i128 {
        self.nano
    }

    /// Whether the value is a whole number.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.nano % NANO_PER_ONE == 0
    }

    /// The text that was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A quantity of a known value, written as Kubernetes would: with the greatest unit that leaves
    /// a whole number, of the binary units where the value was written in those.
    fn written(nano: i128, binary: bool) -> Self {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const FRACTIONS: [&str; 3] = ["n", "u", "m"];
        let mut number = nano;
        let mut unit = "";
        if nano % NANO_PER_ONE == 0 {
            number /= NANO_PER_ONE;
            if binary && number != 0 {
                for larger in &BINARY[1..] {
                    if number % 1024 != 0 {
                        break;
                    }
                    number /= 1024;
                    unit = larger;
                }
            }
        } else {
            let mut fractions = FRACTIONS.iter();
            unit = fractions.next().copied().unwrap_or_default();
            for larger in fractions {
                if number % 1000 != 0 {
                    break;
                }
                number /= 1000;
                unit = larger;
            }
        }
        Self {
            text: format!("{number}{unit}"),
            nano,
        }
    }

    fn is_binary(&self) -> bool {
        self.text.ends_with('i')
    }
}

impl FromStr for Quantity {
    /// The rule that the text breaks, and the way out.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = Decimal::read(text).ok_or(rule::QUANTITY)?;
        match number.nano() {
            Some(nano) if nano.abs() <= GREATEST => Ok(Self {
                text: text.to_owned(),
                nano,
            }),
            _ => Err(format!(
                "is more than Kubernetes can count: write at most {}",
                i64::MAX
            )),
        }
    }
}

/// A quantity as it is written, taken apart.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// Power of ten that the unit stands for.
    exponent: i64,
    /// Power of 1024 that the unit stands for.
    binary: u32,
}

impl<'a> Decimal<'a> {
    /// Takes `text` apart by the grammar of Kubernetes: sign, digits with an optional point, unit.
    fn read(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = digits(rest);
        let (fraction, unit) = rest.strip_prefix('.').map_or(("", rest), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (exponent, binary) = match unit {
            "n" => (-9, 0),
            "u" => (-6, 0),
            "m" => (-3, 0),
            "" => (0, 0),
            "k" => (3, 0),
            "M" => (6, 0),
            "G" => (9, 0),
            "T" => (12, 0),
            "P" => (15, 0),
            "E" => (18, 0),
            "Ki" => (0, 1),
            "Mi" => (0, 2),
            "Gi" => (0, 3),
            "Ti" => (0, 4),
            "Pi" => (0, 5),
            "Ei" => (0, 6),
            _ => (unit.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
        };
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
            binary,
        })
    }

    /// The value in billionths, rounded away from zero as the API server does; None where it does
    /// not fit.
    fn nano(&self) -> Option<i128> {
        let fraction = self.fraction.trim_end_matches('0');
        let mut number: i128 = 0;
        for digit in self.whole.bytes().chain(fraction.bytes()) {
            number = number
                .checked_mul(10)?
                .checked_add(i128::from(digit - b'0'))?;
        }
        if number == 0 {
            return Some(0);
        }
        number = number.checked_mul(1024_i128.pow(self.binary))?;
        let scale = self
            .exponent
            .checked_add(9)?
            .checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let power = u32::try_from(scale.unsigned_abs())
            .ok()
            .and_then(|scale| 10_i128.checked_pow(scale));
        let magnitude = if scale >= 0 {
            number.checked_mul(power?)?
        } else {
            // A power that does not fit is greater than any number: what remains is one billionth.
            power.map_or(1, |power| number / power + i128::from(number % power != 0))
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// The leading decimal digits of `text`, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}
impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl Add for &Quantity {
    type Output = Quantity;

    fn add(self, other: Self) -> Quantity {
        [self, other].into_iter().sum()
    }
}

impl<'a> Sum<&'a Quantity> for Quantity {
    fn sum<I: Iterator<Item = &'a Quantity>>(quantities: I) -> Self {
        let (nano, binary) = quantities.fold((0_i128, false), |(nano, binary), quantity| {
            // Each is at most 2^93 billionths, so that 2^33 of them would be needed to saturate.
            (
                nano.saturating_add(quantity.nano),
                binary || quantity.is_binary(),
            )
        });
        Self::written(nano, binary)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
