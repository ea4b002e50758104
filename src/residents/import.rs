//! Subscribers from and to CSV: `region,language,audience,phone,email,push,device`, in any order, with any of the last four.

use std::io::{Read, Write};

use serde::Serialize;
use tocsin_channels::ChannelKind;

use crate::delivery::Address;
use crate::lines::Lines;
use crate::messages::Language;
use crate::regions::{RegionCode, RegionKind, RegionMap};
use crate::rules::Audience;
use crate::store::{Entry, NewSubscriber, Store, StoreError, Stored};

/// Rows written in one transaction.
const BATCH: usize = 5_000;
/// Bad rows that the report lists; it counts all.
const LISTED: usize = 1_000;
const COLUMNS: [&str; 7] = ["region", "language", "audience", "phone", "email", "push", "device"];

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Rows read, without the header.
    pub rows: u64,
    /// Subscribers added.
    pub subscribers: u64,
    /// Addresses added.
    pub addresses: u64,
    /// Addresses that were on record already.
    pub repeated: u64,
    /// Rows or addresses that were left out.
    pub bad: u64,
    /// The first thousand of them.
    pub bad_rows: Vec<BadRow>,
}

/// Something left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Line of the file, the header being line 1.
    pub line: u64,
    /// Which column.
    pub column: &'static str,
    /// Why; addresses are masked.
    pub why: String,
}

/// Why an import stopped. What was written before stays; the same file may be imported again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is not CSV, or cannot be read.
    #[error("cannot read the CSV: {0}")]
    Csv(#[from] csv::Error),
    /// A column that is not known.
    #[error("the column `{0}` is not known; use region, language, audience, phone, email, push, device")]
    Column(String),
    /// No column for regions.
    #[error("the header has no column `region`")]
    NoRegion,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds the subscribers of a CSV. A row whose region, language or audience is bad is left out whole; a bad address alone.
/// `progress` is told after each batch how many rows were read. That it is done goes on record first, what came in afterwards.
///
/// # Errors
/// When the file or the store cannot be used.
pub async fn import(
    store: &Store,
    map: &RegionMap,
    file: impl Read,
    now: chrono::DateTime<chrono::Utc>,
    progress: impl FnMut(u64),
) -> Result<ImportReport, ImportError> {
    let mut report = ImportReport::default();
    let done = read(store, map, file, now, (&mut report, progress)).await;
    if report.rows > 0 {
        let counts = serde_json::json!({"addresses": report.addresses, "known": report.repeated});
        let told = store.record_one(now, Entry::new("operator", "person.import", "subscribers", counts)).await;
        done?;
        told?;
        return Ok(report);
    }
    done.map(|()| report)
}

async fn read(
    store: &Store,
    map: &RegionMap,
    file: impl Read,
    now: chrono::DateTime<chrono::Utc>,
    (report, mut progress): (&mut ImportReport, impl FnMut(u64)),
) -> Result<(), ImportError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(Lines::of(file));
    let places = columns(reader.byte_headers()?)?;
    store.record_one(now, Entry::new("operator", "person.import", "subscribers", serde_json::json!({}))).await?;
    let mut batch = Vec::with_capacity(BATCH);
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        report.rows += 1;
        let line = reader.get_mut().line_of(record.position());
        let row = Row { record: &record, places: &places, line };
        batch.extend(row.subscriber(map, report));
        if batch.len() >= BATCH {
            write(store, &mut batch, now, report).await?;
            progress(report.rows);
        }
    }
    write(store, &mut batch, now, report).await?;
    progress(report.rows);
    Ok(())
}

/// Writes every subscriber as CSV, as [`import`] reads it; returns how many. That it is done goes on record first.
///
/// # Errors
/// When the file or the store cannot be used.
pub async fn export(
    store: &Store,
    file: impl Write,
    now: chrono::DateTime<chrono::Utc>,
    mut progress: impl FnMut(u64),
) -> Result<u64, ImportError> {
    let counts = store.address_counts().await?;
    let addresses: u64 = counts.iter().map(|count| count.addresses).sum();
    let entry = Entry::new("operator", "person.export", "subscribers", serde_json::json!({"addresses": addresses}));
    store.record_one(now, entry).await?;
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(COLUMNS)?;
    let (mut after, mut written) = (0, 0);
    loop {
        let page = store.subscribers_after(after, 2_000).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for subscriber in &page {
            writer.write_record(csv_row(subscriber))?;
            written += 1;
        }
        progress(written);
    }
    writer.flush().map_err(csv::Error::from)?;
    Ok(written)
}

