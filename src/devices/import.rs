//! Devices from CSV: all the good rows, or nothing; a bad one is named by its line and left out.

use serde::Serialize;

use super::{Device, DeviceKind, Devices};
use crate::cap::{Colour, Point};
use crate::organisations::{BadSlug, KeepError, Row, Slug, Table};
use crate::regions::BadRegionCode;
use crate::residents::BadRow;
use crate::store::OfficerRow;

/// The columns, in any order; those after `region` may be left out.
pub const COLUMNS: [&str; 9] = ["id", "kind", "name", "region", "lat", "lon", "organisation", "lowest", "drills"];
const NEEDED: usize = 4;

/// What an import does, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Rows read, without the header.
    pub rows: u64,
    /// Devices added.
    pub added: u64,
    /// Devices that were there, and are as the file says now.
    pub changed: u64,
    /// Rows that were left out.
    pub bad: Vec<BadRow>,
    /// Nothing was written.
    pub dry: bool,
    /// Account and password of each device that is new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<(String, String)>,
}

impl Devices {
    /// Takes the devices of a file in; `dry` only says what would become of it.
    ///
    /// # Errors
    /// When the file cannot be read as such, or the store not be written.
    pub async fn import(&self, file: &[u8], dry: bool, by: Option<&OfficerRow>) -> Result<Imported, KeepError> {
        let table = Table::of(file, &COLUMNS, NEEDED)?;
        let mut done = Imported { dry, ..Imported::default() };
        let mut good: Vec<(Device, bool)> = Vec::new();
        for (line, row) in &table.rows {
            done.rows += 1;
            let device = match device(row) {
                Ok(device) if good.iter().any(|(other, _)| other.id == device.id) => {
                    Err(("id", "重复 / it is there twice".to_owned()))
                }
                Ok(device) => {
                    let before = self.store.device(&device.id).await?.map(|row| row.device);
                    let checked = self.checked(&device, before.as_ref(), by).await;
                    checked.map(|device| (device, before.is_none())).map_err(|error| ("region", error.to_string()))
                }
                Err(why) => Err(why),
            };
            match device {
                Ok(device) => good.push(device),
                Err((column, why)) => done.bad.push(BadRow { line: *line, column, why }),
            }
        }
        let mut tx = self.store.begin().await?;
        for (device, new) in &good {
            *(if *new { &mut done.added } else { &mut done.changed }) += 1;
            if !dry {
                done.accounts.extend(self.write(&mut tx, device, *new, by).await?);
            }
        }
        tx.commit().await?;
        Ok(done)
    }
}

fn device(row: &Row) -> Result<Device, (&'static str, String)> {
    let say = |column: &'static str, zh: &str, en: &str| (column, format!("{zh} / {en}"));
    let kind = DeviceKind::parse(row.get("kind"));
    let kind = kind.ok_or_else(|| say("kind", "请写 siren、loudspeaker 或 sign", "use siren, loudspeaker or sign"))?;
    let level = match row.get("lowest") {
        "" => Some(Colour::Orange),
        word => Colour::ALL.into_iter().find(|colour| colour.as_str() == word),
    };
    let organisation: Option<Slug> = match row.get("organisation") {
        "" => None,
        code => Some(code.parse().map_err(|e: BadSlug| ("organisation", e.to_string()))?),
    };
    Ok(Device {
        id: row.get("id").parse().map_err(|e: BadSlug| ("id", e.to_string()))?,
        kind,
        name: row.get("name").to_owned(),
        region: row.get("region").parse().map_err(|e: BadRegionCode| ("region", e.to_string()))?,
        point: point(row.get("lat"), row.get("lon")).map_err(|why| ("lat", why))?,
        organisation,
        lowest: level
            .ok_or_else(|| say("lowest", "请写 red、orange、yellow 或 blue", "use red, orange, yellow or blue"))?,
        drills: match row.get("drills") {
            "" | "no" => false,
            "yes" => true,
            _ => return Err(say("drills", "请写 yes 或 no", "use yes or no")),
        },
    })
}

/// A point of two texts; None of two empty ones.
pub(crate) fn point(lat: &str, lon: &str) -> Result<Option<Point>, String> {
    if lat.trim().is_empty() && lon.trim().is_empty() {
        return Ok(None);
    }
    let degrees = |text: &str, most: f64| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && n.abs() <= most);
    match (degrees(lat, 90.0), degrees(lon, 180.0)) {
        (Some(lat), Some(lon)) => Ok(Some(Point { lat, lon })),
        _ => Err("坐标应为纬度和经度（WGS 84） / latitude and longitude in degrees (WGS 84)".into()),
    }
}
