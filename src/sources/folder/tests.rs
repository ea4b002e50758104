//! Faults of the disk, injected.

use std::io;

use super::*;
use crate::app::App;
use crate::clock::SetClock;
use crate::config::Config;

/// Where a file of this name lies beside the drop folder, its namesake cannot be read, or moved to where people look for it.
fn fault(what: &str, path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.ancestors().find_map(|above| above.parent().filter(|_| above.ends_with("drop"))).unwrap();
    match beside.join(format!("{what}-{name}")).exists() {
        true => Err(io::Error::other("injected")),
        false => Ok(()),
    }
}

const HANDS: Hands = Hands {
    read: |path| fault("read", path).and_then(|()| std::fs::read(path)),
    rename: |from, to| {
        let what = if to.parent().is_some_and(|place| place.ends_with("working")) { "take" } else { "move" };
        fault(what, from).and_then(|()| std::fs::rename(from, to))
    },
};

struct House {
    folder: tempfile::TempDir,
    app: App,
    clock: Arc<SetClock>,
    watch: Watch,
    row: SourceRow,
}

impl House {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let drop = folder.path().join("drop");
        std::fs::create_dir(&drop).unwrap();
        let bureau =
            format!("[[bureau]]\nname = \"east\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\n", "0".repeat(64));
        let source = format!("kind = \"folder\"\nname = \"drop\"\nbureau = \"east\"\npath = \"{}\"\n", drop.display());
        let store = format!("[store]\nurl = \"sqlite://{}\"\n", folder.path().join("t.db").display());
        let path = folder.path().join("config.toml");
        std::fs::write(&path, format!("{store}{bureau}")).unwrap();
        let clock = Arc::new(SetClock(std::sync::Mutex::new("2022-09-14T11:46:00Z".parse().unwrap())));
        let app = App::start(&Config::load(&path).unwrap(), Arc::<SetClock>::clone(&clock)).await.unwrap();
        let (intake, policy) = (Arc::clone(&app.intake), Arc::clone(&app.policy));
        let door = Door::new(intake, policy, app.store.clone(), Arc::<SetClock>::clone(&clock), app.engine.waker());
        let crate::sources::SourceConfig::Folder(config) = toml::from_str(&source).unwrap() else { panic!("a folder") };
        let watch = Watch::new(config, Arc::new(door), HANDS);
        Self { folder, app, clock, watch, row: SourceRow::default() }
    }

    fn put(&self, name: &str) {
        let red = include_str!("../../../tests/cases/cap/qingpu-typhoon-red.xml");
        let text = red.replace("<identifier>", &format!("<identifier>{name}-"));
        std::fs::write(self.folder.path().join("drop").join(name), text).unwrap();
    }

    fn fail(&self, fault: &str) {
        std::fs::write(self.folder.path().join(fault), "").unwrap();
    }

    fn mend(&self, fault: &str) {
        std::fs::remove_file(self.folder.path().join(fault)).unwrap();
    }

    async fn look(&mut self, times: usize) {
        for _ in 0..times {
            self.watch.look(&mut self.row).await.unwrap();
        }
    }

    fn later(&self, pause: TimeDelta) {
        *self.clock.0.lock().unwrap() += pause;
    }

    fn is_at(&self, path: &str) -> bool {
        self.folder.path().join("drop").join(path).exists()
    }

    fn code(&self) -> Option<ProblemCode> {
        self.watch.problem.as_ref().map(|problem| problem.code)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_waits_longer_each_time_and_is_never_refused_for_it() {
    let mut house = House::start().await;
    house.put("a.xml");
    house.put("b.xml");
    house.fail("read-a.xml");
    house.look(2).await;
    assert!(house.is_at("accepted/b.xml") && house.is_at("working/a.xml"), "it holds up none behind it");
    assert_eq!(house.code(), Some(ProblemCode::File), "and its health says so");
    house.look(3).await;
    let tries = |house: &House| house.watch.waits.values().map(|waits| waits.tries).collect::<Vec<_>>();
    assert_eq!(tries(&house), [1], "not before its time");
    house.later(TimeDelta::seconds(6));
    house.look(1).await;
    house.later(TimeDelta::seconds(4));
    house.look(1).await;
    assert_eq!(tries(&house), [2], "the pause grows");
    house.mend("read-a.xml");
    house.later(TimeDelta::seconds(7));
    house.look(1).await;
    assert!(house.is_at("accepted/a.xml") && !house.is_at("refused/a.xml"));
    assert_eq!((house.code(), house.row.taken, house.row.refused), (None, 2, 0));
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_moved_holds_up_none_behind_it_and_is_handed_in_once() {
    let mut house = House::start().await;
    for name in ["a.xml", "b.xml", "c.xml"] {
        house.put(name);
    }
    house.fail("take-a.xml");
    house.fail("move-b.xml");
    house.look(2).await;
    assert!(house.is_at("a.xml") && house.is_at("working/b.xml") && house.is_at("accepted/c.xml"));
    assert_eq!((house.code(), house.row.taken), (Some(ProblemCode::File), 2), "what is in it is taken all the same");
    house.mend("take-a.xml");
    house.later(TimeDelta::minutes(1));
    house.look(1).await;
    assert!(house.is_at("accepted/a.xml") && house.is_at("working/b.xml"));
    house.mend("move-b.xml");
    house.later(TimeDelta::minutes(1));
    house.look(1).await;
    assert!(house.is_at("accepted/b.xml"));
    assert_eq!((house.code(), house.row.taken, house.row.entries), (None, 3, 3), "it was not handed in again");
    // One that somebody takes away while it waits leaves nothing behind to another of its name.
    house.put("d.xml");
    house.fail("move-d.xml");
    house.look(2).await;
    house.mend("move-d.xml");
    std::fs::write(house.folder.path().join("drop/d.xml"), "?").unwrap();
    house.look(1).await;
    std::fs::remove_file(house.folder.path().join("drop/working/d.xml")).unwrap();
    house.look(1).await;
    assert!(house.is_at("refused/d.xml") && !house.is_at("accepted/d.xml"));
    // With its reason, a name as long as a file system holds would be too long.
    let long = "x".repeat(255);
    std::fs::write(house.folder.path().join("drop").join(&long), "?").unwrap();
    house.look(2).await;
    assert!(house.is_at(&format!("refused/{}.reason.txt", "x".repeat(230))) && house.code().is_none());
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_files_wait_the_last_name_gets_its_turn() {
    let mut house = House::start().await;
    for n in 0..210 {
        for (what, name) in [("take", format!("a{n}.xml")), ("read", format!("b{n}.xml"))] {
            house.put(&name);
            house.fail(&format!("{what}-{name}"));
        }
    }
    house.put("z.xml");
    house.look(3).await;
    assert!(house.is_at("accepted/z.xml"), "{:?}", house.watch.problem);
    // Also where those that wait are all to be tried again.
    house.later(TimeDelta::minutes(1));
    house.put("y.xml");
    house.look(2).await;
    assert!(house.is_at("accepted/y.xml") && house.is_at("a0.xml") && house.is_at("working/b0.xml"));
    house.app.stop().await;
}
