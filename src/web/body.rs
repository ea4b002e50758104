//! Reading what is sent.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;

/// What is too large is read on and thrown away, so much and so long: whoever sends it can then read the answer. A connection
/// that is closed on unread data is reset, and the answer is lost with it.
const DRAINED: usize = 256 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a body is not taken.
#[derive(Debug)]
pub(super) enum BodyError {
    /// Larger than allowed.
    TooLarge,
    /// The connection broke.
    Broken(String),
}

/// A body of at most so many bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut stream = body.into_data_stream();
    let mut taken = Vec::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| BodyError::Broken(error.to_string()))?;
        if taken.len() + part.len() > limit {
            drop(taken);
            let mut left = DRAINED;
            let rest = stream.take_while(|part| {
                left = left.saturating_sub(part.as_ref().map_or(usize::MAX, Bytes::len));
                std::future::ready(left > 0)
            });
            // However it ends, the answer is the same.
            let _ = tokio::time::timeout(PATIENCE, rest.for_each(|_| std::future::ready(()))).await;
            return Err(BodyError::TooLarge);
        }
        taken.extend_from_slice(&part);
    }
    Ok(taken.into())
}
