//! Pictures of pages, on a connection of their own to the browser: now and then one does not come on a busy machine, and whoever drives
//! the page does not wait for it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A picture that takes longer is asked for again, so often.
const PATIENCE: Duration = Duration::from_secs(20);
const TRIES: u32 = 4;

/// The whole of the page behind this address of Chromium's own protocol, as PNG in base64; None where none comes.
pub async fn of(page: &str) -> Option<String> {
    for _ in 0..TRIES {
        match tokio::time::timeout(PATIENCE, take(page)).await {
            Ok(Ok(picture)) => return Some(picture),
            Ok(Err(error)) => eprintln!("a picture: {error}"),
            Err(_) => eprintln!("a picture: none within {PATIENCE:?}"),
        }
    }
    None
}

async fn take(page: &str) -> Result<String, String> {
    let (mut socket, _) = tokio_tungstenite::connect_async(page).await.map_err(|e| e.to_string())?;
    let mut ask = async |id: u32, method: &str, params: Value| -> Result<Value, String> {
        let command = json!({"id": id, "method": method, "params": params}).to_string();
        socket.send(Message::Text(command.into())).await.map_err(|e| e.to_string())?;
        while let Some(said) = socket.next().await {
            let Ok(Message::Text(said)) = said else { continue };
            let mut said: Value = serde_json::from_str(&said).unwrap_or_default();
            if said["id"] == id {
                return Ok(said["result"].take());
            }
        }
        Err(format!("{method}: hung up"))
    };
    let size = ask(1, "Page.getLayoutMetrics", json!({})).await?;
    let (content, window) = (&size["cssContentSize"], &size["cssLayoutViewport"]);
    let tall = |of: &Value, side: &str| of[side].as_f64().unwrap_or_default();
    let tall = tall(content, "height").max(tall(window, "clientHeight")).min(6_000.0);
    let clip = json!({"x": 0, "y": 0, "width": window["clientWidth"], "height": tall, "scale": 1});
    let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
    let picture = ask(2, "Page.captureScreenshot", params).await?;
    picture["data"].as_str().map(str::to_owned).ok_or_else(|| format!("captureScreenshot: {picture}"))
}
