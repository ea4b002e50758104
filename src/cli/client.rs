//! How commands speak with a running server.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::show::Failure;

/// Which server, and as whom.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8460")]
    server: String,
    /// File that holds the token, alone; TOCSIN_TOKEN where left out.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) well: bool,
    pub(crate) body: Value,
}

impl Answer {
    /// A member that is a text; empty where it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Why it was refused: the code, and a sentence in both languages.
    pub(crate) fn refusal(&self) -> String {
        let head = format!("{} {}", self.text("code"), self.text("detail"));
        let (zh, en) = (self.text("zh"), self.text("en"));
        if zh == en { format!("{}\n{en}", head.trim_end()) } else { format!("{}\n{zh}\n{en}", head.trim_end()) }
    }
}

impl Server {
    /// Asks for what stands at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(reqwest::Method::GET, path, "application/json", Vec::new()).await
    }

    /// Posts to a path.
    pub(crate) async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        self.send(reqwest::Method::POST, path, kind, body).await
    }

    async fn send(&self, method: reqwest::Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        let token = match &self.token_file {
            Some(path) => std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?,
            None => std::env::var("TOCSIN_TOKEN").map_err(|_| "no token: name --token-file, or set TOCSIN_TOKEN")?,
        };
        let url = format!("{}{path}", self.server.trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let request = client.request(method, &url).header("content-type", kind).bearer_auth(token.trim()).body(body);
        let response = request
            .send()
            .await
            .map_err(|e| format!("{url} does not answer: {e}; is `tocsin serve` running there?"))?;
        let status = response.status();
        let body = serde_json::from_slice(&response.bytes().await?)
            .map_err(|_| format!("{url} answers {status}, and not as a Tocsin server does"))?;
        Ok(Answer { well: status.is_success(), body })
    }
}
