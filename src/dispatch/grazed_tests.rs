//! Whoever is inside a shape is told, also where the shape hardly touches their county.

use tocsin_channels::ChannelKind;

use super::test_world::{QINGPU, World, by, square};
use crate::cap::{Area, Colour, Point, Polygon};
use crate::messages::Variant;
use crate::policy::Policy;
use crate::rules::{Approval, Decision, Lane, Reach};

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
    let code = |code: &str| serde_json::json!({"valueName": "CPEAS Geographic Code", "value": format!("{code}000000")});
    let wide = serde_json::json!({"areaDesc": "x", "geocode": [code(WUJIANG)]});
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
    let decision = Decision {
        regions: [QINGPU, WUJIANG].map(|code| code.parse().unwrap()).to_vec(),
        reach: Reach::Live { public: true, officials: false },
        channels: [ChannelKind::Sms].into(),
        lane: Lane::MODERATE,
        approval: Approval::none(),
        template: None,
        rules: Vec::new(),
        withheld: None,
    };
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
