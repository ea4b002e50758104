//! `tocsin devices` and `tocsin mqtt`: on the server itself, with the rights of whoever runs it.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::json;

use super::Context;
use super::organisations::{said, show_account, show_bad};
use crate::broker::{Written, account_files, write};
use crate::clock::SystemClock;
use crate::devices::{Devices, Presence};
use crate::organisations::Slug;
use crate::policy::Policy;
use crate::show::{Failure, cut, table};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List devices and how each is; exits with 1 when one is silent
    List,
    /// Add or change devices from CSV: id,kind,name,region,lat,lon,organisation,lowest,drills
    Import {
        /// The file.
        file: PathBuf,
        /// Only say what would become of it.
        #[arg(long, conflicts_with = "accounts")]
        dry_run: bool,
        /// The new devices' accounts and passwords are written here, this once; the file must not be there yet.
        #[arg(long, required_unless_present = "dry_run")]
        accounts: Option<PathBuf>,
    },
    /// Give a device a new password; prints it, this once
    Renew {
        /// Which.
        id: Slug,
    },
    /// Take a device off the record, with its account
    End {
        /// Which.
        id: Slug,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<bool, Failure> {
    let config = context.config()?;
    let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&config)?));
    let own = config.devices.clone().unwrap_or_default();
    let store = match command {
        Command::Import { .. } => context.store().await?,
        _ => context.standing_store().await?,
    };
    let devices = Devices::new(store, policy, Arc::new(SystemClock), &own);
    match command {
        Command::List => list(context, &devices).await,
        Command::Import { file, dry_run, accounts } => import(context, &devices, &file, dry_run, accounts).await,
        Command::Renew { id } => {
            let (account, password) = devices.renew(&id, None).await?;
            show_account(context, &account, &password)
        }
        Command::End { id } => {
            devices.end(&id, None).await?;
            said(context, "the device is off the record, with its account")
        }
    }
}

async fn list(context: &Context, devices: &Devices) -> Result<bool, Failure> {
    let (rows, listening) = devices.all().await?;
    let silent = rows.iter().filter(|(_, presence)| matches!(presence, Presence::Silent(_))).count();
    if context.json {
        let one = |(row, presence): &(crate::store::DeviceRow, Presence)| {
            json!({"device": row.device, "presence": presence.as_str(), "seen": row.seen_at, "offline": row.offline_at,
                   "battery": row.battery, "firmware": row.firmware, "refused": row.refused, "problem": row.problem})
        };
        let all: Vec<_> = rows.iter().map(one).collect();
        println!("{}", json!({"listening_since": listening, "silent": silent, "devices": all}));
        return Ok(silent == 0);
    }
    if listening.is_none() {
        println!("nobody listens to devices just now: [devices] in config.toml, a running server, and its broker do");
    }
    let mut table_rows =
        vec![["id", "kind", "county", "is", "seen (UTC)", "battery", "stands"].map(str::to_owned).to_vec()];
    for (row, presence) in &rows {
        let seen = row.seen_at.map_or_else(|| "-".into(), |at| at.format("%m-%d %H:%M:%S").to_string());
        table_rows.push(vec![
            row.device.id.to_string(),
            row.device.kind.as_str().into(),
            row.device.region.to_string(),
            presence.as_str().into(),
            seen,
            row.battery.map_or_else(|| "-".into(), |percent| format!("{percent} %")),
            cut(&row.device.name, 30),
        ]);
    }
    print!("{}", table(&table_rows));
    Ok(silent == 0)
}

async fn import(
    context: &Context,
    devices: &Devices,
    path: &std::path::Path,
    dry: bool,
    accounts: Option<PathBuf>,
) -> Result<bool, Failure> {
    let file = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    if let Some(there) = accounts.as_ref().filter(|path| path.exists()) {
        return Err(format!("{} is there already; passwords are not written over it", there.display()).into());
    }
    let mut done = devices.import(&file, dry, None).await?;
    if let Some(path) = accounts.filter(|_| !done.accounts.is_empty()) {
        let lines: String = done.accounts.iter().map(|(name, password)| format!("{name},{password}\n")).collect();
        crate::seal::write_secret(&path, format!("account,password\n{lines}").as_bytes())?;
        done.accounts.clear();
    }
    if context.json {
        println!("{}", json!(done));
        return Ok(done.bad.is_empty());
    }
    let would = if dry { "would be " } else { "" };
    println!(
        "{} rows: {} devices {would}added, {} {would}changed, {} rows left out",
        done.rows,
        done.added,
        done.changed,
        done.bad.len()
    );
    show_bad(&done.bad);
    Ok(done.bad.is_empty())
}

#[derive(clap::Subcommand)]
pub(crate) enum MqttCommand {
    /// Write mosquitto's password and ACL files once; a server with [broker] keeps them current by itself
    Accounts {
        /// The folder.
        #[arg(long)]
        out: PathBuf,
    },
}

pub(crate) async fn mqtt(context: &Context, command: MqttCommand) -> Result<bool, Failure> {
    let MqttCommand::Accounts { out } = command;
    let config = context.config()?;
    let Some(mqtt) = &config.channels.mqtt else { return Err("needs [channels.mqtt] in config.toml".into()) };
    let policy = Policy::build(&config)?;
    let (passwords, acl) = account_files(&context.standing_store().await?, &policy.map, &mqtt.via).await?;
    match write(&out, &passwords, &acl)? {
        Written::Changed => said(context, "written: the broker must read its files again (SIGHUP)"),
        Written::Same => said(context, "the files say so already"),
    }
}
