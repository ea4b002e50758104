//! The map that Tocsin is shipped with is whole.

use std::collections::BTreeSet;

use tocsin::messages::Language;
use tocsin::regions::{Region, RegionCode, RegionKind, RegionMap};

fn delta() -> RegionMap {
    RegionMap::delta().expect("the shipped map")
}

fn codes(list: &[&str]) -> Vec<RegionCode> {
    list.iter().map(|code| code.parse().expect("a code")).collect()
}

#[test]
fn it_has_all_its_regions() {
    let map = delta();
    assert_eq!(map.counties().count(), 305);
    assert_eq!(map.of_kind(RegionKind::Prefecture).count(), 40);
    assert_eq!(map.of_kind(RegionKind::Province).count(), 4);
    assert_eq!(map.sea_areas().count(), 9);
}

#[test]
fn its_borders_are_counted_on_both_sides() {
    let map = delta();
    let mut pairs = BTreeSet::new();
    let mut across = BTreeSet::new();
    for county in map.counties() {
        for beside in map.neighbours(&county.code) {
            assert!(map.neighbours(&beside.code).any(|back| back == county), "{} and {}", county.code, beside.code);
            let pair = BTreeSet::from([&county.code, &beside.code]);
            if map.province_of(&county.code) != map.province_of(&beside.code) {
                across.insert(pair.clone());
            }
            pairs.insert(pair);
        }
    }
    assert_eq!((pairs.len(), across.len()), (832, 65));
}

#[test]
fn every_county_lies_in_a_province_and_every_group_has_counties() {
    let map = delta();
    for county in map.counties() {
        let province = map.province_of(&county.code).expect("a province");
        assert_eq!(province.code.as_str().get(..2), county.code.as_str().get(..2));
    }
    let below = |kind| map.of_kind(kind).map(|group| map.counties_below(&group.code).len());
    assert_eq!(below(RegionKind::Province).sum::<usize>(), 305);
    assert!(below(RegionKind::Prefecture).all(|counties| counties > 0));
}

#[test]
fn a_place_well_inside_a_county_is_found_there() {
    let map = delta();
    for county in map.counties() {
        let middle = map.middle(&county.code).expect("a middle");
        assert_eq!(map.county_at(middle), Some(county));
    }
    for sea in map.sea_areas() {
        let middle = map.middle(&sea.code).expect("a middle");
        assert_eq!((map.sea_area_at(middle), map.county_at(middle)), (Some(sea), None));
    }
}

/// A corner of one county is a corner of its neighbours: it must belong to one of them at most, never to two, and the
/// corner of a county that has land all round to exactly one.
#[test]
fn a_corner_belongs_to_one_county() {
    let map = delta();
    let qingpu: RegionCode = "310118".parse().expect("a code");
    for corner in map.rings(&qingpu).iter().flatten() {
        assert!(map.county_at(*corner).is_some(), "{corner:?} fell between the counties");
    }
}

/// Against the surface of `provinces.geojson` on the ellipsoid, as an independent geodesic library (PROJ) gives it.
#[test]
fn surfaces_are_right_to_three_thousandths() {
    let map = delta();
    for (code, known) in [("310000", 8_002.0), ("320000", 103_632.0), ("330000", 107_207.0), ("340000", 140_165.0)] {
        let km2 = map.km2(&code.parse().expect("a code"));
        assert!((km2 / known - 1.0).abs() < 0.003, "{code}: {km2:.0} km2, {known} known");
    }
}

#[test]
fn places_are_named_big_to_small() {
    let map = delta();
    let names = |list: &[&str], language| map.name_places(&codes(list), language);
    let shanghai: Vec<RegionCode> =
        map.counties_below(&"310000".parse().expect("a code")).iter().map(|county| county.code.clone()).collect();
    let mut list = shanghai.clone();
    list.extend(codes(&[
        "330421", "330402", "330411", "330424", "330481", "330482", "330483", "320509", "HZB", "999999",
    ]));
    list.reverse();
    assert_eq!(map.name_places(&list, Language::Chinese), ["上海市", "嘉兴市", "吴江区", "杭州湾"]);
    assert_eq!(
        map.name_places(&list, Language::English),
        ["Shanghai", "Jiaxing City", "Wujiang District", "Hangzhou Bay"]
    );
    assert_eq!(names(&["310118", "330421"], Language::Chinese), ["青浦区", "嘉善县"]);
    assert_eq!(names(&["310000", "310118"], Language::Chinese), ["上海市"]);
    assert_eq!(names(&[], Language::English), Vec::<String>::new());
    assert_eq!(map.name_places(shanghai.get(1..).expect("districts"), Language::Chinese).len(), 15);
}

#[test]
fn aliases_stand_for_regions_of_the_map() {
    let map = delta();
    let names = |code: &str| -> Vec<&str> {
        let targets = map.alias(&code.parse().expect("a code")).iter();
        targets.filter_map(|target| map.get(target)).map(|region: &Region| region.name.as_str()).collect()
    };
    assert_eq!(names("310199"), ["黄浦区", "徐汇区", "长宁区", "静安区", "普陀区", "虹口区", "杨浦区"]);
    assert_eq!(names("310100"), ["上海市"]);
    assert_eq!(names("320684"), ["海门区"]);
    assert_eq!(names("340225"), ["无为市"]);
    assert_eq!(names("310118"), Vec::<&str>::new());
}
