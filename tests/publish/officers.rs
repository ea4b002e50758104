//! What officers let go out is what is published.

use std::sync::Arc;

use chrono::Utc;
use tocsin::approval::{Amendment, Words};
use tocsin::messages::Language;
use tocsin::publish::Publication;

use super::codes;
use super::support::{self, Cma};

/// Through the officers' desk: each province's part is published as its own officers let it go out, with what they changed.
#[tokio::test(flavor = "multi_thread")]
async fn each_jurisdiction_publishes_its_part_with_its_own_changes() {
    use tocsin::app::App;
    use tocsin::approval::Act;
    use tocsin::clock::SystemClock;
    use tocsin::config::Config;
    use tocsin::intake::Format;
    use tocsin::officers::{Grant, Grants, OfficerId};
    use tocsin::rules::Stage;
    use tocsin::store::OfficerRow;
    use tocsin::world::Live;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[[bureau]]\nname = \"east\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\", \"330000\"]\n",
        "0".repeat(64)
    );
    let config = Config::load(&support::write_config(folder.path(), &more)).unwrap();
    let app = App::start(&config, Arc::new(SystemClock)).await.unwrap();
    let bureau = config.bureaus.iter().find(|bureau| bureau.name == "east").unwrap();
    let raw = Cma { colour: ("橙色", "orange", "Severe"), ..Cma::new("o") }.xml().replace(
        "</geocode></area>",
        "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330402000000</value></geocode></area>",
    );
    let receipt = app.intake.accept(bureau, raw.as_bytes(), Format::Xml).await.unwrap();
    let officer = |id: i64, login: &str| OfficerRow {
        id: OfficerId(id),
        login: login.parse().unwrap(),
        name: login.into(),
        language: Language::Chinese,
        active: true,
        grants: Grants(["signer:*", "reviewer:*", "operator:*"].iter().filter_map(|text| Grant::parse(text)).collect()),
        created_at: Utc::now(),
    };
    let (li, wang) = (officer(1, "li"), officer(2, "wang"));
    assert!(!li.grants.0.is_empty());
    let rows = app.store.escalations_of::<Live>(receipt.id.as_str()).await.unwrap();
    assert_eq!(rows.len(), 2);
    let of = |code: &str| rows.iter().find(|row| row.escalation.jurisdiction.as_str() == code).unwrap();
    let until = async |n: usize| {
        for _ in 0..6_000 {
            let shown = app.press.shown();
            if shown.board.in_force().len() == n {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("never {n} in force");
    };
    let shanghai = of("310000");
    app.desk.act::<Live>(shanghai.id, Act::Approve(Stage::Sign), shanghai.escalation.revision, &li).await.unwrap();
    let shown = until(1).await;
    let part = Arc::clone(&shown.board.in_force()[0].publication);
    assert_eq!((part.regions.as_slice(), part.own), (codes(&["310118"]).as_slice(), true));

    let reading = tocsin::cap::read(tocsin::cap::write(&part.shown).unwrap().as_bytes());
    assert!(reading.findings.is_empty(), "what we write gives nobody cause for a remark: {:?}", reading.findings);
    let codes_of = |info: &tocsin::cap::Info| info.areas[0].geocodes[0].clone();
    for info in &reading.alert.unwrap().infos {
        let code = codes_of(info);
        assert_eq!((code.name.as_str(), code.value.as_str()), ("CPEAS Geographic Code", "310118000000"));
    }

    let zhejiang = of("330000");
    let words =
        Words { headline: "改过的标题".into(), description: "改过".into(), instruction: "请回港".into() };
    let amendment = Amendment { words: [(Language::Chinese, words)].into(), expires: None };
    let amend = Act::Amend { amendment, regions: codes(&["330402"]), reason: "plainer".into() };
    let row = app.desk.act::<Live>(zhejiang.id, amend, zhejiang.escalation.revision, &li).await.unwrap();
    app.desk.act::<Live>(zhejiang.id, Act::Approve(Stage::Sign), row.escalation.revision, &wang).await.unwrap();
    let shown = until(2).await;
    let entries = shown.board.in_force();
    let other = entries.iter().find(|entry| entry.publication.id != part.id).unwrap();
    assert_eq!(other.regions(), codes(&["330402"]));
    let headline = |publication: &Publication| publication.shown.info_in("zh-CN").unwrap().headline.clone().unwrap();
    assert_eq!(headline(&other.publication), "改过的标题");
    assert_eq!(headline(&part), "上海中心气象台发布台风橙色预警", "each province's words are its own");

    // Stopped, it is not shown as holding; let go on, it is.
    app.desk.stop::<Live>(receipt.id.as_str(), "check", &li).await.unwrap();
    until(0).await;
    app.desk.resume::<Live>(receipt.id.as_str(), "right", &li).await.unwrap();
    until(2).await;
    app.stop().await;
}
