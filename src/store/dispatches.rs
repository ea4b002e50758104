//! A release's dispatches: its frozen renderings.

use chrono::{DateTime, Utc};
use sqlx::any::AnyRow;
use sqlx::{QueryBuilder, Row};
use tocsin_channels::Content;

use super::releases::{json, parse};
use super::{Release, Store, StoreError, Tx, readable};
use crate::messages::{Language, Variant};

/// One rendering of a release.
#[derive(Debug, Clone)]
pub(crate) struct NewDispatch {
    pub(crate) language: Language,
    pub(crate) variant: Variant,
    pub(crate) content: Content,
}

/// A dispatch of a release.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    pub(crate) id: i64,
    pub(crate) language: Language,
    pub(crate) variant: Variant,
    pub(crate) content: Content,
}

/// Rows in one statement.
const AT_ONCE: usize = 100;

/// Writes a release's renderings, with ids from this one on.
pub(super) fn insert_dispatches(
    tx: &mut Tx,
    (release, first): (i64, i64),
    dispatches: &[NewDispatch],
) -> Result<(), StoreError> {
    let contents = dispatches.iter().map(|row| json(&row.content)).collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<_> = (first..).zip(dispatches.iter().zip(contents)).collect();
    for some in rows.chunks(AT_ONCE) {
        let mut sql = QueryBuilder::new("INSERT INTO dispatch (id, release, channel, language, variant, content) ");
        sql.push_values(some, |mut values, (dispatch, (row, content))| {
            values.push_bind(*dispatch).push_bind(release).push_bind(row.content.kind().as_str());
            values.push_bind(row.language.tag()).push_bind(row.variant.as_str()).push_bind(content.as_str());
        });
        tx.later(sql.build())?;
    }
    Ok(())
}

impl Store {
    /// A release's dispatches, in the order they were rendered. A row that cannot be read is told, and left out.
    pub(crate) async fn dispatches(&self, release: i64) -> Result<Vec<Dispatch>, StoreError> {
        let rows = sqlx::query("SELECT id, language, variant, content FROM dispatch WHERE release = $1 ORDER BY id")
            .bind(release)
            .fetch_all(&self.read)
            .await?;
        rows.iter().filter_map(|row| readable("a dispatch", dispatch(row)).transpose()).collect()
    }

    /// A dispatch by its id.
    pub(crate) async fn dispatch(&self, id: i64) -> Result<Option<Dispatch>, StoreError> {
        let row = sqlx::query("SELECT id, language, variant, content FROM dispatch WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(dispatch).transpose()
    }

    /// What MQTT shows in force: content of releases that are neither superseded nor over, oldest first.
    pub(crate) async fn in_force(&self, now: DateTime<Utc>) -> Result<Vec<(Release, Content)>, StoreError> {
        let rows = sqlx::query(
            "SELECT dispatch.id AS id, release.id AS release, language, variant, content FROM dispatch
             JOIN release ON release.id = dispatch.release
             WHERE dispatch.channel = 'mqtt' AND kind = 'alert' AND held_at IS NULL AND variant = 'warn' AND language = 'zh-CN' AND superseded_at IS NULL
             AND release.expires > $1 ORDER BY release.id",
        )
        .bind(now.timestamp_millis())
        .fetch_all(&self.read)
        .await?;
        let mut found = Vec::new();
        for row in &rows {
            let release = self.release(row.try_get("release")?).await?;
            let dispatch = readable("a dispatch in force", dispatch(row))?;
            found.extend(release.zip(dispatch).map(|(release, dispatch)| (release, dispatch.content)));
        }
        Ok(found)
    }
}

fn dispatch(row: &AnyRow) -> Result<Dispatch, StoreError> {
    let (language, variant): (String, String) = (row.try_get("language")?, row.try_get("variant")?);
    let variant = Variant::ALL.into_iter().find(|v| v.as_str() == variant);
    Ok(Dispatch {
        id: row.try_get("id")?,
        language: Language::of_tag(&language).ok_or_else(|| StoreError::corrupt("dispatch language"))?,
        variant: variant.ok_or_else(|| StoreError::corrupt("dispatch variant"))?,
        content: parse(row, "content")?,
    })
}
