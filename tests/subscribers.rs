//! Subscribers in and out: what is taken, what is left out and why, and that the same people are never on record twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::sync::LazyLock;

use chrono::Utc;
use tocsin::regions::RegionMap;
use tocsin::residents::{ImportError, Simulation, export, import, simulate};
use tocsin::rules::Audience;
use tocsin::store::{Store, StoreError, StoreOptions};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));

async fn store(max_size_mib: Option<u32>) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    (Store::open(&StoreOptions { url, max_size_mib }).await.unwrap(), folder)
}

const MIXED: &str = include_str!("cases/subscribers/mixed.csv");

#[tokio::test]
async fn bad_rows_are_reported_with_their_line_and_the_rest_is_taken() {
    let (store, _folder) = store(None).await;
    let report = import(&store, &MAP, MIXED.as_bytes(), Utc::now(), |_| {}).await.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[tokio::test]
async fn a_bad_row_is_named_by_its_line_however_lines_end() {
    for end in ["\n", "\r\n"] {
        let (store, _folder) = store(None).await;
        let text = ["region,phone", "310118,13812345678", "", "999999,13812345679", "310118,1"].join(end);
        let report = import(&store, &MAP, text.as_bytes(), Utc::now(), |_| {}).await.unwrap();
        assert_eq!(report.bad_rows.iter().map(|bad| bad.line).collect::<Vec<_>>(), [4, 5], "{end:?}");
    }
}

#[tokio::test]
async fn what_comes_out_goes_in_again_and_changes_nothing() {
    let (first, _one) = store(None).await;
    import(&first, &MAP, MIXED.as_bytes(), Utc::now(), |_| {}).await.unwrap();
    let mut out = Vec::new();
    let written = export(&first, &mut out, Utc::now(), |_| {}).await.unwrap();
    let again = import(&first, &MAP, out.as_slice(), Utc::now(), |_| {}).await.unwrap();
    assert_eq!((again.rows, again.subscribers, again.addresses, again.bad), (written, 0, 0, 0));
    let lines = first.record_from(1, 100).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| line.kind.as_str()).collect();
    let twice = ["person.import"; 2];
    assert_eq!(told, [&twice[..], &["person.export"], &twice].concat(), "that it is done, and how many came in");
    assert!(lines[1].detail.contains("addresses") && lines[2].detail.contains("addresses"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.detail.contains('@')), "{lines:?}");

    let (second, _two) = store(None).await;
    import(&second, &MAP, out.as_slice(), Utc::now(), |_| {}).await.unwrap();
    let mut back = Vec::new();
    export(&second, &mut back, Utc::now(), |_| {}).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(back).unwrap());
}

#[tokio::test]
async fn a_column_of_another_name_is_refused_by_name() {
    let (store, _folder) = store(None).await;
    let error = import(&store, &MAP, "region,mobile\n310118,1\n".as_bytes(), Utc::now(), |_| {}).await.unwrap_err();
    assert!(matches!(error, ImportError::Column(name) if name == "mobile"));
    let error = import(&store, &MAP, "phone\n1\n".as_bytes(), Utc::now(), |_| {}).await.unwrap_err();
    assert!(matches!(error, ImportError::NoRegion));
}

#[tokio::test]
async fn chinese_spreadsheets_are_read() {
    let (store, _folder) = store(None).await;
    let (gbk, ..) = encoding_rs::GB18030.encode("region,phone\n310118,１３８１２３４５６７８\n");
    let report = import(&store, &MAP, gbk.as_ref(), Utc::now(), |_| {}).await.unwrap();
    assert_eq!((report.addresses, report.bad), (1, 0));
}

#[tokio::test]
async fn the_same_seed_makes_the_same_people() {
    let mut exports = Vec::new();
    for _ in 0..2 {
        let (store, _folder) = store(None).await;
        let made = Simulation {
            people: 3_000,
            seed: 7,
            audience: Audience::Drill,
            push_service: "http://127.0.0.1:9/push".into(),
        };
        simulate(&store, &MAP, &made, Utc::now(), |_| {}).await.unwrap();
        let mut out = Vec::new();
        export(&store, &mut out, Utc::now(), |_| {}).await.unwrap();
        // Browsers' keys are new each time; all else is the seed's.
        let text = String::from_utf8(out).unwrap();
        let plain: Vec<_> = text.lines().map(|line| line.split("\"\"auth").next().unwrap().to_owned()).collect();
        exports.push(plain);
        let counts = store.address_counts().await.unwrap();
        insta::allow_duplicates! {
            let lines: Vec<_> = counts.iter().map(|c| format!("{} {} {} {}", c.audience, c.channel, c.language, c.addresses)).collect();
            insta::assert_snapshot!(lines.join("\n"));
        }
    }
    assert_eq!(exports[0], exports[1]);
}

#[tokio::test]
async fn a_full_disk_stops_the_import_clearly_and_keeps_what_was_written() {
    let (store, _folder) = store(Some(8)).await;
    let mut csv = String::from("region,phone,email\n");
    for n in 0..60_000 {
        csv.push_str(&format!("310118,138{n:08},r{n}@example.org\n"));
    }
    let error = import(&store, &MAP, csv.as_bytes(), Utc::now(), |_| {}).await.unwrap_err();
    assert!(matches!(error, ImportError::Store(StoreError::Full)), "{error}");
    let kept: u64 = store.address_counts().await.unwrap().iter().map(|count| count.addresses).sum();
    assert!(kept > 0 && kept.is_multiple_of(5_000), "{kept} addresses: whole batches");
}
