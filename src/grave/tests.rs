use serde_json::json;

use super::*;
use crate::regions::RegionMap;

fn settings(config: &str, rules: &str) -> GraveSettings {
    let mut config = Config::parse(config, "config.toml").unwrap();
    let bureaus = config.bureaus.clone();
    let files = bureaus.iter().flat_map(|bureau| &bureau.keys).map(|path| path.display().to_string());
    let keys = Some(files.map(|file| (file.clone(), format!("the key in {file}"))).collect());
    config.bureaus.iter_mut().for_each(|bureau| bureau.keys.clear());
    GraveSettings { rules: rules.into(), bureaus, keys, ..GraveSettings::of(&config).unwrap() }
}

fn bureau(name: &str, more: &str) -> String {
    format!("[[bureau]]\nname = \"{name}\"\ntoken_sha256 = \"{}\"\n{more}\n", "a".repeat(64))
}

#[test]
fn a_bureau_never_has_more_than_it_had_and_what_it_asks_for() {
    let map = RegionMap::delta().unwrap();
    let narrowed = |old: &str, new: &str| {
        let (old, new) = (settings(&bureau("a", old), ""), settings(&bureau("a", new), ""));
        let kept = in_force(&old, &new, &map).bureaus;
        kept.first().map(|bureau| {
            let regions: Vec<_> = bureau.regions.iter().map(ToString::to_string).collect();
            let hazards =
                bureau.hazards.as_ref().map(|list| list.iter().map(|h| h.slug()).collect::<Vec<_>>().join(","));
            (regions.join(","), hazards)
        })
    };
    let some = |regions: &str, hazards: Option<&str>| Some((regions.to_owned(), hazards.map(str::to_owned)));
    let (delta, shanghai) = ("regions = [\"310000\", \"330000\"]", "regions = [\"310000\"]");
    assert_eq!(narrowed(delta, shanghai), some("310000", None));
    assert_eq!(narrowed(shanghai, delta), some("310000", None));
    // A county of a province, and the province of a county.
    assert_eq!(narrowed(delta, "regions = [\"310118\"]"), some("310118", None));
    assert_eq!(narrowed("regions = [\"310118\"]", delta), some("310118", None));
    assert_eq!(narrowed(shanghai, "regions = [\"330000\"]"), None);
    let of = |hazards: &str| format!("{shanghai}\nhazards = [{hazards}]");
    assert_eq!(narrowed(shanghai, &of("\"gale\"")), some("310000", Some("gale")));
    assert_eq!(narrowed(&of("\"gale\""), shanghai), some("310000", Some("gale")));
    assert_eq!(narrowed(&of("\"gale\""), &of("\"gale\", \"typhoon\"")), some("310000", Some("gale")));
    assert_eq!(narrowed(&of("\"gale\""), &of("\"typhoon\"")), None);
}

#[test]
fn what_is_written_in_another_way_waits_for_nobody() {
    let map = RegionMap::delta().unwrap();
    let levels = |levels: &str| settings(&bureau("a", &format!("regions = [\"310000\"]\nlevels = {levels}")), "");
    let short = levels("\"orange\"");
    for same in [&short, &levels("[\"blue\", \"orange\", \"yellow\"]")] {
        assert_eq!(in_force(&short, same, &map), *same);
        assert!(changes(&short, same).is_empty());
    }
    assert_eq!(in_force(&short, &levels("\"red\""), &map), short);
    assert!(!changes(&short, &levels("\"red\"")).is_empty());
}

#[test]
fn changes_are_told_so_that_an_administrator_can_judge_them() {
    let rule = |approval: &str| {
        format!(
            "[[rule]]\nname = \"red\"\napproval = \"{approval}\"\npriority = 0\n\n[[approval]]\nname = \"two\"\nstages = [\"review\", \"sign\"]\n"
        )
    };
    let sms = |host: &str| {
        format!(
            "[channels.sms.via]\nmethod = \"POST\"\nurl = \"https://user:secret@{host}/send?key=secret&to={{to}}\"\n\
             headers = {{ X-Key = \"secret-{host}\" }}\nbody = {{ json = {{ to = \"{{to}}\", key = \"secret-{host}\" }} }}\nanswers = []\n"
        )
    };
    let regions = "regions = [\"330000\"]";
    let old = settings(&format!("{}{}", bureau("zhejiang", regions), sms("a.example")), &rule("two"));
    let wider = "regions = [\"330000\", \"310000\"]";
    let config = format!("{}{}{}", bureau("new", regions), bureau("zhejiang", wider), sms("b.example"));
    let new = settings(&config, &rule("none").replace("[\"review\", \"sign\"]", "[\"sign\"]"));
    let told: Vec<_> = changes(&old, &new).iter().map(ToString::to_string).collect();
    assert!(!format!("{told:?}").contains("secret"), "{told:#?}");
    insta::assert_json_snapshot!(told);
    assert!(changes(&new, &new).is_empty());
}

