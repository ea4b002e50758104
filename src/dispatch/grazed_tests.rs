//! Whoever is inside a shape is told, also where the shape hardly touches their county.

use tocsin_channels::{ChannelKind, Content, MqttContent};

use super::test_world::{QINGPU, World, by, counties as named, decision, square};
use crate::cap::{Area, Colour, Point, Polygon};
use crate::messages::{Language, Variant};
use crate::policy::Policy;
use crate::rules::Lane;
use crate::store::NewDispatch;

const WUJIANG: &str = "320509";

/// A square in Qingpu that laps some twenty metres over Wujiang's border, too little to match Wujiang, and a point in that strip.
fn over_the_border(world: &World) -> (String, Point) {
    let policy = world.policy.load_full();
    let code = |point| policy.map.county_at(point).map(|county| county.code.to_string());
    let corners = policy.map.rings(&WUJIANG.parse().unwrap()).iter().flatten();
    let mut found = corners.filter_map(|corner| {
        let (half, inside) = (0.02, Point { lat: corner.lat, lon: corner.lon - 0.0001 });
        let middle = Point { lat: corner.lat, lon: corner.lon + half - 0.0002 };
        let polygon = square(middle.lat, middle.lon, half);
        let borders = code(inside).as_deref() == Some(WUJIANG) && code(middle).as_deref() == Some(QINGPU);
        (borders && counties(&policy, &polygon) == [QINGPU]).then_some((polygon, inside))
    });
    found.next().expect("a border that can be lapped over")
}

/// The counties that a polygon matches.
fn counties(policy: &Policy, polygon: &str) -> Vec<String> {
    let corner = |text: &str| {
        let (lat, lon) = text.split_once(',').unwrap();
        Point { lat: lat.parse().unwrap(), lon: lon.parse().unwrap() }
    };
    let area = Area {
        description: String::new(),
        polygons: vec![Polygon { ring: polygon.split(' ').map(corner).collect() }],
        circles: Vec::new(),
        geocodes: Vec::new(),
        altitude: None,
        ceiling: None,
    };
    let found = policy.map.locate(&[area], &policy.locate).counties;
    found.into_iter().map(|found| found.region.to_string()).collect()
}

/// Three people by short message: one in the strip, one somewhere in its county, one well inside the other county.
async fn people(world: &World, strip: Point) {
    for (id, number, county, point) in
        [(1, "+8611", WUJIANG, Some(strip)), (2, "+8622", WUJIANG, None), (3, "+8633", QINGPU, None)]
    {
        world.person(id, &[(ChannelKind::Sms, number)], &[("家", county, point, by(&[ChannelKind::Sms]))]).await;
    }
}

