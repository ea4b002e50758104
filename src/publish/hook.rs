//! What a webhook is sent, and which publications concern it.

use std::collections::BTreeSet;

use ring::hmac;
use serde_json::{Value, json};

use super::Publication;
use crate::cap::{Colour, Hazard};
use crate::regions::{RegionCode, RegionMap};

/// Which publications a receiver wants; everything where nothing is named.
#[derive(Debug, Clone, Default)]
pub struct HookFilter {
    /// In these regions or in what lies in them.
    pub regions: Vec<RegionCode>,
    /// Of these dangers.
    pub hazards: Vec<Hazard>,
    /// Of this level or a graver one; what names no level is let through.
    pub lowest: Option<Colour>,
}

impl HookFilter {
    /// Whether a publication concerns the receiver, by itself or because of what it follows: whoever was told of a danger hears how
    /// it goes on, and that it is over. `older` is its event.
    pub fn takes(&self, publication: &Publication, older: &[Publication], map: &RegionMap) -> bool {
        let mut line = vec![publication];
        let mut seen = BTreeSet::new();
        while let Some(one) = line.pop() {
            if self.concerns(one, map) {
                return publication.listed;
            }
            line.extend(
                older.iter().filter(|older| one.replaces.contains(&older.release) && seen.insert(older.release)),
            );
        }
        false
    }

    fn concerns(&self, publication: &Publication, map: &RegionMap) -> bool {
        let mut places = publication.regions.iter().chain(&publication.seas);
        let inside = |code: &RegionCode| self.regions.iter().any(|wanted| map.is_in(code, wanted));
        (self.regions.is_empty() || places.any(inside))
            && (self.hazards.is_empty() || self.hazards.contains(&publication.hazard()))
            && self.lowest.is_none_or(|lowest| publication.colour().is_none_or(|colour| colour <= lowest))
    }
}

/// What is posted. `id` is the same for every try.
pub fn body(id: &str, publication: &Publication, feature: &Value) -> String {
    let kind = match publication.shown.msg_type {
        crate::cap::MsgType::Update => "alert.update",
        crate::cap::MsgType::Cancel if publication.correction => "alert.correction",
        crate::cap::MsgType::Cancel => "alert.cancel",
        _ => "alert.alert",
    };
    json!({
        "id": id, "type": kind, "published": publication.at.to_rfc3339(), "alert": publication.id,
        "chain": publication.chain, "feature": feature,
    })
    .to_string()
}

/// The header `Tocsin-Signature`: `t=SECONDS,v1=HEX`, HMAC-SHA256 over the time, a dot and the body.
pub fn signature(secret: &[u8], seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", crate::hex(tag.as_ref()))
}
