//! Where the SMS gateway brings what people write to us. The address holds a secret word; without it there is nothing here.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::delivery::constant_time_equal;
use crate::web::site::Site;

/// A short message from somebody.
#[derive(Deserialize)]
pub(super) struct Heard {
    from: String,
    #[serde(default)]
    text: String,
}

/// As Kannel's `sms-service` asks: `get-url = ".../inbound/sms/SECRET?from=%p&text=%b"`. What is answered is sent to the person.
pub(super) async fn kannel(
    State(site): State<Site>,
    Path(secret): Path<String>,
    Query(heard): Query<Heard>,
) -> Response {
    match hear(&site, &secret, &heard).await {
        Ok(answer) => answer.unwrap_or_default().into_response(),
        Err(status) => status.into_response(),
    }
}

/// As other gateways post: `{"from": "+86…", "text": "…"}`; answered with `{"reply": …}`.
pub(super) async fn json(State(site): State<Site>, Path(secret): Path<String>, Json(heard): Json<Heard>) -> Response {
    match hear(&site, &secret, &heard).await {
        Ok(reply) => Json(serde_json::json!({"reply": reply})).into_response(),
        Err(status) => status.into_response(),
    }
}

async fn hear(site: &Site, secret: &str, heard: &Heard) -> Result<Option<String>, StatusCode> {
    let known = site.app.inbound.as_ref().filter(|own| constant_time_equal(own.as_bytes(), secret.as_bytes()));
    known.ok_or(StatusCode::NOT_FOUND)?;
    site.app.residents.hear(&heard.from, &heard.text).await.map_err(|error| {
        tracing::error!(%error, "what somebody wrote could not be recorded; the gateway must bring it again");
        StatusCode::SERVICE_UNAVAILABLE
    })
}
