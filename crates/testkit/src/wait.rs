//! Waiting for a condition with a deadline: the one accepted way for a test to wait.

use std::time::Duration;

use tokio::time::Instant;

/// How long to pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The deadline passed and the condition did not hold.
#[derive(Debug, thiserror::Error)]
#[error("the condition did not hold within {0:?}")]
pub struct DeadlinePassed(pub Duration);

/// Looks at `condition` until it holds.
///
/// # Errors
/// [`DeadlinePassed`] when it does not hold within `deadline`; it is looked at once at least.
pub async fn until(
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<(), DeadlinePassed> {
    until_some(deadline, async || condition().await.then_some(())).await
}

/// Looks until there is a value, and returns it.
///
/// # Errors
/// [`DeadlinePassed`] when there is none within `deadline`; it is looked at once at least.
pub async fn until_some<T>(
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, DeadlinePassed> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if start.elapsed() >= deadline {
            return Err(DeadlinePassed(deadline));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_as_soon_as_the_condition_holds() {
        let mut looks = 0;
        until(Duration::from_secs(60), async || {
            looks += 1;
            looks == 3
        })
        .await
        .unwrap();
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    async fn it_gives_up_at_the_deadline() {
        let never = until(Duration::ZERO, async || false).await;
        assert!(never.is_err());
        let found = until_some(Duration::ZERO, async || Some(7)).await.unwrap();
        assert_eq!(found, 7);
    }
}
