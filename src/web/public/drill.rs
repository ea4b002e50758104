//! Where the link in a drill's message leads: to those who take part it says that it is a drill. No list, feed or map leads here, and
//! nothing of a drill is handed out for machines: readers of warnings pass on what they find, and few look at the status.

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::answer::Problem;
use super::pages::{Around, paged, render};
use super::told::moment;
use crate::cap::AlertId;
use crate::store::{AlertRow, AlertState, Store, StoreError};
use crate::web::site::Site;
use crate::world::{Exercise, World};

const UNKNOWN: Problem = Problem::Unknown("没有这次演练", "there is no such drill");

#[derive(Template)]
#[template(path = "public_drill.html")]
struct Drill {
    around: Around,
    headline: String,
    sent: String,
}

/// The alert of a drill whose messages have gone out.
pub(super) async fn drill(store: &Store, id: &AlertId) -> Result<Option<AlertRow>, StoreError> {
    let row = store.alert(id.as_str()).await?;
    Ok(row.filter(|row| {
        row.status == Exercise::STATUS.as_str() && matches!(row.state, AlertState::Released | AlertState::Partly)
    }))
}

/// The page.
pub(super) async fn show(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let own = site.clone();
    paged(&site, &headers, query, format!("/drills/{id}"), async move |_, words, around| {
        let id = id.parse::<AlertId>().map_err(|_| UNKNOWN)?;
        let row = drill(&own.app.store, &id).await?.ok_or(UNKNOWN)?;
        render(&Drill { around, headline: row.headline, sent: moment(row.sent, words) })
    })
    .await
}