fn texts(world: &World, number: &str) -> Vec<String> {
    world.got(number).into_iter().map(|(_, text)| text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_inside_is_told_with_the_matched_county_and_their_own_county_is_not() {
    let world = World::new().await;
    let (polygon, strip) = over_the_border(&world);
    people(&world, strip).await;
    let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
    let engine = world.engine(&[]).await;
    let danger = (Lane::MODERATE, Colour::Yellow);
    // The officers of the matched county's province say yes to it, as to all that their part says.
    world.release_in("storm", danger, &area, &["310000"], &[Variant::Warn], &[]).await;
    world.quiet("storm").await;
    let (update, end) = ([Variant::Warn, Variant::Lifted], [Variant::Cancel]);
    world.release_in("still", danger, &area, &["310000"], &update, &["storm"]).await;
    world.quiet("still").await;
    world.release_in("over", danger, &area, &["310000"], &end, &["storm", "still"]).await;
    world.quiet("over").await;
    engine.stop().await;
    let all = ["storm warn zh-CN", "still warn zh-CN", "over cancel zh-CN"];
    assert_eq!(texts(&world, "+8611"), all, "inside the shape");
    assert_eq!(texts(&world, "+8633"), all, "in the county that it matches");
    assert_eq!(texts(&world, "+8622"), [""; 0], "in the county that it hardly touches");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stays_inside_is_not_told_that_it_is_over_when_their_county_is_hardly_touched_any_more() {
    let world = World::new().await;
    let (polygon, strip) = over_the_border(&world);
    people(&world, strip).await;
    let wide = named(&[WUJIANG]);
    let engine = world.engine(&[]).await;
    let danger = (Lane::MODERATE, Colour::Yellow);
    world.release_in("storm", danger, &wide, &[], &[Variant::Warn], &[]).await;
    world.quiet("storm").await;
    let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
    world.release_in("moved", danger, &area, &[], &[Variant::Warn, Variant::Lifted], &["storm"]).await;
    world.quiet("moved").await;
    engine.stop().await;
    assert_eq!(texts(&world, "+8611"), ["storm warn zh-CN", "moved warn zh-CN"], "still inside");
    assert_eq!(texts(&world, "+8622"), ["storm warn zh-CN", "moved lifted zh-CN"], "over, as far as anybody knows");
    assert_eq!(texts(&world, "+8633"), ["moved warn zh-CN"], "new in the area");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_that_the_rules_add_is_told_by_its_own_part_and_nobody_of_it_twice() {
    let world = World::new().await;
    let (polygon, strip) = over_the_border(&world);
    people(&world, strip).await;
    let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
    let danger = (Lane::MODERATE, Colour::Yellow);
    world.release_in("storm", danger, &area, &["310000"], &[Variant::Warn], &[]).await;
    let decision = decision(&[QINGPU, WUJIANG].map(|code| code.parse().unwrap()));
    let decision = serde_json::to_string(&decision).unwrap();
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE alert SET decision = $1").bind(decision).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    assert_eq!(texts(&world, "+8611"), [""; 0], "waits for the officers of its own province");
    assert_eq!(texts(&world, "+8633").len(), 1);
}

/// What an update says of the strip's county, and what it makes of four people: by its own rule in the one province, and after the other's yes.
struct Moved {
    to: serde_json::Value,
    /// In the strip, somewhere in its county, in the county that the first alert matched, and with places in that county and the strip.
    by_rule: [&'static [&'static str]; 4],
    after_yes: [&'static [&'static str]; 4],
}

const NUMBERS: [&str; 4] = ["+8611", "+8622", "+8633", "+8644"];
const STORM: &[&str] = &["storm warn zh-CN"];
const WARNED: &[&str] = &["storm warn zh-CN", "moved warn zh-CN"];
const LIFTED: &[&str] = &["storm warn zh-CN", "moved lifted zh-CN"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_own_county_is_matched_now_is_told_once_when_its_officers_say_yes_and_not_that_it_is_over_before() {
    for moved in [
        // Away from the county that they were told with, into their own.
        Moved {
            to: named(&[WUJIANG]),
            by_rule: [STORM, &[], LIFTED, STORM],
            after_yes: [WARNED, &["moved warn zh-CN"], LIFTED, WARNED],
        },
        // Into their own as well. Whoever has a place in each hears of each.
        Moved {
            to: named(&[QINGPU, WUJIANG]),
            by_rule: [STORM, &[], WARNED, WARNED],
            after_yes: [
                WARNED,
                &["moved warn zh-CN"],
                WARNED,
                &["storm warn zh-CN", "moved warn zh-CN", "moved warn zh-CN"],
            ],
        },
        // Into their own, and no longer to where they are: told before, they are told on with their county.
        Moved {
            to: serde_json::json!({"areaDesc": "x", "polygon": "MIDDLE"}),
            by_rule: [STORM, &[], LIFTED, STORM],
            after_yes: [WARNED, &["moved warn zh-CN"], LIFTED, WARNED],
        },
    ] {
        let world = World::new().await;
        let (polygon, strip) = over_the_border(&world);
        people(&world, strip).await;
        let sms = || by(&[ChannelKind::Sms]);
        let both = [("岸边", WUJIANG, Some(strip), sms()), ("家", QINGPU, None, sms())];
        world.person(4, &[(ChannelKind::Sms, NUMBERS[3])], &both).await;
        let middle = world.at(WUJIANG);
        let to = moved.to.to_string().replace("MIDDLE", &square(middle.lat, middle.lon, 0.03));
        let to: serde_json::Value = serde_json::from_str(&to).unwrap();
        let engine = world.engine(&[]).await;
        let (lane, update) = (Lane::MODERATE, [Variant::Warn, Variant::Lifted]);
        let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
        let danger = (lane, Colour::Yellow);
        world.release_in("storm", danger, &area, &["310000"], &[Variant::Warn], &[]).await;
        world.quiet("storm").await;
        // One province's part needs nobody; the other's waits for its officers.
        world.release_in("moved", danger, &to, &["310000"], &update, &["storm"]).await;
        world.quiet("moved").await;
        assert_eq!(NUMBERS.map(|number| texts(&world, number)), moved.by_rule, "{to}: while officers decide");
        let regions = [QINGPU, WUJIANG].map(|code| code.parse().unwrap());
        let mut yes = world.part(&world.new_release("moved", lane, &regions, &update), "320000");
        yes.signed_by = "officer".into();
        world.insert(&yes).await;
        world.quiet("moved").await;
        engine.stop().await;
        assert_eq!(NUMBERS.map(|number| texts(&world, number)), moved.after_yes, "{to}: after their yes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_still_inside_is_not_told_that_it_is_over_while_the_officers_of_the_county_they_go_with_decide() {
    let world = World::new().await;
    let (polygon, strip) = over_the_border(&world);
    people(&world, strip).await;
    let engine = world.engine(&[]).await;
    let (danger, update) = ((Lane::MODERATE, Colour::Yellow), [Variant::Warn, Variant::Lifted]);
    world.release_in("storm", danger, &named(&[WUJIANG]), &["320000"], &[Variant::Warn], &[]).await;
    world.quiet("storm").await;
    let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
    world.release_in("moved", danger, &area, &["320000"], &update, &["storm"]).await;
    world.quiet("moved").await;
    assert_eq!(texts(&world, "+8611"), STORM);
    assert_eq!(texts(&world, "+8622"), LIFTED);
    let mut yes =
        world.part(&world.new_release("moved", Lane::MODERATE, &[QINGPU.parse().unwrap()], &update), "310000");
    yes.signed_by = "officer".into();
    world.insert(&yes).await;
    world.quiet("moved").await;
    engine.stop().await;
    assert_eq!(texts(&world, "+8611"), WARNED);
    assert_eq!(texts(&world, "+8622"), LIFTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_loudspeaker_sounds_in_a_county_that_is_hardly_touched() {
    let world = World::new().await;
    let (polygon, strip) = over_the_border(&world);
    let mqtt = || by(&[ChannelKind::Mqtt, ChannelKind::Sms]);
    world.person(1, &[(ChannelKind::Mqtt, "device/strip")], &[("角", WUJIANG, Some(strip), mqtt())]).await;
    world.person(2, &[(ChannelKind::Mqtt, "device/inside")], &[("角", QINGPU, None, mqtt())]).await;
    let both = [(ChannelKind::Mqtt, "device/home"), (ChannelKind::Sms, "+8611")];
    world.person(3, &both, &[("家", WUJIANG, Some(strip), mqtt())]).await;
    let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
    world.release_in("storm", (Lane::MODERATE, Colour::Yellow), &area, &["310000"], &[Variant::Warn], &[]).await;
    let regions = [QINGPU.parse().unwrap()];
    let mut loud = world.part(&world.new_release("storm", Lane::MODERATE, &regions, &[]), "310000");
    loud.name = "alert/storm/loud".into();
    loud.channels = [ChannelKind::Mqtt].into();
    let content = Content::Mqtt(MqttContent {
        hazard: "typhoon".into(),
        event: "storm".into(),
        chain: "storm".into(),
        rank: 2,
        state: None,
        device: None,
        exercise: false,
    });
    loud.dispatches = vec![NewDispatch { language: Language::Chinese, variant: Variant::Warn, content }];
    world.insert(&loud).await;
    let engine =
        world.engine_by(&[ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push, ChannelKind::Mqtt], &[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    assert_eq!(texts(&world, "device/inside"), ["storm"]);
    assert_eq!(texts(&world, "device/strip"), [""; 0]);
    assert_eq!((texts(&world, "device/home"), texts(&world, "+8611")), (Vec::new(), vec![STORM[0].to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_knows_what_the_rules_said_each_county_is_its_own_officers_and_the_others_are_told() {
    for damage in ["decision = '{'", "sent = 'x'"] {
        let world = World::new().await;
        let (polygon, strip) = over_the_border(&world);
        people(&world, strip).await;
        let area = serde_json::json!({"areaDesc": "x", "polygon": polygon});
        world.release_in("storm", (Lane::MODERATE, Colour::Yellow), &area, &["310000"], &[Variant::Warn], &[]).await;
        let mut tx = world.store.begin().await.unwrap();
        let sql = format!("UPDATE alert SET {damage}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let engine = world.engine(&[]).await;
        world.quiet("storm").await;
        engine.stop().await;
        assert_eq!(texts(&world, "+8611"), [""; 0], "{damage}");
        assert_eq!(texts(&world, "+8633"), STORM, "{damage}");
    }
}
