//! The drop folder: whole files are taken over, and everybody sees what became of them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{Cma, Server};
use crate::{alerts, store, until, until_source};

fn source(path: &Path) -> String {
    format!(
        "[[source]]\nname = \"drop\"\nkind = \"folder\"\nbureau = \"shanghai\"\npath = \"{}\"\nevery_seconds = 1\n",
        path.display()
    )
}

async fn there(server: &Server, path: PathBuf) -> PathBuf {
    let shown = path.display().to_string();
    until(&shown, server, async || path.symlink_metadata().is_ok().then(|| path.clone())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_moved_to_accepted_or_refused_with_their_reason_in_both_languages() {
    let drop = tempfile::tempdir().unwrap();
    let at = |name: &str| drop.path().join(name);
    let server = Server::start(&source(drop.path()));
    std::fs::write(at("good.xml"), Cma::new("good").xml()).unwrap();
    std::fs::write(at("bad.xml"), "<alert><identifier>1").unwrap();
    std::fs::write(at("foreign.xml"), Cma { code: "330400000000".into(), ..Cma::new("foreign") }.xml()).unwrap();
    std::fs::write(at("huge.xml"), vec![b' '; (4 << 20) + 1]).unwrap();
    std::fs::create_dir(at("folder.xml")).unwrap();
    std::fs::write(at(".hidden.xml"), Cma::new("hidden").xml()).unwrap();
    std::fs::write(at("half.xml.part"), Cma::new("half").xml()).unwrap();
    std::fs::write(at("target"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("link.xml")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("pipe.xml")).status().unwrap().success());
    there(&server, at("accepted/good.xml")).await;
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "good");
    for (name, code, zh) in [
        ("bad.xml", "T1001", "不是完整的 XML"),
        ("foreign.xml", "T4004", "预警未被收下"),
        ("huge.xml", "T8004", "内容超过 4 MiB"),
        ("link.xml", "T8015", "不是普通文件"),
        ("pipe.xml", "T8015", "不是普通文件"),
        ("target", "T1001", "不是完整的 XML"),
    ] {
        there(&server, at(&format!("refused/{name}"))).await;
        let reason = std::fs::read_to_string(at(&format!("refused/{name}.reason.txt"))).unwrap();
        assert!(reason.contains(code) && reason.contains(zh), "{name}: {reason}");
    }
    assert!(
        at("folder.xml").is_dir() && at(".hidden.xml").exists() && at("half.xml.part").exists(),
        "these are not ours yet"
    );
    std::fs::rename(at("half.xml.part"), at("half.xml")).unwrap();
    there(&server, at("accepted/half.xml")).await;
    // The same name again is another file, and what was there stays.
    std::fs::write(at("good.xml"), Cma::new("again").xml()).unwrap();
    there(&server, at("accepted/good-2.xml")).await;
    assert_eq!(std::fs::read_dir(at("working")).unwrap().count(), 0);
    assert_eq!(alerts(&server, 3).await.len(), 3);
    let store = store(&server).await;
    let row = until_source(&server, &store, "drop", |row| row.taken == 3 && row.refused == 6).await;
    assert_eq!(row.failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_still_grows_is_left_until_it_is_whole() {
    let drop = tempfile::tempdir().unwrap();
    let path = drop.path().join("slow.xml");
    let server = Server::start(&source(drop.path()));
    let text = Cma::new("slow").xml();
    let (first, rest) = text.split_at(700);
    std::fs::write(&path, first).unwrap();
    let store = store(&server).await;
    // It grows for as long as the folder is looked at three times.
    let mut grown = first.to_owned();
    for part in rest.as_bytes().chunks(rest.len() / 20 + 1) {
        grown.push_str(std::str::from_utf8(part).unwrap_or_default());
        std::fs::write(&path, &grown).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    std::fs::write(&path, &text).unwrap();
    there(&server, drop.path().join("accepted/slow.xml")).await;
    assert_eq!(until_source(&server, &store, "drop", |row| row.taken == 1).await.refused, 0, "never taken by half");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_behind_is_taken_again_and_the_same_alert_is_one() {
    let drop = tempfile::tempdir().unwrap();
    let at = |name: &str| drop.path().join(name);
    let mut server = Server::start(&source(drop.path()));
    std::fs::write(at("one.xml"), Cma::new("one").xml()).unwrap();
    there(&server, at("accepted/one.xml")).await;
    server.kill();
    // As if the power had gone after the alert was on disk and before its file was put away, and before another was read.
    std::fs::rename(at("accepted/one.xml"), at("working/one.xml")).unwrap();
    std::fs::write(at("working/two.xml"), Cma::new("two").xml()).unwrap();
    server.run();
    there(&server, at("accepted/one.xml")).await;
    there(&server, at("accepted/two.xml")).await;
    let names: Vec<_> = alerts(&server, 2).await.iter().map(|alert| alert["identifier"].clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureaus_size_holds_in_a_folder_too_and_its_rate_does_not() {
    let drop = tempfile::tempdir().unwrap();
    let bureau = format!(
        "[[bureau]]\nname = \"small\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\nmax_bytes = 4000\nrate = {{ per_minute = 1 }}\n",
        "0".repeat(64)
    );
    let own = source(drop.path()).replace("\"drop\"", "\"small\"").replace("\"shanghai\"", "\"small\"");
    let server = Server::start(&format!("{bureau}{own}"));
    let write = |name: &str, county: &str, more: usize| {
        let xml = Cma { code: format!("{county}000000"), ..Cma::new(name) }.xml();
        std::fs::write(drop.path().join(format!("{name}.xml")), format!("{xml}{}", " ".repeat(more))).unwrap();
    };
    write("a", "310101", 4_000);
    for (name, county) in [("b", "310104"), ("c", "310105"), ("d", "310106")] {
        write(name, county, 0);
    }
    there(&server, drop.path().join("refused/a.xml")).await;
    let reason = std::fs::read_to_string(drop.path().join("refused/a.xml.reason.txt")).unwrap();
    assert!(reason.contains("T1002") && reason.contains("> 4000"), "{reason}");
    for name in ["b", "c", "d"] {
        // We fetch it ourselves: a backlog makes nothing wait.
        there(&server, drop.path().join(format!("accepted/{name}.xml"))).await;
    }
    assert_eq!(alerts(&server, 3).await.len(), 3);
}

/// Whoever opens this file waits until it is let go, as on a disk that does not answer.
struct Stuck(std::process::Child);

impl Stuck {
    fn hold(path: &Path) -> Self {
        const LEASE: &str = "import fcntl,os,signal,sys\n\
            signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
            fd = os.open(sys.argv[1], os.O_RDWR)\n\
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
            print('held', flush=True)\n\
            sys.stdin.readline()\n";
        let mut command = std::process::Command::new("python3");
        let command = command.args(["-c", LEASE]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        Self(child)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_holds_up_its_own_folder_and_nobody_else() {
    // More folders hang than the program has threads that serve everybody.
    let many = std::thread::available_parallelism().unwrap().get() + 2;
    let drop = tempfile::tempdir().unwrap();
    let folder = |n: usize| drop.path().join(n.to_string());
    let own = |n: usize| {
        std::fs::create_dir(folder(n)).unwrap();
        source(&folder(n)).replace("\"drop\"", &format!("\"drop-{n}\""))
    };
    let config: String = (0..=many).map(own).collect();
    let stuck: Vec<_> = (0..many)
        .map(|n| {
            let path = folder(n).join("a.xml");
            let alert = Cma { code: format!("3101{:02}000000", 12 + n % 6), ..Cma::new(&format!("stuck-{n}")) };
            std::fs::write(&path, alert.xml()).unwrap();
            Stuck::hold(&path)
        })
        .collect();
    let mut server = Server::start(&config);
    for n in 0..many {
        there(&server, folder(n).join("working/a.xml")).await;
    }
    std::fs::write(folder(many).join("b.xml"), Cma::new("quick").xml()).unwrap();
    there(&server, folder(many).join("accepted/b.xml")).await;
    assert_eq!(server.post(Cma { code: "310101000000".into(), ..Cma::new("posted") }.xml()).await.0, 201);
    assert_eq!(alerts(&server, 2).await.len(), 2, "the others still hang");
    assert!(server.stop(), "nor does the program wait for them where it is to stop");
    std::mem::drop(stuck);
    server.run();
    assert_eq!(alerts(&server, 2 + many).await.len(), 2 + many, "and are taken once their disks answer");
}
