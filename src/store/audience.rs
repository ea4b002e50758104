//! The frozen audience: who is read, in the planner's order.

use std::collections::{HashMap, HashSet};

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

    /// In which channels and languages anybody on these lists has an address in these regions: most releases have a rendering for
    /// nobody.
    pub(crate) async fn spoken_to(
        &self,
        renderings: &[(ChannelKind, Language)],
        (lists, regions): (&[Audience], &[RegionCode]),
        watermark: i64,
    ) -> Result<HashSet<(ChannelKind, Language)>, StoreError> {
        let mut found = HashSet::new();
        if renderings.is_empty() || lists.is_empty() {
            return Ok(found);
        }
        // A statement holds so many values at most.
        for some in regions.chunks(500) {
            let missing: Vec<_> = renderings.iter().filter(|one| !found.contains(*one)).copied().collect();
            found.extend(self.spoken_to_in(&missing, (lists, some), watermark).await?);
        }
        Ok(found)
    }

    async fn spoken_to_in(
        &self,
        renderings: &[(ChannelKind, Language)],
        (lists, regions): (&[Audience], &[RegionCode]),
        watermark: i64,
    ) -> Result<Vec<(ChannelKind, Language)>, StoreError> {
        if renderings.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new("");
        for (n, (channel, language)) in (0_i64..).zip(renderings) {
            sql.push(if n == 0 { "SELECT " } else { " UNION ALL SELECT " }).push_bind(n);
            sql.push(" WHERE EXISTS (SELECT 1 FROM address WHERE audience IN (");
            let mut names = sql.separated(", ");
            for list in lists {
                names.push_bind(list.as_str());
            }
            sql.push(") AND channel = ").push_bind(channel.as_str()).push(" AND language = ").push_bind(language.tag());
            sql.push(" AND region IN (");
            let mut codes = sql.separated(", ");
            for region in regions {
                codes.push_bind(region.as_str());
            }
            sql.push(") AND left_at IS NULL AND id <= ").push_bind(watermark).push(")");
        }
        let found: Vec<i64> = sql.build_query_scalar().fetch_all(&self.read).await?;
        Ok(found.into_iter().filter_map(|n| renderings.get(usize::try_from(n).ok()?).copied()).collect())
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
