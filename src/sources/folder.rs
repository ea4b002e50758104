//! A drop folder. A file is taken over by a rename into `working`, handed in, and moved to `accepted` or `refused`, there with its
//! reason beside it. What a crash leaves in `working` is taken again: the same alert twice is one alert.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::config::FolderSource;
use super::disk::Disk;
use super::door::{Delivered, Door};
use super::health;
use super::problem::{Problem, ProblemCode};
use super::schedule::{When, dice};
use crate::store::SourceRow;

/// Watches a folder until told to stop.
pub(super) async fn run(config: FolderSource, door: Arc<Door>, stop: CancellationToken) {
    let when = When::Every(TimeDelta::seconds(config.every_seconds.into()));
    let mut tries = 0;
    let mut row = loop {
        match health::known(&door.store, &config.name, "folder").await {
            Ok(row) => break row,
            Err(problem) if health::waits(&mut tries, &config.name, &problem, &stop).await => {}
            Err(problem) => return health::give_up(&door.store, &config.name, "folder", &problem, door.now()).await,
        }
    };
    let disk = Disk::new(config.path.clone());
    let mut watch = Watch { config, door, disk };
    let rounds = async {
        let mut noted = None;
        loop {
            let looked = watch.look(&mut row).await;
            let now = watch.door.now();
            let next = when.next(now, if looked.is_ok() { 0 } else { row.failures + 1 }, dice(), None);
            // An idle folder is noted down once a minute.
            let changed = match looked {
                Ok(did) => {
                    let was_bad = row.failing_since.is_some();
                    health::good(&mut row, now, Some(next + TimeDelta::minutes(1)));
                    did || was_bad || noted.is_none_or(|at| now - at >= TimeDelta::minutes(1))
                }
                Err(problem) => {
                    health::bad(&mut row, now, Some(next), &problem);
                    true
                }
            };
            if changed {
                noted = Some(now);
                if let Err(error) = watch.door.store.save_source(&row, std::iter::empty(), &[]).await {
                    tracing::error!(%error, source = %row.name, "what is known of a source could not be written");
                }
            }
            tokio::time::sleep((next - now).to_std().unwrap_or(Duration::from_secs(1))).await;
        }
    };
    tokio::select! {
        () = Box::pin(rounds) => {}
        () = stop.cancelled() => {}
    }
}

struct Watch {
    config: FolderSource,
    door: Arc<Door>,
    disk: Disk,
}

/// What became of a file.
enum Outcome {
    Accepted(Delivered),
    Refused(Delivered),
    /// It stays in `working`, for the next look.
    Waits(Problem),
}

impl Watch {
    /// One look; true where anything was done.
    async fn look(&mut self, row: &mut SourceRow) -> Result<bool, Problem> {
        let (mut did, mut waits) = (false, None);
        for path in self.disk.take_over().await? {
            let outcome = Box::pin(self.take(&path)).await;
            did = true;
            let (place, delivered) = match outcome {
                Outcome::Accepted(delivered) => ("accepted", delivered),
                Outcome::Refused(delivered) => ("refused", delivered),
                // What is wrong with this file alone must not hold up those behind it.
                Outcome::Waits(problem) if problem.code == ProblemCode::Refused => {
                    waits.get_or_insert(problem);
                    continue;
                }
                Outcome::Waits(problem) => return Err(problem),
            };
            row.entries += 1;
            row.taken += delivered.new_ones();
            row.refused += delivered.refused.len() as u64;
            row.findings = delivered.refused.iter().map(Problem::json).collect();
            let why = (!delivered.refused.is_empty()).then(|| reason(&delivered.refused));
            self.disk.put_away(path, place, why).await?;
        }
        waits.map_or(Ok(did), Err)
    }

    async fn take(&self, path: &Path) -> Outcome {
        let bytes = match self.disk.read(path.to_owned()).await {
            Ok(bytes) => bytes,
            Err(problem) => {
                self.door.keep_refusal(&self.config.bureau, &problem, path.to_string_lossy().as_bytes()).await;
                return Outcome::Refused(Delivered { refused: vec![problem], ..Delivered::default() });
            }
        };
        let mut delivered = self.door.deliver(self.config.voice(), &bytes, None).await;
        match delivered.not_now.take() {
            Some(problem) => Outcome::Waits(problem),
            None if delivered.taken.is_empty() => Outcome::Refused(delivered),
            None => Outcome::Accepted(delivered),
        }
    }
}

/// Why a file was refused, for the person who put it there.
fn reason(refused: &[Problem]) -> String {
    let mut text = String::new();
    for problem in refused {
        text.push_str(&format!("{}\n{}\n{}\n", problem.code.as_str(), problem.zh(), problem.en()));
        for finding in &problem.findings {
            text.push_str(&format!(
                "  T{} {}\n    {}\n    {}\n",
                finding.code.number(),
                finding.path,
                finding.zh(),
                finding.en()
            ));
        }
        text.push('\n');
    }
    text
}
