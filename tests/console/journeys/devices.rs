//! An organisation and its siren put on record, and the siren found when it is silent: since when, where, and whom to call.

use sqlx::Connection as _;
use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED};
use crate::support::axe;

const NARROW: (u32, u32) = (320, 700);

#[tokio::test(flavor = "multi_thread")]
async fn a_siren_is_put_on_record_and_found_when_it_is_silent() {
    let props = Props::new(None, 100).await;
    let roll = props.roll(UNPROVED).await;
    let all = "administrator:310000 operator:310000";
    let chinese = roll.officer("shen", "沈工", Language::Chinese, all).await;
    let english = roll.officer("smith", "Jo Smith", Language::English, "operator:310000").await;
    roll.close().await;
    let stage = props.start();
    let mut browser = Browser::open(&stage.server.url, "devices", DESKTOP).await;
    browser.forgive("status of 400");
    browser.enter(&chinese.session).await;

    // The port, and whom to call there.
    browser.goto("/console/organisations").await;
    for (field, text) in [("code", "qp-port"), ("name", "青浦码头"), ("regions", "310118")] {
        browser.fill(&format!("form[action='/console/organisations'] [name={field}]"), text).await;
    }
    browser.follow("form[action='/console/organisations'] button").await;
    assert_eq!(browser.place().await, "/console/organisations/qp-port");
    let contact = "form[action$='/contact']";
    for (field, text) in [("name", "李明"), ("duty", "夜班"), ("phone", "13800000001"), ("consent", "2026-1")] {
        browser.fill(&format!("{contact} [name={field}]"), text).await;
    }
    browser.set(&format!("{contact} [name=consent_at]"), "2026-03-01T08:00").await;
    browser.follow(&format!("{contact} button")).await;
    assert!(browser.text("#contacts").await.contains("夜班"));
    assert!(!browser.text("#contacts").await.contains("13800000001"), "masked");

    // Its siren; the password is shown once.
    browser.goto("/console/devices").await;
    let form = "form[action='/console/devices']";
    for (field, text) in [
        ("id", "qp-siren"),
        ("name", "金泽镇文化站楼顶"),
        ("region", "310118"),
        ("point", "31.04, 120.92"),
        ("organisation", "qp-port"),
    ] {
        browser.fill(&format!("{form} [name={field}]"), text).await;
    }
    browser.follow(&format!("{form} button")).await;
    assert!(browser.text("#accounts").await.starts_with("dev.qp-siren,"));
    browser.goto("/console/devices").await;
    assert!(!browser.has("#accounts").await && browser.text("#others").await.contains("从未上线"));
    // A table with a bad row is tried, and nothing of it written.
    let table = "id,kind,name,region\nqp-two,siren,华新镇政府,310118\nqp-three,bell,x,310118";
    browser.set("form[action$='/import'] textarea", table).await;
    browser.follow("form[action$='/import'] [name=dry]").await;
    let page = browser.text("main").await;
    assert!(page.contains("新增 1") && page.contains("第 3 行"), "{page}");
    assert!(!browser.text("#others").await.contains("qp-two"));

    // It is gone: the broker has said so.
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", stage.server.folder.path().join("t.db").display());
    let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
    let gone = chrono::Utc::now().timestamp_millis() - 600_000;
    let sql = "UPDATE device SET seen_at = $1, offline_at = $1, battery = 12";
    sqlx::query(sql).bind(gone).execute(&mut store).await.unwrap();
    let axe = axe::script();
    let mut bad = Vec::new();
    for (session, silent) in [(&chinese.session, "失联"), (&english.session, "silent")] {
        browser.enter(session).await;
        browser.goto("/console/devices").await;
        browser.until("the map", "return document.querySelector('#map').dataset.ready === '1'").await;
        assert_eq!(browser.count("#map .device.silent").await, 1, "marked by a sign, not by colour alone");
        assert_eq!(browser.text("#map .device.silent").await, "✕");
        let row = browser.text("#silent").await;
        assert!(row.contains("金泽镇文化站楼顶") && row.contains("12 %") && row.contains("10"), "{row}");
        assert!(browser.text("#silent-count").await.contains(silent));
        for path in ["/console/devices", "/console/organisations", "/console/organisations/qp-port"] {
            browser.goto(path).await;
            for dark in [false, true] {
                browser.dark(dark).await;
                for size in [DESKTOP.size, NARROW] {
                    browser.resize(size).await;
                    browser.assert_fits().await;
                    let look = format!("{}-{silent}-{dark}-{}", path.rsplit('/').next().unwrap(), size.0);
                    if let Some(axe) = &axe {
                        bad.extend(
                            axe::faults(&browser, axe, axe::GRAVE)
                                .await
                                .into_iter()
                                .map(|fault| format!("{look}: {fault}")),
                        );
                    }
                    browser.shot(&look).await;
                }
            }
        }
        browser.resize(DESKTOP.size).await;
        browser.dark(false).await;
    }
    assert!(bad.is_empty(), "{bad:#?}");

    // Whom to call: shown when asked for.
    browser.goto("/console/devices").await;
    browser.follow("#silent a").await;
    browser.follow("form[action$='/look-up'] button").await;
    assert!(browser.text("#contacts").await.contains("+8613800000001"));
    browser.assert_quiet().await;
}
