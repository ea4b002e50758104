//! Faults of the disk, injected.

use std::io;

use super::super::disk::{bounded, sorted};
use super::*;
use crate::app::App;
use crate::clock::SetClock;
use crate::config::Config;

/// Where a file of this name lies beside the drop folder, its namesake cannot be read, or moved to where people look for it.
fn fault(what: &str, path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.ancestors().find_map(|above| above.parent().filter(|_| above.ends_with("drop")));
    match beside.unwrap_or(Path::new("")).join(format!("{what}-{name}")).exists() {
        true => Err(io::Error::other("injected")),
        false => Ok(()),
    }
}

const HANDS: Hands = Hands {
    read: |path| {
        fault("deny", path).map_err(|_| io::ErrorKind::PermissionDenied)?;
        // One that goes on growing while it is read.
        let path = if fault("grow", path).is_err() { Path::new("/dev/zero") } else { path };
        fault("read", path).and_then(|()| bounded(path))
    },
    list: |path| fault("list", path).and_then(|()| sorted(path)),
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
        self.put_at(name, name);
    }

    fn put_at(&self, path: &str, identifier: &str) {
        let red = include_str!("../../../tests/cases/cap/qingpu-typhoon-red.xml");
        self.write(path, &red.replace("<identifier>", &format!("<identifier>{identifier}-")));
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join("drop").join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("drop").join(path)).unwrap()
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.path().join("drop").join(path)).unwrap();
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
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_came_to_says_nothing_of_another_in_its_place() {
    let mut house = House::start().await;
    let to_be_moved = async |house: &mut House, name: &str| {
        house.put(name);
        house.fail(&format!("move-{name}"));
        house.look(2).await;
        house.mend(&format!("move-{name}"));
        assert!(house.is_at(&format!("working/{name}")));
    };
    // Taken away while it waits.
    to_be_moved(&mut house, "a.xml").await;
    house.write("a.xml", "?");
    house.look(1).await;
    house.remove("working/a.xml");
    house.look(1).await;
    assert!(house.is_at("refused/a.xml") && !house.is_at("accepted/a.xml"));
    // Another one put there.
    to_be_moved(&mut house, "b.xml").await;
    house.remove("working/b.xml");
    house.put_at("working/b.xml", "another-b");
    house.look(1).await;
    assert!(house.is_at("accepted/b.xml"));
    assert_eq!(house.row.taken, 3, "it is handed in");
    // Another one that has come when the disk fails.
    to_be_moved(&mut house, "c.xml").await;
    house.put_at("c.xml", "another-c");
    house.look(1).await;
    house.remove("working/c.xml");
    house.fail("list-working");
    assert!(house.watch.look(&mut house.row).await.is_err() && house.is_at("working/c.xml"));
    house.mend("list-working");
    house.look(1).await;
    assert!(house.is_at("accepted/c.xml"));
    assert_eq!((house.code(), house.row.taken), (None, 5));
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_never_goes_where_something_else_is_and_follows_no_link() {
    let mut house = House::start().await;
    let ours = house.folder.path().join("ours");
    std::fs::write(&ours, "what Tocsin keeps").unwrap();
    std::os::unix::fs::symlink(&ours, house.folder.path().join("drop/a.xml.reason.txt")).unwrap();
    house.write("b.xml.reason.txt", "somebody's own");
    house.look(2).await;
    assert!(house.is_at("refused/a.xml.reason.txt") && house.is_at("refused/b.xml.reason.txt"));
    house.write("a.xml", "?");
    house.write("b.xml", "?");
    house.look(2).await;
    assert_eq!(std::fs::read_to_string(&ours).unwrap(), "what Tocsin keeps");
    assert_eq!(house.read("refused/b.xml.reason.txt"), "somebody's own");
    for name in ["refused/a-2.xml", "refused/b-2.xml"] {
        assert!(house.is_at(name) && house.read(&format!("{name}.reason.txt")).contains("T1001"), "{name}");
    }
    // However often it cannot be moved, there is one reason.
    house.write("c.xml", "?");
    house.fail("move-c.xml");
    house.look(2).await;
    house.later(TimeDelta::minutes(1));
    house.look(1).await;
    house.mend("move-c.xml");
    house.later(TimeDelta::minutes(1));
    house.look(1).await;
    let all = sorted(&house.folder.path().join("drop/refused")).unwrap();
    let names = all.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let of_c: Vec<_> = names.filter(|name| name.starts_with(['c', '.'])).collect();
    assert_eq!(of_c, ["c.xml", "c.xml.reason.txt"]);
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_or_is_too_large_or_has_a_long_name_is_refused_with_its_reason() {
    let mut house = House::start().await;
    house.put("a.xml");
    house.fail("deny-a.xml");
    house.put("b.xml");
    house.fail("grow-b.xml");
    // With its reason, a name as long as a file system holds would be too long.
    let long = "x".repeat(255);
    house.write(&long, "?");
    house.write(&format!("{}.xml", &long[4..]), "?");
    house.look(2).await;
    let (plain, xml) = ("x".repeat(230), format!("{}.xml", "x".repeat(226)));
    for (name, code) in [("a.xml", "T8023"), ("b.xml", "T8004"), (plain.as_str(), "T1001"), (xml.as_str(), "T1001")] {
        assert!(house.is_at(&format!("refused/{name}")), "{name}");
        assert!(house.read(&format!("refused/{name}.reason.txt")).contains(code), "{name}");
    }
    assert_eq!((house.code(), house.row.refused), (None, 4), "none of them waits");
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_holds_up_nothing_that_comes_meanwhile() {
    let mut house = House::start().await;
    std::fs::create_dir(house.folder.path().join("drop/working")).unwrap();
    for n in 0..450 {
        house.put(&format!("working/{n}.xml"));
        house.fail(&format!("read-{n}.xml"));
    }
    house.put("red.xml");
    for (tried, red, more) in [(200, false, true), (399, true, true), (450, true, false)] {
        let looked = house.watch.look(&mut house.row).await.unwrap();
        assert_eq!((house.watch.waits.len(), house.is_at("accepted/red.xml"), looked.more), (tried, red, more));
    }
    house.app.stop().await;
}

#[test]
fn what_there_was_only_too_much_to_do_for_is_handed_in_again_soon() {
    let seconds = |code, tries| pause(code, tries, 1.0).num_seconds();
    assert_eq!([1, 3, 4, 30].map(|tries| seconds(ProblemCode::Refused, tries)), [5, 20, 30, 30]);
    assert_eq!([1, 3, 4, 30].map(|tries| seconds(ProblemCode::File, tries)), [5, 20, 40, 600]);
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
    house.look(4).await;
    assert!(house.is_at("accepted/z.xml"), "{:?}", house.watch.problem);
    // Also where those that wait are all to be tried again.
    house.later(TimeDelta::minutes(1));
    house.put("y.xml");
    house.look(2).await;
    assert!(house.is_at("accepted/y.xml") && house.is_at("a0.xml") && house.is_at("working/b0.xml"));
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_and_goes_to_nobody_says_so_beside_it() {
    let mut house = House::start().await;
    let red = include_str!("../../../tests/cases/cap/qingpu-typhoon-red.xml");
    let own = |name: &str| red.replace("<identifier>", &format!("<identifier>{name}-"));
    house.write("end.xml", &own("end").replace("<msgType>Alert<", "<msgType>Cancel<"));
    house.look(2).await;
    house.write("test.xml", &own("test").replace("<status>Actual<", "<status>Test<"));
    house.put("well.xml");
    house.look(2).await;
    let said = |name: &str| house.read(&format!("accepted/{name}.xml.reason.txt"));
    assert!(said("end").contains("T4102") && said("end").contains("没有可更新或解除的内容"), "{}", said("end"));
    let test = said("test");
    assert!(
        test.contains("不发给任何人：状态为 Test") && test.contains("goes to nobody: its status is Test"),
        "{test}"
    );
    assert!(house.is_at("accepted/well.xml") && !house.is_at("accepted/well.xml.reason.txt"));
    assert_eq!((house.code(), house.row.taken, house.row.refused), (None, 3, 0));
    house.app.stop().await;
}
