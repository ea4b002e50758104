//! Lists of alerts in JSON: plain ones, and as other services write them.

use super::{Intake, Refusal, RefusalCode, aside};
use crate::cap::{self, AlertId, Listed};
use crate::config::BureauConfig;

impl Intake {
    /// The alerts of a list in JSON that holds several, each as a message of its own; None where it is one message.
    ///
    /// # Errors
    /// When too much of its bureau waits already.
    pub async fn several(&self, bureau: &BureauConfig, raw: &[u8]) -> Result<Option<Vec<Listed>>, Refusal> {
        if !aside::is_large(raw) {
            return Ok(cap::several_in_json(raw));
        }
        let Some(turn) = self.aside.turn(&bureau.name).await else {
            return Err(Refusal::new(RefusalCode::Busy, ""));
        };
        let raw = raw.to_vec();
        let done = turn.run(move || cap::several_in_json(&raw)).await;
        done.map_err(|error| Refusal::new(RefusalCode::Unreadable, error.to_string()))
    }

    /// Whether an alert of a list is on record already: it costs a bureau nothing of its rate, so that a list that was too long for a
    /// minute is taken whole by sending it once more.
    pub async fn is_known(&self, raw: &[u8]) -> bool {
        if aside::is_large(raw) {
            return false;
        }
        let Some(alert) = cap::read_json(raw).alert else { return false };
        self.store.alert(AlertId::of(&alert).as_str()).await.is_ok_and(|row| row.is_some())
    }
}
