//! What an unquoted word of YAML is.
//!
//! kubectl reads YAML with Go's reader of YAML 1.1, kustomize, Flux and Argo CD partly with one that
//! keeps to YAML 1.2. What both read alike is read so here. What they read differently is refused:
//! whichever reading was taken, somebody's review would have shown something else than the cluster
//! gets.

use serde_json::{Number, Value};

/// What an unquoted word is, or why it cannot be said.
pub(super) fn resolve(word: &str) -> Result<Value, &'static str> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO"
        | "off" | "Off" | "OFF" => {
            return Err(
                "some readers take this for a boolean, others for text: where a word is meant, as in \
                 guard: \"Off\", put it in quotes; else write true or false",
            );
        }
        ".nan" | ".NaN" | ".NAN" => return Err(NO_NUMBER),
        _ => {}
    }
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Err(NO_NUMBER);
    }
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Ok(Value::String(word.to_owned()));
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(
                "some readers take the leading zero for octal: write the number without it, or \
                 put it in quotes",
            );
        }
        return Ok(integer(word));
    }
    if is_other_number(digits) {
        return Err(
            "not every reader takes this for a number: write it in decimal digits, or put it in \
             quotes",
        );
    }
    if is_float(digits) {
        return float(word).ok_or(NO_NUMBER);
    }
    Ok(Value::String(word.to_owned()))
}

/// Whether readers differ about an unquoted word; to each of them it is a boolean, a number, or just these characters.
pub fn is_read_differently(word: &str) -> bool {
    resolve(word).is_err()
}

const NO_NUMBER: &str = "JSON, and so Kubernetes, has no such number";

fn integer(word: &str) -> Value {
    let word = word.strip_prefix('+').unwrap_or(word);
    if let Ok(number) = word.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = word.parse::<u64>() {
        return number.into();
    }
    float(word).unwrap_or_else(|| Value::String(word.to_owned()))
}

fn float(word: &str) -> Option<Value> {
    let number = word.parse::<f64>().ok()?;
    Number::from_f64(number).map(Value::Number)
}

/// Digits with at most one dot and an exponent, and at least one digit before the exponent.
fn is_float(digits: &str) -> bool {
    let (mantissa, exponent) = digits
        .split_once(['e', 'E'])
        .map_or((digits, None), |(mantissa, exponent)| {
            (mantissa, Some(exponent))
        });
    let whole_and_fraction = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole_and_fraction.0)
        && all_digits(whole_and_fraction.1)
        && !(whole_and_fraction.0.is_empty() && whole_and_fraction.1.is_empty())
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && all_digits(exponent)
        })
}

/// Hexadecimal, octal and binary numbers, and digits that are grouped by underscores.
fn is_other_number(digits: &str) -> bool {
    let based = |prefix: [&str; 2], base: u32| {
        prefix.iter().any(|prefix| {
            digits.strip_prefix(prefix).is_some_and(|rest| {
                !rest.is_empty() && rest.chars().all(|c| c == '_' || c.is_digit(base))
            })
        })
    };
    based(["0x", "0X"], 16)
        || based(["0o", "0O"], 8)
        || based(["0b", "0B"], 2)
        || (digits.contains('_') && is_float(&digits.replace('_', "")))
}
