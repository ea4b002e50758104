//! Every file of `tests/cases/chains`: messages in the order of their arrival, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::world::{Message, World};

/// A case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    title: String,
    message: Vec<Line>,
    /// The heads at the end, sorted.
    heads: Vec<String>,
    /// What took whose place, at the end.
    #[serde(default)]
    superseded: BTreeMap<String, String>,
}

/// A message and what becomes of it. There are three people in 310118, two in 310120, and one in 310112.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    #[serde(rename = "type", default = "alert")]
    kind: String,
    sent: i64,
    arrives: Option<i64>,
    bureau: Option<String>,
    status: Option<String>,
    colour: Option<String>,
    event: Option<String>,
    area: Option<Vec<String>>,
    until: Option<i64>,
    says: Option<String>,
    #[serde(default)]
    clear: bool,
    /// By name, or `name@minute` where it was sent otherwise.
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    incidents: String,
    /// Where it stands when it is taken; `refused` where it is not.
    state: String,
    withheld: Option<String>,
    /// The chains' findings, of the numbers 41xx.
    #[serde(default)]
    findings: BTreeSet<String>,
    /// Who hears what because of it.
    #[serde(default)]
    warned: usize,
    #[serde(default)]
    lifted: usize,
    #[serde(default)]
    ended: usize,
}

fn alert() -> String {
    "Alert".into()
}

impl Line {
    fn message(&self, times: &BTreeMap<String, i64>) -> Message {
        let mut message = Message::new(&self.name, self.sent).kind(&self.kind);
        let named = |name: &String| if name.contains('@') { name.clone() } else { format!("{name}@{}", times[name]) };
        message.references = self.references.iter().map(named).collect();
        message.arrives = self.arrives.unwrap_or(self.sent);
        message.incidents.clone_from(&self.incidents);
        message.clear = self.clear;
        if self.bureau.is_some() {
            message.bureau = "other";
        }
        let set = |to: &mut String, from: &Option<String>| from.iter().for_each(|from| to.clone_from(from));
        set(&mut message.status, &self.status);
        set(&mut message.colour, &self.colour);
        set(&mut message.event, &self.event);
        set(&mut message.says, &self.says);
        message.area = self.area.clone().unwrap_or(message.area);
        message.until = self.until.unwrap_or(message.until);
        message
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_a_chain_ends_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/chains");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "the cases are in {}", folder.display());
    let mut wrong = Vec::new();
    for file in files {
        let case: Case = toml::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        wrong.extend(run(&case).await.into_iter().map(|what| format!("{name} ({}): {what}", case.title)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn run(case: &Case) -> Vec<String> {
    let world = World::start().await;
    world.people("310118", 3).await;
    world.people("310120", 2).await;
    world.people("310112", 1).await;
    let times = case.message.iter().map(|line| (line.name.clone(), line.sent)).collect();
    let mut wrong = Vec::new();
    for line in &case.message {
        let (state, withheld, findings, heard) = match world.post(&line.message(&times)).await {
            Err(code) => (format!("refused {}", code.as_str()), None, BTreeSet::new(), (0, 0, 0)),
            Ok(told) => {
                let receipt = told.receipt.unwrap();
                let withheld =
                    world.store.alert(receipt.id.as_str()).await.unwrap().unwrap().decision["withheld"].clone();
                let codes = receipt.findings.iter().map(|finding| format!("T{}", finding.code.number()));
                let codes: BTreeSet<_> = codes.filter(|code| code.starts_with("T41")).collect();
                let withheld = withheld.as_str().filter(|_| receipt.state.as_str() == "withheld").map(str::to_owned);
                (receipt.state.as_str().to_owned(), withheld, codes, (told.warned, told.lifted, told.ended))
            }
        };
        let mut compare = |what: &str, is: String, should: String| {
            if is != should {
                wrong.push(format!("{}: {what} is {is}, should be {should}", line.name));
            }
        };
        compare("state", state, line.state.clone());
        compare("withheld", format!("{withheld:?}"), format!("{:?}", line.withheld));
        compare("findings", format!("{findings:?}"), format!("{:?}", line.findings));
        let should = (line.warned, line.lifted, line.ended);
        compare("told (warned, lifted, ended)", format!("{heard:?}"), format!("{should:?}"));
    }
    let heads = world.heads().await;
    if heads != case.heads {
        wrong.push(format!("heads are {heads:?}, should be {:?}", case.heads));
    }
    for alert in world.alerts().await {
        let (name, by) = (world.name(&alert.id), alert.superseded_by.map(|by| world.name(&by)));
        if by.as_ref() != case.superseded.get(&name) {
            wrong.push(format!("{name} is superseded by {by:?}"));
        }
    }
    wrong
}
