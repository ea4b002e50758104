//! `tocsin audit`: whether the record is whole, and the record itself.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::{Context, export_to, is_screen};
use crate::record::{Broken, Chain, Line};
use crate::show::{Failure, bar, number};
use crate::store::Store;

/// Lines read at once.
const BATCH: i64 = 5_000;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Walk the whole record, and say whether a line was changed, removed or put in; exit code 1 if so
    Verify {
        /// A line's number and hash that were noted down elsewhere: proves that the record was not written anew
        #[arg(long, value_name = "SEQ:HASH", value_parser = note)]
        note: Option<(i64, String)>,
    },
    /// Write the record as CSV, or as JSON lines with --json
    Export {
        /// The file, which must not be there yet; `-` for standard output
        file: PathBuf,
    },
}

fn note(text: &str) -> Result<(i64, String), String> {
    let read = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok().filter(|seq| *seq > 0)?, hash)));
    let good = read.filter(|(_, hash)| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    let (seq, hash) = good.ok_or("a line's number, a colon, its hash, as `tocsin audit verify` prints them")?;
    Ok((seq, hash.to_lowercase()))
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<bool, Failure> {
    match command {
        Command::Verify { note } => verify(context, note).await,
        Command::Export { file } => export(context, &file).await,
    }
}

async fn verify(context: &Context, note: Option<(i64, String)>) -> Result<bool, Failure> {
    let store = context.sealed_store().await?;
    match walk(&store, note).await? {
        Ok((seq, hash)) if context.json => println!("{}", json!({"whole": true, "lines": seq, "last": hash})),
        Ok((0, _)) => println!("the record is whole: it has no lines yet"),
        Ok((seq, hash)) => println!(
            "the record is whole: {} lines\nnote down elsewhere, for the next time:\n  --note {seq}:{hash}",
            number(u64::try_from(seq).unwrap_or(0))
        ),
        Err(broken) => {
            let text = broken.to_string();
            let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
            if context.json {
                println!("{}", json!({"whole": false, "line": broken.line(), "zh": zh, "en": en}));
            } else {
                println!("the record is broken at line {}\n{zh}\n{en}", broken.line());
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Walks every line; lines may be added meanwhile.
async fn walk(store: &Store, note: Option<(i64, String)>) -> Result<Result<(i64, String), Broken>, Failure> {
    let bar = bar(Some(u64::try_from(store.record_count().await?).unwrap_or(0)), "walking the record");
    // Whatever stands before line 1 does not belong there either.
    let (mut chain, mut next) = (Chain::new(note), i64::MIN);
    let walked = loop {
        // A line and its count are written together: once nothing more is found, the count read before is that of the lines.
        let written = store.record_count().await?;
        let lines = store.record_from(next, BATCH).await?;
        let Some(last) = lines.last() else { break chain.end(written) };
        if let Err(broken) = lines.iter().try_for_each(|line| chain.follow(line)) {
            break Err(broken);
        }
        next = last.seq + 1;
        bar.set_position(u64::try_from(last.seq).unwrap_or(0));
    };
    bar.finish_and_clear();
    Ok(walked)
}

async fn export(context: &Context, path: &std::path::Path) -> Result<bool, Failure> {
    let store = context.sealed_store().await?;
    let mut out = std::io::BufWriter::new(export_to(path)?);
    let bar = bar(Some(u64::try_from(store.record_count().await?).unwrap_or(0)), "exporting");
    if !context.json {
        csv::Writer::from_writer(&mut out).write_record(Line::HEAD)?;
    }
    let mut next = 1;
    loop {
        let lines = store.record_from(next, BATCH).await?;
        let Some(last) = lines.last() else { break };
        next = last.seq + 1;
        if context.json {
            lines.iter().try_for_each(|line| writeln!(out, "{}", json!(line)))?;
        } else {
            let mut csv = csv::Writer::from_writer(&mut out);
            lines.iter().try_for_each(|line| csv.write_record(line.cells()))?;
            csv.flush()?;
        }
        bar.set_position(u64::try_from(next - 1).unwrap_or(0));
    }
    out.flush()?;
    bar.finish_and_clear();
    if !is_screen(path) {
        println!("{} lines written to {}", number(u64::try_from(next - 1).unwrap_or(0)), path.display());
    }
    Ok(true)
}
