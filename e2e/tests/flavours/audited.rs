//! What came before what, as the API server recorded it.

use anyhow::{Context, Result, ensure};
use e2e::audit::{Event, Mark};
use e2e::{Governed, eventually, governed::CONVERGED};

/// The operator's writes since a mark. Each is answered before the landing zone's status is, and
/// the audit log is written a moment after the answer.
pub fn writes(governed: &Governed, mark: Mark) -> Result<Vec<Event>> {
    let log = governed.cluster.audit_log();
    let mut writes = log.writes_by(governed.operator_user(), mark)?;
    writes.retain(Event::succeeded);
    Ok(writes)
}

/// Those writes of one verb and resource.
pub fn of<'a>(writes: &'a [Event], verb: &'a str, resource: &'a str) -> Vec<&'a Event> {
    let fits = |event: &&Event| event.verb == verb && event.resource == resource;
    writes.iter().filter(fits).collect()
}

/// Fails unless every one of the first was answered before any of the others was asked for.
pub fn ensure_before(first: &[&Event], then: &[&Event]) -> Result<()> {
    let last = first.iter().max_by_key(|event| event.completed);
    let next = then.iter().min_by_key(|event| event.received);
    let (last, next) = (last.context("no first")?, next.context("nothing then")?);
    ensure!(
        last.completed <= next.received,
        "{} {} {} was still under way at {} {} {}",
        last.verb,
        last.resource,
        last.name,
        next.verb,
        next.resource,
        next.name
    );
    Ok(())
}

/// Waits until so many deletions of a resource are recorded, then fails unless every creation of
/// the other was done before the first of them: so that old policies went only after the new ones
/// were there.
pub async fn eventually_replaced(
    governed: &Governed,
    mark: Mark,
    (old, count): (&str, usize),
    new: &str,
) -> Result<()> {
    let what = format!("{count} {old} to be deleted");
    let writes = eventually(CONVERGED, &what, async || {
        let writes = writes(governed, mark)?;
        let deleted = of(&writes, "delete", old).len();
        ensure!(deleted >= count, "{deleted} are");
        Ok(Some(writes))
    })
    .await?;
    ensure_before(&of(&writes, "create", new), &of(&writes, "delete", old))
}
