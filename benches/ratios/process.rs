//! Sinks as processes of their own, and what processes cost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tocsin_sinks::{Tally, broker, gateway, real, smtp};

use crate::report::Rate;

/// Is a sink, until killed.
pub(crate) async fn be_a_sink(kind: &str) {
    let say = |port: u16| {
        println!("{port}");
        std::io::stdout().flush().expect("somebody listens");
    };
    match kind {
        "email" => hold(smtp::start(Tally::counting()).await.expect("a port"), say).await,
        "sms" => hold(gateway::start_sms(Tally::counting()).await.expect("a port"), say).await,
        "push" => hold(gateway::start_push(Tally::counting()).await.expect("a port"), say).await,
        _ => hold(broker::start(Tally::counting()).await.expect("a port").sink, say).await,
    }
}

async fn hold(sink: tocsin_sinks::Sink, say: impl Fn(u16)) {
    say(sink.addr.port());
    std::future::pending::<()>().await;
}

/// A sink in a process of its own: Debian's smtp-sink and mosquitto where they are installed, ours for the rest.
pub(crate) struct Sink {
    pub(crate) port: u16,
    pid: Option<u32>,
    child: Option<Child>,
    _real: Option<(real::Program, tempfile::TempDir)>,
}

impl Sink {
    pub(crate) fn start(kind: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = real::free_port().expect("a port");
        let listen = format!("127.0.0.1:{port}");
        let config = folder.path().join("mosquitto.conf");
        let limits = "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_type none\n";
        std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n{limits}"))
            .expect("a file");
        let config = config.display().to_string();
        let program = match kind {
            "email" => {
                real::Program::start("smtp-sink", &["-u", "nobody", &listen, "1024"], &folder.path().join("log"))
            }
            "mqtt" => real::Program::start("mosquitto", &["-c", &config], &folder.path().join("log")),
            _ => Err(std::io::Error::other("ours")),
        };
        if let Ok(program) = program {
            real::wait_for(([127, 0, 0, 1], port).into()).expect("the sink listens");
            return Self { port, pid: Some(program.id()), child: None, _real: Some((program, folder)) };
        }
        let mut child = Command::new(std::env::current_exe().expect("a name"))
            .arg(format!("sink={kind}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a port");
        Self { port: line.trim().parse().expect("a port"), pid: Some(child.id()), child: Some(child), _real: None }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }
}

/// Processor time of a process so far, seconds.
fn spent(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 14 and 15 of the whole line, in hundredths of a second.
    (ticks(11) + ticks(12)) / 100.0
}

/// Memory in use, MiB.
pub(crate) fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1_024.0
}

/// A stretch of work.
pub(crate) struct Watch {
    began: Instant,
    own: f64,
    sink: Option<(u32, f64)>,
}

impl Watch {
    pub(crate) fn start(sink: Option<u32>) -> Self {
        let sink = sink.map(|pid| (pid, spent(&pid.to_string())));
        Self { began: Instant::now(), own: spent("self"), sink }
    }

    /// The rate of so many things done since the start.
    pub(crate) fn rate(&self, done: u64) -> Rate {
        let seconds = self.began.elapsed().as_secs_f64();
        let sink = self.sink.map_or(0.0, |(pid, before)| spent(&pid.to_string()) - before);
        let cores = ((spent("self") - self.own) / seconds, sink / seconds);
        Rate { per_second: done as f64 / seconds, cores }
    }
}
