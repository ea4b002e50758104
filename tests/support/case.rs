//! The folders of `tests/cases/whole`: a message, and in `expected.toml` what it shows and what becomes of it.
//!
//! Whoever adds a folder writes the head of `expected.toml`, runs `TOCSIN_CASES=write cargo test --test whole`, and reads what was
//! written below it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tocsin::cap::{Hazard, ProfileName};
use tocsin::intake::{Levels, Outside};
use tocsin::regions::RegionCode;

/// The line from which on the file is written by the program.
pub const MARK: &str = "[expected]\n";

/// What a folder is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in words.
    pub says: String,
    /// The row of the list of CAP's rules that it belongs to.
    pub row: Option<String>,
    /// The finding that it gets, and `good.xml` beside it does not.
    pub finds: Option<String>,
    /// What is agreed on with its bureau; everything everywhere where left out.
    #[serde(default)]
    pub profiles: Vec<ProfileName>,
    #[serde(default)]
    pub regions: Vec<RegionCode>,
    pub hazards: Option<Vec<Hazard>>,
    pub levels: Option<Levels>,
    #[serde(default)]
    pub outside: Outside,
    /// When it comes, in Beijing; a quarter past the usual `sent` where left out.
    pub comes: Option<String>,
    /// Messages of the same bureau that came before, in this order.
    #[serde(default)]
    pub before: Vec<String>,
    /// The same, read.
    #[serde(skip)]
    pub earlier: Vec<(String, Vec<u8>, bool)>,
    /// How the bytes are made of the file, where they are too many or too strange to be kept.
    pub make: Option<Make>,
    #[serde(default)]
    pub expected: Expected,
}

/// What is done with a file, in this order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Make {
    /// In place of `@@`, this text so many times; `#` in it is the count.
    pub text: Option<String>,
    #[serde(default)]
    pub times: usize,
    /// `gb18030`, `utf-16le` with its mark, or `gzip`.
    pub encode: Option<String>,
    /// So many bytes are left.
    pub cut: Option<usize>,
    /// So many bytes of nothing instead.
    pub nothing: Option<usize>,
}

/// What becomes of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// `accepted`, `remarks`, `refused`.
    pub verdict: String,
    /// The number of the refusal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refusal: String,
    pub findings: BTreeSet<String>,
    /// `released`, `partly`, `waiting`, `withheld`; and why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub withheld: String,
    /// It was on record already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// Whom it is about, with their names; of many the first, and how many more.
    pub regions: Vec<String>,
    /// The event that it joins, and by what; the alert that stands for that event then.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub head: String,
}

/// Every folder, by name.
pub fn all() -> Vec<(String, Case, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/whole");
    let case = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("expected.toml")).unwrap();
        let mut case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = |name: &String| (name.clone(), std::fs::read(folder.join(name)).unwrap(), name.ends_with("json"));
        case.earlier = case.before.iter().map(file).collect();
        (name, case, folder)
    };
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| case(entry.unwrap().path())).collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

impl Case {
    /// The bytes that come, and whether they are meant as JSON.
    pub fn input(&self, folder: &Path) -> (Vec<u8>, bool) {
        let json = folder.join("input.json").exists();
        let mut text =
            std::fs::read_to_string(folder.join(if json { "input.json" } else { "input.xml" })).unwrap_or_default();
        let Some(make) = &self.make else { return (text.into_bytes(), json) };
        if let Some(each) = &make.text {
            let many: String = (0..make.times).map(|n| each.replace('#', &n.to_string())).collect();
            text = text.replace("@@", &many);
        }
        let mut bytes = match make.encode.as_deref() {
            None => text.into_bytes(),
            Some("gb18030") => encoding_rs::GB18030.encode(&text).0.into_owned(),
            Some("utf-16le") => [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
            Some("gzip") => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packed.write_all(text.as_bytes()).unwrap();
                packed.finish().unwrap()
            }
            Some(other) => panic!("`{other}` is no encoding"),
        };
        bytes.truncate(make.cut.unwrap_or(bytes.len()));
        (make.nothing.map_or(bytes, |n| vec![0; n]), json)
    }
}