fn csv_row(subscriber: &Stored) -> [String; 7] {
    let value = |channel| {
        let found = subscriber.addresses.iter().find(|address| address.channel == channel);
        found
            .map(|address| address.value.strip_prefix("device/").unwrap_or(&address.value).to_owned())
            .unwrap_or_default()
    };
    [
        subscriber.region.to_string(),
        subscriber.language.tag().to_owned(),
        subscriber.audience.as_str().to_owned(),
        value(ChannelKind::Sms),
        value(ChannelKind::Email),
        value(ChannelKind::Push),
        value(ChannelKind::Mqtt),
    ]
}

/// Where each of our columns stands in the file.
fn columns(header: &csv::ByteRecord) -> Result<[Option<usize>; 7], ImportError> {
    let mut places = [None; 7];
    for (n, name) in header.iter().enumerate() {
        let name = String::from_utf8_lossy(name).trim_start_matches('\u{feff}').to_lowercase();
        let place = COLUMNS.iter().position(|column| *column == name).and_then(|at| places.get_mut(at));
        *place.ok_or(ImportError::Column(name))? = Some(n);
    }
    if places.first().copied().flatten().is_none() { Err(ImportError::NoRegion) } else { Ok(places) }
}

struct Row<'a> {
    record: &'a csv::ByteRecord,
    places: &'a [Option<usize>; 7],
    line: u64,
}

impl Row<'_> {
    /// The text of a column: UTF-8, or what Chinese spreadsheets write.
    fn get(&self, column: usize) -> String {
        let place = self.places.get(column).copied().flatten();
        let bytes = place.and_then(|place| self.record.get(place)).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => encoding_rs::GB18030.decode(bytes).0.into_owned(),
        }
    }

    fn subscriber(&self, map: &RegionMap, report: &mut ImportReport) -> Option<NewSubscriber> {
        let mut bad = |column: usize, why: String| {
            report.bad += 1;
            if report.bad_rows.len() < LISTED {
                let column = COLUMNS.get(column).copied().unwrap_or_default();
                report.bad_rows.push(BadRow { line: self.line, column, why });
            }
        };
        let code = self.get(0);
        let county = |code: &RegionCode| map.get(code).is_some_and(|region| region.kind == RegionKind::County);
        let Some(region) = code.parse().ok().filter(county) else {
            bad(0, format!("`{}` is no county of the map", code.chars().take(20).collect::<String>()));
            return None;
        };
        let (tag, list) = (self.get(1), self.get(2));
        let Some(language) = (if tag.is_empty() { Some(Language::Chinese) } else { Language::of_tag(&tag) }) else {
            bad(1, "use zh-CN or en".into());
            return None;
        };
        let list = if list.is_empty() { Audience::Public.as_str().to_owned() } else { list };
        let Some(audience) = Audience::ALL.into_iter().find(|audience| audience.as_str() == list) else {
            bad(2, "use public, officials or drill".into());
            return None;
        };
        let mut addresses = Vec::new();
        let mut wrong = false;
        for (column, channel) in
            [(3, ChannelKind::Sms), (4, ChannelKind::Email), (5, ChannelKind::Push), (6, ChannelKind::Mqtt)]
        {
            let text = self.get(column);
            if text.is_empty() {
                continue;
            }
            match Address::parse(channel, &text) {
                Ok(address) => addresses.push(address),
                Err(error) => {
                    wrong = true;
                    bad(column, error.to_string());
                }
            }
        }
        if addresses.is_empty() {
            if !wrong {
                bad(3, "no address: fill in phone, email, push or device".into());
            }
            return None;
        }
        Some(NewSubscriber { audience, region, language, addresses })
    }
}

async fn write(
    store: &Store,
    batch: &mut Vec<NewSubscriber>,
    now: chrono::DateTime<chrono::Utc>,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let done = store.add_subscribers(batch, now).await?;
    report.subscribers += done.subscribers;
    report.addresses += done.addresses;
    report.repeated += done.repeated;
    batch.clear();
    Ok(())
}
