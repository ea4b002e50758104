//! What must hold of any bytes: shared by cargo-fuzz's targets and by the plain loop of `cargo xtask fuzz`.

#[path = "ground.rs"]
mod ground;

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tocsin::cap::{self, Alert};
use tocsin::sources::probe;

/// A name, and what is done with bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const ALL: [Target; 5] =
    [("cap_read", cap_read), ("signatures", signatures), ("feeds", feeds), ("notices", notices), ("locate", locate)];

/// No bytes make the reader panic; what it takes can be written and read again.
pub fn cap_read(bytes: &[u8]) {
    let _ = cap::read_json(bytes);
    let _ = cap::read_document(bytes);
    if let Some(alert) = cap::read(bytes).alert
        && let Ok(text) = cap::write(&alert)
    {
        assert!(cap::read(text.as_bytes()).alert.is_some(), "{text}");
    }
}

/// Whatever is done to a signed alert, what still verifies says what was signed.
pub fn signatures(bytes: &[u8]) {
    let Some(signed) = SIGNED.as_ref() else { return };
    if let Some(alert) = cap::read(bytes).alert
        && signed.keys.verify(bytes, &alert, chrono::Utc::now()).is_ok()
    {
        assert!(signed.alerts.contains(&plain(&alert)), "it verifies, and nobody signed it: {alert:?}");
    }
}

/// No feed makes its reader panic, or take more than it may.
pub fn feeds(bytes: &[u8]) {
    for most in [1, 50] {
        assert!(probe::read_feed(bytes, most).is_none_or(|entries| entries <= most), "more than {most}");
    }
}

/// No message of a subscription makes its reader panic; what it carries is read as any other document.
pub fn notices(bytes: &[u8]) {
    if let Some(document) = probe::read_notice(bytes) {
        let _ = cap::read_document(&document);
    }
}

/// No areas make finding out where they are panic, whether read from an alert or drawn at will; what is found holds.
pub fn locate(bytes: &[u8]) {
    if let Some(alert) = cap::read(bytes).alert {
        ground::of_alert(&alert);
    }
    ground::of_bytes(bytes);
}

/// Alerts that were signed with a key of this run.
pub struct Signed {
    keys: cap::Keys,
    alerts: Vec<Alert>,
    /// The bytes of each.
    pub texts: Vec<String>,
}

/// None where openssl is not there to make a key.
pub static SIGNED: LazyLock<Option<Signed>> = LazyLock::new(sign);

fn plain(alert: &Alert) -> Alert {
    let mut alert = alert.clone();
    alert.unknown.clear();
    alert.infos.iter_mut().for_each(|info| info.unknown.clear());
    alert
}

fn sign() -> Option<Signed> {
    let folder = std::env::temp_dir().join(format!("tocsin-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=fuzz", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout"])
        .arg(path("key.pem"))
        .arg("-out")
        .arg(path("certificate.pem"))
        .output()
        .ok()?;
    let signer =
        made.status.success().then(|| cap::SigningKey::load(&path("key.pem"), Some(&path("certificate.pem"))))?.ok()?;
    let keys = cap::Keys::load(&[path("certificate.pem")]).ok()?;
    let _ = std::fs::remove_dir_all(&folder);
    let texts: Vec<String> = [ONE, TWO].iter().filter_map(|text| signer.sign(text).ok()).collect();
    let alerts = texts.iter().filter_map(|text| cap::read(text.as_bytes()).alert).map(|alert| plain(&alert)).collect();
    Some(Signed { keys, alerts, texts })
}

const ONE: &str = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>a</identifier><sender>s</sender>\
    <sent>2026-07-01T10:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>Met</category>\
    <event>Typhoon</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty><headline>Go home</headline>\
    <area><areaDesc>Qingpu</areaDesc><polygon>31,121 31.2,121 31.2,121.2 31,121</polygon></area></info></alert>";
const TWO: &str = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>b</identifier><sender>s</sender>\
    <sent>2026-07-01T10:00:00+08:00</sent><status>Actual</status><msgType>Cancel</msgType><scope>Public</scope>\
    <references>s,a,2026-07-01T10:00:00+08:00</references></alert>";
