//! `tocsin organisations`: on the server itself, with the rights of whoever runs it; each change is on record as `operator`'s.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::json;

use super::Context;
use crate::clock::SystemClock;
use crate::organisations::{Organisations, Slug};
use crate::policy::Policy;
use crate::show::{Failure, cut, table};
use crate::store::Store;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List organisations
    List,
    /// Add organisations and contacts from CSV: code,name,kind,regions,contact,duty,consent,consent_at,phone,email,language,lowest
    Import {
        /// The file.
        file: PathBuf,
        /// Only say what would become of it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Set a webhook; prints the secret that its posts are signed with, this once
    Hook {
        /// Whose.
        code: Slug,
        /// Its name.
        name: Slug,
        /// Where it takes posts; left out, the webhook ends.
        url: Option<String>,
    },
    /// Make an account at the MQTT broker, or a new password; prints both, this once
    Account {
        /// Whose.
        code: Slug,
    },
    /// End an organisation with its contacts, webhooks and account
    End {
        /// Which.
        code: Slug,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<bool, Failure> {
    let config = context.config()?;
    let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&config)?));
    let store = match command {
        Command::Import { .. } => context.store().await?,
        _ => context.standing_store().await?,
    };
    let organisations = Organisations::new(store.clone(), policy, Arc::new(SystemClock), &config.organisations);
    match command {
        Command::List => list(context, &store).await,
        Command::Import { file, dry_run } => import(context, &organisations, &file, dry_run).await,
        Command::Hook { code, name, url: Some(url) } => {
            let secret = organisations.set_hook(&code, &name, &url, None).await?;
            if context.json {
                println!("{}", json!({"webhook": format!("{code}.{name}"), "secret": secret}));
            } else {
                println!(
                    "the webhook {code}.{name} is set; its posts are signed with this secret, shown once:\n  {secret}"
                );
            }
            Ok(true)
        }
        Command::Hook { code, name, url: None } => {
            organisations.end_hook(&code, &name, None).await?;
            said(context, "the webhook has ended")
        }
        Command::Account { code } => {
            let (account, password) = organisations.set_account(&code, None).await?;
            show_account(context, &account, &password)
        }
        Command::End { code } => {
            organisations.end(&code, None).await?;
            said(context, "the organisation has ended, with its contacts, webhooks and account")
        }
    }
}

/// Says that something is done.
pub(super) fn said(context: &Context, text: &str) -> Result<bool, Failure> {
    if context.json {
        println!("{}", json!({"done": true}));
    } else {
        println!("{text}");
    }
    Ok(true)
}

/// Shows an account at the broker.
pub(super) fn show_account(context: &Context, account: &str, password: &str) -> Result<bool, Failure> {
    if context.json {
        println!("{}", json!({"account": account, "password": password}));
    } else {
        println!("the account at the broker; the password is shown once:\n  {account}\n  {password}");
    }
    Ok(true)
}

async fn list(context: &Context, store: &Store) -> Result<bool, Failure> {
    let organisations = store.organisations().await?;
    if context.json {
        println!("{}", json!({"organisations": organisations}));
        return Ok(true);
    }
    let counts = store.contact_counts().await?;
    let mut rows = vec![["code", "name", "kind", "contacts", "from", "regions"].map(str::to_owned).to_vec()];
    for one in organisations {
        let regions: Vec<_> = one.regions.iter().map(ToString::to_string).collect();
        let contacts = counts.get(one.code.as_str()).copied().unwrap_or(0);
        rows.push(vec![
            one.code.to_string(),
            cut(&one.name, 24),
            one.kind.as_str().into(),
            contacts.to_string(),
            one.lowest.as_str().into(),
            cut(&regions.join(" "), 30),
        ]);
    }
    print!("{}", table(&rows));
    Ok(true)
}

async fn import(context: &Context, all: &Organisations, path: &std::path::Path, dry: bool) -> Result<bool, Failure> {
    let file = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let done = all.import(&file, dry, None).await?;
    if context.json {
        println!("{}", json!(done));
        return Ok(done.bad.is_empty());
    }
    let would = if dry { "would be " } else { "" };
    println!(
        "{} rows: {} organisations and {} contacts {would}added, {} contacts on record already or left, {} rows left out",
        done.rows,
        done.organisations,
        done.contacts,
        done.known,
        done.bad.len()
    );
    show_bad(&done.bad);
    Ok(done.bad.is_empty())
}

/// Lists rows that were left out.
pub(super) fn show_bad(bad: &[crate::residents::BadRow]) {
    for row in bad.iter().take(20) {
        println!("  line {}, {}: {}", row.line, row.column, row.why);
    }
    if bad.len() > 20 {
        println!("  ... and {} more (--json lists all)", bad.len() - 20);
    }
}
