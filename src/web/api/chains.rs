//! The API's events.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::answer::{Caller, Problem};
use crate::app::App;
use crate::cap::AlertId;
use crate::intake::History;

/// An event by its name, or by the id of any of its alerts.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<History>, Problem> {
    let id: AlertId = id.parse().map_err(|_| Problem::NotFound)?;
    Ok(Json(History::of(&app.store, id.as_str()).await?.ok_or(Problem::NotFound)?))
}
