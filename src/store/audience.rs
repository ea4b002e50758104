//! The frozen audience: who is read, in the planner's order.

use std::collections::HashMap;

use futures_util::{Stream, TryStreamExt};
use sqlx::{QueryBuilder, Row};
use tocsin_channels::ChannelKind;

use super::addresses::{IDS, push_ids};
use super::{Store, StoreError, readable};
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

    /// The regions that addresses are told for: an imported one's own, or those of a resident's places.
    pub(crate) async fn regions_of_addresses(&self, ids: &[u64]) -> Result<HashMap<u64, Vec<RegionCode>>, StoreError> {
        let mut found: HashMap<u64, Vec<RegionCode>> = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IDS) {
            let mut sql = QueryBuilder::new("SELECT id, region FROM address WHERE region <> '' AND id IN ");
            push_ids(&mut sql, some);
            sql.push(
                " UNION SELECT address.id, place.region FROM address JOIN place ON place.subscriber = address.subscriber
                  WHERE address.id IN ",
            );
            push_ids(&mut sql, some);
            for row in sql.build().fetch_all(&self.read).await? {
                let (id, code): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
                let code = code.parse().map_err(StoreError::corrupt);
                let Some(code) = readable("an address's region", code)? else { continue };
                found.entry(u64::try_from(id).unwrap_or_default()).or_default().push(code);
            }
        }
        Ok(found)
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
