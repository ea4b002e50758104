//! The frozen audience: who is read, in the planner's order.

use futures_util::{Stream, TryStreamExt};
use sqlx::Row;
use tocsin_channels::ChannelKind;

use super::{Store, StoreError};
use crate::messages::Language;
use crate::regions::RegionCode;
use crate::rules::Audience;

impl Store {
    /// Addresses that have left, for whoever tells people of an older release.
    pub(crate) async fn left_addresses(&self) -> Result<Vec<u64>, StoreError> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM address WHERE left_at IS NOT NULL").fetch_all(&self.read).await?;
        Ok(ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect())
    }

    /// The regions that an address is told for: an imported one's own, or those of a resident's places.
    pub(crate) async fn regions_of_address(&self, address: u64) -> Result<Vec<RegionCode>, StoreError> {
        let Ok(id) = i64::try_from(address) else { return Ok(Vec::new()) };
        let codes: Vec<String> = sqlx::query_scalar(
            "SELECT region FROM address WHERE id = $1 AND region <> ''
             UNION SELECT region FROM place WHERE subscriber = (SELECT subscriber FROM address WHERE id = $1)",
        )
        .bind(id)
        .fetch_all(&self.read)
        .await?;
        codes.into_iter().map(|code| code.parse().map_err(StoreError::corrupt)).collect()
    }

    /// The addresses of one list, channel, language and region up to the watermark, by id.
    pub(crate) fn addresses<'a>(
        &'a self,
        audience: Audience,
        channel: ChannelKind,
        language: Language,
        region: &'a RegionCode,
        watermark: i64,
    ) -> impl Stream<Item = Result<u64, StoreError>> + 'a {
        sqlx::query(
            "SELECT id FROM address WHERE audience = $1 AND channel = $2 AND language = $3 AND region = $4
             AND id <= $5 AND left_at IS NULL ORDER BY id",
        )
        .bind(audience.as_str())
        .bind(channel.as_str())
        .bind(language.tag())
        .bind(region.as_str())
        .bind(watermark)
        .fetch(&self.read)
        .map_err(StoreError::from)
        .and_then(|row| async move { Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default()) })
    }
}
