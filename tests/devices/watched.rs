//! What devices say of themselves, and those that say nothing.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use serde_json::{Value, json};
use tocsin::delivery::Address;
use tocsin::store::RecordFilter;
use tocsin_channels::ChannelKind;

use crate::site::{DEVICES, Site, topic};
use crate::support::crew::Crew;
use crate::support::{Cma, RED};

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_device_is_refused_and_counted_and_holds_up_nobody() {
    let site = Site::with(DEVICES, "").await;
    let (mut bad, mut calm) = (site.device("qp-siren").await, site.device("qp-far").await);
    let beat = topic("qp-siren", "heartbeat");
    let large = vec![b'{'; 20_000];
    for payload in [large.as_slice(), b"{", b"\xff\xff", b"{\"battery\":1e9}", b"{\"firmware\":\"<script>\"}"] {
        bad.publish(&beat, payload, false).await;
    }
    bad.publish(&topic("qp-siren", "played"), b"{\"id\":\"'; DROP TABLE device\"}", false).await;
    for _ in 0..1_500 {
        bad.client.try_publish(&beat, QoS::AtMostOnce, false, "{}").unwrap();
    }
    bad.publish(&beat, b"{}", false).await;
    let firmware = b"{\"battery\":64,\"firmware\":\"2.1.0\"}";
    assert_eq!(calm.publish(&topic("qp-far", "heartbeat"), firmware, false).await, PubAckReason::Success);
    let all = site.until("the calm one is heard", |all| all["qp-far"]["battery"] == 64).await;
    assert_eq!((&all["qp-far"]["firmware"], &all["qp-far"]["refused"]), (&json!("2.1.0"), &json!(0)));
    let all = site.until("all is counted", |all| all["qp-siren"]["refused"].as_i64() > Some(500)).await;
    assert_eq!(all["qp-siren"]["problem"], "flood");
    assert!(site.metric("tocsin_device_refusals{reason=\"content\"} 5").await, "bad JSON and its like");
    assert!(site.metric("tocsin_device_refusals{reason=\"too_large\"} 1").await);
    assert!(site.metric("tocsin_devices{kind=\"siren\",presence=\"alive\"} 2").await);
    // And alerts go on.
    let id = site.send(&Cma { colour: RED, ..Cma::new("after") }).await;
    assert_eq!(calm.message().await.1["id"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_goes_is_silent_at_once_and_many_silent_ones_are_called_for_once() {
    let site = Site::with(DEVICES, "alarm_percent = 50\nalarm_least = 2").await;
    let crew = Crew::of(&site.server).await;
    let operator = crew.officer("op", &["operator:310000"]).await;
    let address = Address::parse(ChannelKind::Email, "op@example.org").unwrap();
    crew.staff.set_own_addresses(&operator.row, &[address]).await.unwrap();
    let (siren, far, horn) = (site.device("qp-siren").await, site.device("qp-far").await, site.device("sj-horn").await);
    let ids = ["qp-siren", "qp-far", "sj-horn"];
    let gone = |all: &Value| ids.iter().filter(|id| all[*id]["gone"] == true).count();
    site.until("all three live", |all| ids.iter().all(|id| all[*id]["lives"] == true)).await;
    // The broker notices that they are gone, and says so in their stead.
    drop(siren);
    let all = site.until("one is gone", |all| gone(all) == 1).await;
    assert_eq!(all["qp-siren"]["gone"], true);
    let (well, out, _) = site.server.tocsin(&["--json", "devices", "list"]);
    assert!(!well && out.contains("\"silent\":1"), "{out}");
    drop(far);
    site.until("two are gone", |all| gone(all) == 2).await;
    let store = crew.store.clone();
    let count = async |kind: &str| {
        let filter = RecordFilter { kind: Some(kind.into()), ..RecordFilter::default() };
        store.record_lines(&filter, 10).await.unwrap()
    };
    let mut lines = Vec::new();
    for _ in 0..2_000 {
        lines = count("device.silent").await;
        if !lines.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(lines.len(), 1, "{}", site.server.log());
    assert_eq!(lines[0].detail, json!({"silent": 2, "devices": 3}).to_string());
    let called = count("device.call").await;
    assert_eq!((called.len(), called[0].subject.as_str()), (1, "op"));
    assert_eq!(called[0].detail, json!({"addresses": 1}).to_string());
    // Well again, and said so.
    let _back = site.device("qp-siren").await;
    for _ in 0..2_000 {
        if !count("device.alive").await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((count("device.silent").await.len(), count("device.alive").await.len()), (1, 1));
    drop(horn);
}
