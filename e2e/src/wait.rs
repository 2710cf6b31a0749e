//! Waiting for conditions, always with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How long to wait between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks until the probe finds something, at most for `deadline`.
///
/// A probe that fails has not found it yet, so a probe can say with `bail!` or
/// `ensure!` what it sees instead: the last such sentence stands in the error.
///
/// ```no_run
/// # async fn example(cluster: e2e::LocalCluster) -> anyhow::Result<()> {
/// use std::time::Duration;
/// use e2e::eventually;
/// use k8s_openapi::api::core::v1::ServiceAccount;
/// use kube::Api;
///
/// let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "shop");
/// eventually(Duration::from_secs(10), "the default service account", async || {
///     Ok(accounts.get_opt("default").await?)
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
pub async fn eventually<T>(
    deadline: Duration,
    what: &str,
    probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    eventually_each(INTERVAL, deadline, what, probe).await
}

/// The same with another time between two looks: a look that takes time takes it from what is looked at.
pub(crate) async fn eventually_each<T>(
    interval: Duration,
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut seen = anyhow!("nothing was seen");
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Ok(None)) => seen = anyhow!("it was not there"),
            Ok(Err(error)) => seen = error,
            Err(_) => {}
        }
        if start.elapsed() + interval >= deadline {
            return Err(seen)
                .context("last seen")
                .with_context(|| format!("waited {deadline:?} in vain for {what}"));
        }
        tokio::time::sleep(interval).await;
    }
}

/// Looks again and again for the whole of `period`, and fails as soon as the
/// probe does: for what must *not* happen.
pub async fn holds_for(
    period: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    let mut looks = 0_u32;
    while looks == 0 || start.elapsed() < period {
        match tokio::time::timeout(period.max(Duration::from_secs(5)), probe()).await {
            Ok(result) => {
                result.with_context(|| format!("{what} ended after {:?}", start.elapsed()))?;
            }
            Err(_) => bail!("no answer while watching that {what}"),
        }
        looks += 1;
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_what_appears_later() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), "the third look", async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }

    #[tokio::test]
    async fn says_what_it_saw_last() {
        let result: Result<()> =
            eventually(Duration::from_millis(120), "a running pod", async || {
                bail!("the pod is Pending")
            })
            .await;
        let message = format!("{:#}", result.unwrap_err());
        assert_eq!(
            message,
            "waited 120ms in vain for a running pod: last seen: the pod is Pending"
        );
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_cut_off() {
        let result: Result<()> = eventually(Duration::from_millis(80), "an answer", async || {
            std::future::pending().await
        })
        .await;
        assert!(format!("{:#}", result.unwrap_err()).contains("nothing was seen"));
    }

    #[tokio::test]
    async fn silence_is_broken_by_the_first_failure() {
        let mut looks = 0;
        let result = holds_for(Duration::from_secs(5), "silence", async || {
            looks += 1;
            if looks == 2 {
                bail!("a request came");
            }
            Ok(())
        })
        .await;
        assert!(format!("{:#}", result.unwrap_err()).contains("a request came"));
    }
}
