//! How commands speak with a running server.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Context;
use crate::config::ServerConfig;
use crate::show::Failure;

/// Which server, and as whom.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// The server; the one of the configuration where left out.
    #[arg(long, value_name = "URL", value_parser = address)]
    server: Option<String>,
    /// File that holds the token, alone: a bureau's to submit, an officer's for all else; TOCSIN_TOKEN where left out.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

/// A server's address as it is typed. Whether the token goes in the clear is the caller's to say.
fn address(text: &str) -> Result<String, &'static str> {
    let web = reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if web { Ok(text.to_owned()) } else { Err("it begins with http:// or https://, as in http://127.0.0.1:8460") }
}

/// The token that a text holds, where nothing but white space stands around it.
fn alone(text: &str) -> Option<&str> {
    // Some editors begin a file with this mark.
    let token = text.trim_start_matches('\u{feff}').trim();
    let fits = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\''));
    fits.then_some(token)
}

/// What a server answered.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) well: bool,
    pub(crate) body: Value,
}

impl Answer {
    /// One of the answers to a list.
    pub(crate) fn part(body: &Value) -> Self {
        let status = body.get("status").and_then(Value::as_u64);
        Self { well: status.is_some_and(|status| (200..300).contains(&status)), body: body.clone() }
    }

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
    /// The token, where what holds it holds nothing else: a comment or a second line cannot be sent along.
    fn token(&self) -> Result<String, Failure> {
        let (held, place) = match &self.token_file {
            Some(path) => {
                let held = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
                (held, path.display().to_string())
            }
            None => {
                let held =
                    std::env::var_os("TOCSIN_TOKEN").ok_or("no token: name --token-file, or set TOCSIN_TOKEN")?;
                (held.into_encoded_bytes(), "TOCSIN_TOKEN".to_owned())
            }
        };
        let token = std::str::from_utf8(&held).ok().and_then(alone).map(str::to_owned);
        Ok(token.ok_or_else(|| {
            format!(
                "{place} 里应只有令牌本身：一行，不加引号、注释或其他文字 / \
                 {place} has to hold the token alone: one line, without quotes, comments or anything else"
            )
        })?)
    }

    /// Asks for what stands at a path.
    pub(crate) async fn get(&self, context: &Context, path: &str) -> Result<Answer, Failure> {
        self.send(context, (reqwest::Method::GET, path), "application/json", Vec::new()).await
    }

    /// Posts to a path.
    pub(crate) async fn post(
        &self,
        context: &Context,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        self.send(context, (reqwest::Method::POST, path), kind, body).await
    }

    async fn send(
        &self,
        context: &Context,
        (method, path): (reqwest::Method, &str),
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let token = self.token()?;
        let server = match &self.server {
            Some(server) => server.clone(),
            None => own(&context.config()?.server),
        };
        let url = format!("{}{path}", server.trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let request = client.request(method, &url).header("content-type", kind).bearer_auth(token).body(body);
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

/// Where the server of a configuration is reached on its own machine. Its certificate is for the name that others know it by.
fn own(server: &ServerConfig) -> String {
    if let (Some(_), Some(url)) = (&server.tls, &server.public_url) {
        return url.clone();
    }
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    let mut at = server.listen;
    if at.ip().is_unspecified() {
        at.set_ip(if at.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    format!("{scheme}://{at}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_token_stands_alone() {
        for (text, token) in [
            ("tocsin_a-B_9", Some("tocsin_a-B_9")),
            ("\u{feff} \t tocsin_a\r\n\r\n", Some("tocsin_a")),
            ("tocsin_a\n# of the port", None),
            ("tocsin_a # of the port", None),
            ("tocsin_a\ntocsin_b", None),
            ("\"tocsin_a\"", None),
            ("令牌", None),
            ("tocsin_\u{0}", None),
            (" \r\n", None),
        ] {
            assert_eq!(alone(text), token, "{text:?}");
        }
    }

    #[test]
    fn the_server_is_that_of_the_configuration_where_none_is_named() {
        for (server, url) in [
            ("", "http://127.0.0.1:8460"),
            ("listen = \"0.0.0.0:80\"", "http://127.0.0.1:80"),
            ("listen = \"[::]:81\"", "http://[::1]:81"),
            ("listen = \"10.0.0.1:80\"\npublic_url = \"https://warn.example\"", "http://10.0.0.1:80"),
            (
                "public_url = \"https://warn.example\"\ntls = { certificate = \"c\", key = \"k\" }",
                "https://warn.example",
            ),
        ] {
            let config = Config::parse(&format!("[server]\n{server}\n"), "config.toml").unwrap();
            assert_eq!(own(&config.server), url);
        }
    }
}
