//! `tocsin token` and `keys`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;
use tocsin_channels::push;

use super::Context;
use crate::show::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a VAPID key for web push
    Push {
        /// Where to write it; it must not be there yet.
        file: PathBuf,
    },
    /// Make the secret that signs leave links
    Leave {
        /// Where to write it; it must not be there yet.
        file: PathBuf,
    },
}

/// Makes a token and its hash.
pub(crate) fn token(context: &Context) -> Result<bool, Failure> {
    let token = format!("tocsin_{}", URL_SAFE_NO_PAD.encode(random()?));
    let hash = crate::hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
    if context.json {
        println!("{}", json!({"token": token, "token_sha256": hash}));
    } else {
        println!("token, for the bureau (shown once):\n  {token}\n\nfor config.toml:\n  token_sha256 = \"{hash}\"");
    }
    Ok(true)
}

pub(crate) fn run(context: &Context, command: Command) -> Result<bool, Failure> {
    let (file, bytes) = match command {
        Command::Push { file } => (file, push::generate_key()?),
        Command::Leave { file } => (file, random()?.to_vec()),
    };
    crate::officers::write_secret(&file, &bytes)?;
    if context.json {
        println!("{}", json!({"file": file.display().to_string()}));
    } else {
        println!("written to {}, readable by you alone", file.display());
    }
    Ok(true)
}

fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no randomness to give")?;
    Ok(bytes)
}
