//! `tocsin officers`: the first administrators, and who there is.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::json;

use super::Context;
use crate::app::key_file;
use crate::clock::SystemClock;
use crate::messages::Language;
use crate::officers::{Grant, Login, SealKey};
use crate::policy::Policy;
use crate::show::{Failure, cut, table};
use crate::staff::{NewOfficer, Staff};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Invite an officer, on the server itself, until there are two administrators; prints the link, which holds three days
    Invite {
        /// What they sign in with: 2 to 40 small letters, digits, dots or dashes. One who is there gets a new link.
        login: Login,
        /// Their name, as the record shows it.
        #[arg(long)]
        name: String,
        /// What they may do where: administrator:*, signer:310000; once or more.
        #[arg(long, value_name = "ROLE:REGION", required = true, num_args = 1.., value_parser = grant)]
        grant: Vec<Grant>,
        /// The language of their pages and calls.
        #[arg(long, default_value = "zh-CN", value_parser = language)]
        language: Language,
    },
    /// List officers and what they may do
    List,
}

fn grant(text: &str) -> Result<Grant, String> {
    Grant::parse(text).ok_or_else(|| {
        "a role, a colon, a region's code or *: author, reviewer, signer, operator, auditor or administrator".into()
    })
}

fn language(text: &str) -> Result<Language, String> {
    Language::of_tag(text).ok_or_else(|| "zh-CN or en".into())
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<bool, Failure> {
    match command {
        Command::Invite { login, name, grant, language } => {
            invite(context, NewOfficer { login, name, language, grants: grant }).await
        }
        Command::List => list(context).await,
    }
}

async fn invite(context: &Context, new: NewOfficer) -> Result<bool, Failure> {
    let config = context.config()?;
    let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&config)?));
    let key = SealKey::of_file(&key_file(&config))?;
    let staff = Staff::new(context.store().await?, policy, Arc::new(SystemClock), key);
    let token = staff.invite(&new, None).await?;
    let base = config.server.public_url.unwrap_or_else(|| format!("http://{}", config.server.listen));
    let link = format!("{}/invitation/{token}", base.trim_end_matches('/'));
    if context.json {
        println!("{}", json!({"login": new.login, "link": link}));
    } else {
        println!("{} is invited; the link holds three days and works once:\n  {link}", new.login);
    }
    Ok(true)
}

async fn list(context: &Context) -> Result<bool, Failure> {
    let officers = context.standing_store().await?.officers().await?;
    if context.json {
        println!("{}", json!({"officers": officers}));
        return Ok(true);
    }
    let mut rows = vec![["login", "name", "active", "may"].map(str::to_owned).to_vec()];
    for officer in officers {
        let grants: Vec<_> = officer.grants.0.iter().map(|g| format!("{}:{}", g.role.as_str(), g.place())).collect();
        let active = if officer.active { "yes" } else { "no" };
        // A line for each role, so that none is cut off.
        let mut first = Some((cut(officer.login.as_str(), 20), cut(&officer.name, 18), active.to_owned()));
        for grant in grants.iter().map(String::as_str).chain(grants.is_empty().then_some("-")) {
            let (login, name, active) = first.take().unwrap_or_default();
            rows.push(vec![login, name, active, grant.to_owned()]);
        }
    }
    print!("{}", table(&rows));
    Ok(true)
}
