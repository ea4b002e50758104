//! Health and metrics, for machines that watch.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::app::App;
use crate::sources::{Condition, Health};
use crate::store::StoreError;

/// 200 when alerts can be taken and recorded; `degraded` when something that went out is not published as it should be.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let lamps = app.engine.lamps();
    if app.store.disk_failed() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "disk", "providers": lamps}))).into_response();
    }
    let now = app.clock.now();
    let looked =
        async { Ok::<_, StoreError>((app.store.open_chunks().await?, app.store.unpublished_count(now).await?)) };
    match looked.await {
        Ok((open, unpublished)) => {
            let unsigned = app.press.shown().board.unsigned();
            let well = unpublished == 0 && unsigned == 0 && !app.press.is_stuck();
            let status = if well { "ok" } else { "degraded" };
            Json(json!({"status": status, "open_chunks": open, "unpublished": unpublished, "unsigned": unsigned, "providers": lamps}))
                .into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the store does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "store", "providers": lamps}))).into_response()
        }
    }
}

type Labels = Vec<(&'static str, String)>;

/// Prometheus' text format.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut registry = Registry::with_prefix("tocsin");
    let answers = Family::<Labels, Gauge<u64, AtomicU64>>::default();
    let up = Family::<Labels, Gauge>::default();
    let share = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    let open = Gauge::<i64>::default();
    registry.register("answers", "Answers of providers since start, by class", answers.clone());
    registry.register("provider_up", "Whether the provider takes messages", up.clone());
    registry.register("provider_rate_share", "Share of the configured rate in use", share.clone());
    registry.register("open_chunks", "Chunks that are not done", open.clone());
    for lamp in app.engine.lamps() {
        let labels = || vec![("channel", lamp.channel.to_string()), ("provider", lamp.name.clone())];
        up.get_or_create(&labels()).set(i64::from(lamp.up));
        share.get_or_create(&labels()).set(lamp.share);
        for (class, n) in &lamp.answers {
            let mut labels = labels();
            labels.push(("class", class.as_str().to_owned()));
            answers.get_or_create(&labels).set(*n);
        }
    }
    let (condition, counts) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge<u64, AtomicU64>>::default());
    registry.register("source_condition", "1 for the condition that a source is in", condition.clone());
    registry.register("source_alerts", "Alerts of a source, by what became of them", counts.clone());
    match Health::all(&app.sources, &app.store, app.clock.now()).await {
        Ok(sources) => sources.iter().for_each(|source| measure(source, &condition, &counts)),
        Err(error) => tracing::error!(%error, "the sources' health cannot be read"),
    }
    let ended = Family::<Labels, Gauge<u64, AtomicU64>>::default();
    registry.register(
        "push_subscriptions_gone",
        "Subscriptions that their push service has ended, by whether their owner could be told elsewhere",
        ended.clone(),
    );
    match app.store.gone_count().await {
        Ok((gone, unheard)) => {
            ended.get_or_create(&vec![("told", "no".to_owned())]).set(unheard);
            ended.get_or_create(&vec![("told", "yes".to_owned())]).set(gone.saturating_sub(unheard));
        }
        Err(error) => tracing::error!(%error, "subscriptions that are gone cannot be counted"),
    }
    let disk = Gauge::<i64>::default();
    registry.register("disk_failed", "1 where the disk has failed: no alert is taken before a restart", disk.clone());
    disk.set(i64::from(app.store.disk_failed()));
    let (unpublished, unsigned) = (Gauge::<i64>::default(), Gauge::<i64>::default());
    registry.register(
        "unpublished",
        "Releases that went out, are not over, and could not be published yet",
        unpublished.clone(),
    );
    registry.register("unsigned", "Publications in force that should be signed and are not", unsigned.clone());
    unsigned.set(i64::try_from(app.press.shown().board.unsigned()).unwrap_or(i64::MAX));
    match app.store.unpublished_count(app.clock.now()).await {
        Ok(n) => drop(unpublished.set(n)),
        Err(error) => tracing::error!(%error, "what could not be published cannot be read"),
    }
    let (devices, refusals) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge<u64, AtomicU64>>::default());
    registry.register("devices", "Sirens, loudspeakers and signs, by how they are", devices.clone());
    registry.register("device_refusals", "What devices said and was refused since start, by reason", refusals.clone());
    match app.devices.all().await {
        Ok((all, _)) => all.iter().for_each(|(row, presence)| {
            let kind = row.device.kind.as_str().to_owned();
            devices.get_or_create(&vec![("kind", kind), ("presence", presence.as_str().to_owned())]).inc();
        }),
        Err(error) => tracing::error!(%error, "devices cannot be read"),
    }
    for (reason, n) in app.devices.counts.all() {
        refusals.get_or_create(&vec![("reason", reason.to_owned())]).set(n);
    }
    match app.store.open_chunks().await {
        Ok(n) => drop(open.set(i64::try_from(n).unwrap_or(i64::MAX))),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn measure(source: &Health, conditions: &Family<Labels, Gauge>, counts: &Family<Labels, Gauge<u64, AtomicU64>>) {
    let labels = |name: &'static str, value: &str| vec![("source", source.name.clone()), (name, value.to_owned())];
    for condition in Condition::ALL {
        let gauge = conditions.get_or_create(&labels("condition", condition.as_str()));
        gauge.set(i64::from(source.condition == condition));
    }
    let row = source.row.as_ref();
    counts.get_or_create(&labels("became", "taken")).set(row.map_or(0, |row| row.taken));
    counts.get_or_create(&labels("became", "refused")).set(row.map_or(0, |row| row.refused));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::Config;

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_watches_is_told_that_the_disk_has_failed() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, format!("[store]\nurl = \"sqlite://{}\"\n", folder.path().join("t.db").display()))
            .unwrap();
        let app = Arc::new(App::start(&Config::load(&path).unwrap(), Arc::new(SystemClock)).await.unwrap());
        let text = async |answer: Response| {
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let look = async || {
            (text(health(State(Arc::clone(&app))).await).await, text(metrics(State(Arc::clone(&app))).await).await)
        };
        let ((status, well), (_, measured)) = look().await;
        assert_eq!(status, 200, "{well}");
        assert!(well.contains("\"status\":\"ok\"") && measured.contains("\ntocsin_disk_failed 0"), "{well} {measured}");
        app.store.fail_disk();
        let ((status, ill), (code, measured)) = look().await;
        assert_eq!((status, code), (503, 200), "{ill}");
        assert!(ill.contains("\"status\":\"disk\"") && measured.contains("\ntocsin_disk_failed 1"), "{ill} {measured}");
        Arc::into_inner(app).expect("nobody else holds it").stop().await;
    }
}
