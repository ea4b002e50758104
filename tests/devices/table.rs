//! Devices from a table.

use serde_json::Value;

use crate::support::{tocsin, write_config};

#[test]
fn a_bad_row_is_named_by_its_line_and_a_trial_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let file = folder.path().join("d.csv");
    let table = "id,kind,name,region,lat,lon,organisation,lowest,drills\n\
        good-1,siren,楼顶,310118,,,,,\n\
        Bad ID,siren,楼顶,310118,,,,,\n\
        bad-2,bell,楼顶,310118,,,,,\n\
        bad-3,siren,楼顶,310000,,,,,\n\
        bad-4,siren,楼顶,310118,30.0,120.0,,,\n\
        bad-5,siren,楼顶,310118,north,120.0,,,\n\
        bad-6,siren,楼顶,310118,,,nobody,,\n\
        bad-7,siren,,310118,,,,,\n\
        bad-8,siren,楼顶,310118,,,,purple,\n\
        bad-9,siren,楼顶,310118,,,,,maybe\n\
        good-1,siren,again,310118,,,,,\n";
    std::fs::write(&file, table).unwrap();
    let path = file.to_str().unwrap();
    let (well, out, _) = tocsin(&config, &["--json", "devices", "import", path, "--dry-run"]);
    let done: Value = serde_json::from_str(&out).unwrap();
    assert!(!well, "bad rows are an answer of no");
    let lines: Vec<_> = done["bad"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!((done["added"].as_u64(), lines), (Some(1), (3..=12).collect()), "{done:#}");
    let (_, out, _) = tocsin(&config, &["--json", "devices", "list"]);
    assert!(out.contains("\"devices\":[]"), "{out}");
    for (text, why) in [("id,kind\n", "`name`"), ("id,kind,name,region,colour\n", "`colour`"), ("", "`id`")] {
        std::fs::write(&file, text).unwrap();
        let (well, _, error) = tocsin(&config, &["devices", "import", path, "--dry-run"]);
        assert!(!well && error.contains(why), "{text}: {error}");
    }
}
