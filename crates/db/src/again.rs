//! Transactions that lost to another one and are run again.

/// What loses so often in a row has another fault.
const MAX_ATTEMPTS: usize = 3;

/// Runs a transaction from its beginning to its commit, and again where `is_lost` says that it lost a deadlock or a race
/// ([`Serialization`](crate::Error::Serialization)): three times in all.
///
/// # Errors
/// What the last attempt came to.
pub async fn again<T, E, F: Future<Output = Result<T, E>>>(
    transaction: impl Fn() -> F,
    is_lost: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut attempt = 1;
    loop {
        match transaction().await {
            Err(error) if attempt < MAX_ATTEMPTS && is_lost(&error) => attempt += 1,
            other => return other,
        }
    }
}
