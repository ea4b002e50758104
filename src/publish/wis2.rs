//! WIS2 notification messages (WNM 1.0): GeoJSON that says that there is a new CAP message, and carries it if it is small.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA512, digest};
use serde_json::{Value, json};

use super::{Ground, Place, Publication};

/// The largest message that is carried inside the notification, bytes.
const INLINE: usize = 4_096;
/// RFC 9562's name space of addresses.
const ADDRESSES: [u8; 16] = 0x6ba7_b811_9dad_11d1_80b4_00c0_4fd4_30c8_u128.to_be_bytes();

/// The topic of a centre's warnings, and the notification of a publication. The same publication always has the same id, so that a
/// repeat after a crash is known as one.
pub fn notification(
    publication: &Publication,
    cap: &[u8],
    (centre, metadata): (&str, Option<&str>),
    ground: &Ground,
    place: &Place,
    now: DateTime<Utc>,
) -> (String, Value) {
    let below = format!("wis2/{centre}/data/core/weather/advisories-warnings");
    let address = format!("{}.cap", place.alert(&publication.id));
    let mut properties = json!({
        "pubtime": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "datetime": publication.shown.sent.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true),
        "data_id": format!("{below}/{}", publication.id),
        "integrity": {"method": "sha512", "value": STANDARD.encode(digest(&SHA512, cap))},
    });
    if let Some(object) = properties.as_object_mut() {
        if let Some(metadata) = metadata {
            object.insert("metadata_id".into(), metadata.into());
        }
        if let Some(text) = std::str::from_utf8(cap).ok().filter(|_| cap.len() <= INLINE) {
            object.insert("content".into(), json!({"encoding": "utf-8", "size": cap.len(), "value": text}));
        }
    }
    let message = json!({
        "id": uuid(&address),
        "conformsTo": ["http://wis.wmo.int/spec/wnm/1/conf/core"],
        "type": "Feature",
        "geometry": bounds(publication, ground),
        "properties": properties,
        "links": [{"href": address, "rel": "canonical", "type": "application/cap+xml", "length": cap.len()}],
    });
    (format!("origin/a/{below}"), message)
}

/// A box around the regions; the standard takes points and single polygons only.
fn bounds(publication: &Publication, ground: &Ground) -> Value {
    let rings = ground.melted(publication.regions.iter().chain(&publication.seas));
    let corners = || rings.iter().flatten();
    let range = |of: fn(&(i32, i32)) -> i32| Some((corners().map(of).min()?, corners().map(of).max()?));
    let (Some((west, east)), Some((south, north))) = (range(|c| c.0), range(|c| c.1)) else { return Value::Null };
    let degrees = |steps: i32| super::shapes::round(f64::from(steps) * ground.step());
    let (west, east, south, north) = (degrees(west), degrees(east), degrees(south), degrees(north));
    json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
}

/// A UUID made of a name (RFC 9562 version 5).
fn uuid(name: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&ADDRESSES, name.as_bytes()].concat());
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    let number = u128::from_be_bytes(bytes) & !(0xF << 76) & !(0b11 << 62) | (5 << 76) | (0b10 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9562 has a vector for DNS only; this one is from two other implementations.
    #[test]
    fn ids_are_version_5_of_the_address() {
        assert_eq!(uuid("http://www.example.com/"), "fcde3c85-2270-590f-9e7c-ee003d65e0e2");
        assert_eq!(uuid("a").len(), 36);
    }
}