#[test]
fn the_pace_of_a_channel_is_the_operators_and_its_provider_is_not() {
    let map = RegionMap::delta().unwrap();
    let push = |contact: &str, rate: u32| {
        format!(
            "[channels.push]\nrate = {{ per_second = {rate} }}\nvia = {{ vapid_key_file = \"k\", contact = \"{contact}\" }}\n"
        )
    };
    let (old, new) = (settings(&push("mailto:a@example", 1), ""), settings(&push("mailto:b@example", 2), ""));
    let kept = in_force(&old, &new, &map);
    assert_eq!(kept.channels["push"]["rate"], json!({"per_second": 2}));
    let wanted = Config::parse(&push("mailto:b@example", 2), "config.toml").unwrap();
    let push = kept.channels(&wanted).unwrap().push.unwrap();
    assert_eq!((push.via.contact.as_str(), push.rate.unwrap().per_second.get()), ("mailto:a@example", 2));
    // A channel that was taken out goes on; one that was added does not begin.
    let none = settings("", "");
    assert_eq!(in_force(&old, &none, &map).channels, old.channels);
    assert!(in_force(&none, &old, &map).channels.is_empty());
}

#[test]
fn levels_that_are_left_out_are_shown_as_all_of_them() {
    let with = |more: &str| settings(&bureau("a", &format!("regions = [\"310000\"]\n{more}")), "");
    let told = changes(&with("levels = \"orange\""), &with(""));
    assert!(told.len() == 1 && told[0].new == ["*"], "{told:?}");
}

#[test]
fn another_key_in_the_same_file_waits_and_one_taken_away_is_gone_at_once() {
    let map = RegionMap::delta().unwrap();
    let with = |keys: &str| {
        settings(&bureau("a", &format!("regions = [\"310000\"]\nsignature = \"required\"\nkeys = [{keys}]")), "")
    };
    let old = with("\"a.pem\", \"b.pem\"");
    let mut swapped = old.clone();
    swapped.keys.as_mut().unwrap().insert("a.pem".into(), "somebody else's".into());
    let kept = in_force(&old, &swapped, &map);
    assert_eq!(kept, old);
    let told = changes(&kept, &swapped);
    assert!(told.len() == 1 && told[0].place == "key a.pem" && told[0].new[0].starts_with("SHA-256 "), "{told:?}");
    let less = with("\"b.pem\"");
    assert_eq!(in_force(&old, &less, &map), less);
    // Agreed to before keys counted: those that are there at the update are agreed to with it.
    assert_eq!(in_force(&GraveSettings { keys: None, ..old.clone() }, &old, &map), old);
}

#[test]
fn a_source_that_asks_for_less_than_its_bureau_waits_and_one_that_asks_for_more_does_not() {
    let map = RegionMap::delta().unwrap();
    let entry = "regions = [\"310000\"]\nsignature = \"required\"\nkeys = [\"a.pem\"]\nprofile = [\"china\"]";
    let with = |terms: &str| {
        let source = "[[source]]\nname = \"drop\"\nbureau = \"a\"\nkind = \"folder\"\npath = \"x\"";
        settings(&format!("{}{source}\n{terms}\n", bureau("a", entry)), "")
    };
    let asks = |kept: &GraveSettings| {
        kept.sources.get("drop").map_or_else(|| kept.bureaus[0].clone(), |terms| terms.of(&kept.bureaus[0]))
    };
    let plain = with("");
    for less in ["signature = \"ignored\"", "signature = \"checked\"", "profile = []", "profile = [\"google\"]"] {
        let kept = asks(&in_force(&plain, &with(less), &map));
        assert_eq!(kept.signature, plain.bureaus[0].signature, "{less}");
        assert!(kept.profile.contains(&plain.bureaus[0].profile[0]), "{less}");
        let told = changes(&in_force(&plain, &with(less), &map), &with(less));
        assert!(told.iter().any(|change| change.place.starts_with("source drop")), "{less}: {told:?}");
        // Agreed to, it holds; and to ask for more again waits for nobody.
        assert_eq!(in_force(&with(less), &with(less), &map), with(less));
        if !less.contains("google") {
            assert_eq!(in_force(&with(less), &plain, &map), plain, "{less}");
        }
    }
    let more = with("profile = [\"china\", \"google\"]");
    assert_eq!(in_force(&plain, &more, &map), more);
}
