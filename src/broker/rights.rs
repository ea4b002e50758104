//! Who may read and write which topics. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::devices::Device;
use crate::organisations::{Organisation, Slug, counties};
use crate::regions::RegionMap;

/// An organisation's account. A dot is in no code, so the two kinds never meet, nor our own.
pub(crate) fn organisation_account(code: &Slug) -> String {
    format!("org.{code}")
}

/// A device's account.
pub(crate) fn device_account(id: &Slug) -> String {
    format!("dev.{id}")
}

/// The ACL file: each account reads what is its own, a device writes what it says of itself, and nobody anything else.
pub(super) fn acl(
    prefix: &str,
    own: Option<&str>,
    accounts: &BTreeMap<String, String>,
    organisations: &[Organisation],
    devices: &[Device],
    map: &RegionMap,
) -> String {
    let mut text = String::new();
    let mut user = |name: &str, lines: &[(&str, String)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nuser {name}");
        for (right, topic) in lines {
            let _ = writeln!(text, "topic {right} {prefix}/{topic}");
        }
    };
    if let Some(own) = own {
        user(own, &[("readwrite", "#".into())]);
    }
    let status = ("read", "status".to_owned());
    for one in organisations {
        let name = organisation_account(&one.code);
        if !accounts.contains_key(&name) {
            continue;
        }
        let mut lines = vec![status.clone()];
        for county in counties(&one.regions, map) {
            lines.extend(["current", "event"].map(|kind| ("read", format!("{kind}/{county}/#"))));
        }
        user(&name, &lines);
    }
    for device in devices {
        let name = device_account(&device.id);
        if !accounts.contains_key(&name) {
            continue;
        }
        let id = &device.id;
        let mut lines = vec![status.clone(), ("read", format!("device/{id}/alert/#"))];
        if device.drills {
            lines.push(("read", format!("exercise/device/{id}/alert/#")));
        }
        lines.extend(["state", "heartbeat", "played"].map(|word| ("write", format!("device/{id}/{word}"))));
        user(&name, &lines);
    }
    text
}
