//! What is deleted with somebody, and what of them stays.

use super::residents::{forget_release, forget_use};
use super::{StoreError, Tx, test_name};

/// Deletes everything of somebody. Chunks hold numbers that lead nowhere then; the record holds masked addresses only.
pub(crate) async fn erase_resident(tx: &mut Tx, subscriber: i64, digests: &[String]) -> Result<(), StoreError> {
    let mut releases: Vec<i64> = sqlx::query_scalar("SELECT release FROM personal_release WHERE subscriber = $1")
        .bind(subscriber)
        .fetch_all(&mut *tx)
        .await?;
    for digest in digests {
        let own: Vec<i64> = sqlx::query_scalar("SELECT release FROM personal_release WHERE digest = $1")
            .bind(digest)
            .fetch_all(&mut *tx)
            .await?;
        releases.extend(own);
        sqlx::query("DELETE FROM sign_up WHERE digest = $1").bind(digest).execute(&mut *tx).await?;
    }
    for release in releases {
        forget_release(tx, release).await?;
    }
    forget_use(tx, &test_name(subscriber)).await?;
    forget_acknowledgements(tx, subscriber).await?;
    for sql in [
        "DELETE FROM address WHERE subscriber = $1",
        "DELETE FROM place WHERE subscriber = $1",
        "DELETE FROM resident_session WHERE subscriber = $1",
        "DELETE FROM resident WHERE subscriber = $1",
        "DELETE FROM contact WHERE subscriber = $1",
        "DELETE FROM subscriber WHERE id = $1",
    ] {
        sqlx::query(sql).bind(subscriber).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn forget_acknowledgements(tx: &mut Tx, subscriber: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM acknowledgement WHERE recipient IN (SELECT id FROM address WHERE subscriber = $1)",
        // The same address, told in another language.
        "DELETE FROM acknowledgement WHERE recipient IN (SELECT id + 2305843009213693952 FROM address WHERE subscriber = $1)",
    ] {
        sqlx::query(sql).bind(subscriber).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Takes the addresses that somebody has left from them, with what they say: a digest stays, so that no list brings back who left.
pub(crate) async fn keep_departures(tx: &mut Tx, subscriber: i64) -> Result<(), StoreError> {
    forget_acknowledgements(tx, subscriber).await?;
    sqlx::query(
        "UPDATE address SET subscriber = 0, value = '' WHERE subscriber = $1 AND left_at IS NOT NULL AND gone_at IS NULL",
    )
    .bind(subscriber)
    .execute(&mut *tx)
    .await?;
    Ok(())
}
