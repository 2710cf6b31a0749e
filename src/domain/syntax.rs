//! What Kubernetes accepts as names, label keys and label values. Each answer is the rule and the
//! way out, so that it can be shown to whoever wrote the text.

use crate::api::rule;

/// Checks a DNS label (RFC 1123) of at most `longest` characters.
pub(super) fn dns_label(text: &str, longest: usize) -> Result<(), String> {
    length(text, longest)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.chars().all(allowed) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(());
    }
    Err(rule::DNS_LABEL.into())
}

/// Checks a DNS name (RFC 1123): labels that are joined by dots.
pub(super) fn dns_subdomain(text: &str) -> Result<(), String> {
    length(text, 253)?;
    text.split('.').try_for_each(|label| dns_label(label, 253))
}

/// Checks a label value that is not empty.
pub(super) fn label_value(text: &str) -> Result<(), String> {
    length(text, 63)?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric();
    if text.chars().all(inner) && text.starts_with(outer) && text.ends_with(outer) {
        return Ok(());
    }
    Err(rule::LABEL_VALUE.into())
}

/// Checks a label value, which may be empty.
pub(super) fn label_value_or_empty(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Ok(())
    } else {
        label_value(text)
    }
}

/// Checks the key of a label or an annotation, or the name of a resource: `name` or `prefix/name`.
pub(super) fn qualified_name(text: &str) -> Result<(), String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let well_formed =
        label_value(name).is_ok() && prefix.is_none_or(|prefix| dns_subdomain(prefix).is_ok());
    if well_formed {
        return Ok(());
    }
    Err(rule::QUALIFIED_NAME.into())
}

/// Whether Kubernetes accepts the key of a label.
pub(crate) fn is_label_key(text: &str) -> bool {
    qualified_name(text).is_ok()
}

/// Whether Kubernetes accepts the value of a label.
pub(crate) fn is_label_value(text: &str) -> bool {
    label_value_or_empty(text).is_ok()
}

/// Checks text that people read: one line, not blank.
pub(super) fn one_line(text: &str, longest: usize) -> Result<(), String> {
    length(text, longest)?;
    if text.chars().any(char::is_control) || text.trim().is_empty() {
        return Err(rule::ONE_LINE.into());
    }
    Ok(())
}

fn length(text: &str, longest: usize) -> Result<(), String> {
    match text.chars().count() {
        0 => Err("must not be empty: give it a value".into()),
        count if count > longest => Err(format!(
            "must be at most {longest} characters long: choose a shorter name (it has {count})"
        )),
        _ => Ok(()),
    }
}
