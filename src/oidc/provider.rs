//! The provider: what it says of itself, where browsers are sent, and the code's trade for a token.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use form_urlencoded::{Serializer, byte_serialize};
use jsonwebtoken::jwk::JwkSet;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::token::is_key_missing;
use super::{AWAY, Answer, Errand, Expected, OrganisationError, Vouched, read};
use crate::delivery::constant_time_equal;
use crate::officers::{OfficerId, random_token};

/// What a provider may say at once.
const BODY: usize = 256 * 1024;
/// What it says of itself is believed so long.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// Its keys are asked for again at most so often.
const KEYS: Duration = Duration::from_secs(30);

/// The organisation's own sign-in: an OpenID Connect provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Its address; https, but on this machine.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// File that holds our secret there, alone; none for a public client.
    pub client_secret_file: Option<PathBuf>,
    /// What stands on the button.
    pub name: Option<String>,
    /// PEM file of a further certificate authority, for a provider of one's own.
    pub ca_file: Option<PathBuf>,
}

/// The organisation's own sign-in.
pub struct Organisation {
    /// What people know it as.
    pub name: Option<String>,
    issuer: String,
    client_id: String,
    secret: Option<String>,
    back: String,
    http: Client,
    known: tokio::sync::Mutex<Option<Known>>,
}

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Clone)]
struct Known {
    metadata: Metadata,
    keys: JwkSet,
    at: Instant,
}

#[derive(Deserialize)]
struct Traded {
    id_token: String,
}

impl Organisation {
    /// The provider that the configuration names; it is not asked yet, so that it may be down when we start.
    ///
    /// # Errors
    /// When an address is not protected, or a file cannot be read.
    pub fn new(config: &OidcConfig, public_url: Option<&str>) -> Result<Self, OrganisationError> {
        let bad = |why: String| OrganisationError::Config(why);
        let public = public_url
            .ok_or_else(|| bad("`public_url` under [server] is needed: the provider sends people back there".into()))?;
        protected(&config.issuer).map_err(bad)?;
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|e| OrganisationError::Config(format!("{}: {e}", path.display())))
        };
        let secret = match &config.client_secret_file {
            Some(path) => Some(String::from_utf8_lossy(&read(path)?).trim().to_owned()),
            None => None,
        };
        let mut http = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(path) = &config.ca_file {
            let authority = reqwest::Certificate::from_pem(&read(path)?).map_err(|e| bad(e.to_string()))?;
            http = http.tls_certs_merge([authority]);
        }
        Ok(Self {
            name: config.name.clone(),
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            secret,
            back: format!("{}/sign-in/organisation/back", public.trim_end_matches('/')),
            http: http.build().map_err(|e| bad(e.to_string()))?,
            known: tokio::sync::Mutex::new(None),
        })
    }

    /// A name at the provider, with the issuer before it: another provider's people of the same name are others.
    pub fn subject(&self, name: &str) -> String {
        format!("{} {}", self.issuer, name.trim())
    }

    /// Where a browser is sent, and what it carries. `again`: who has to prove anew to be there.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn send(
        &self,
        next: &str,
        again: Option<OfficerId>,
        now: DateTime<Utc>,
    ) -> Result<(String, Errand), OrganisationError> {
        let known = self.known(None).await?;
        let (state, nonce, verifier) = (random_token()?, random_token()?, random_token()?);
        let challenge = URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()));
        let mut url = protected(&known.metadata.authorization_endpoint).map_err(OrganisationError::Provider)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.back)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if again.is_some() {
            url.query_pairs_mut().append_pair("max_age", "0").append_pair("prompt", "login");
        }
        let errand = Errand { state, nonce, verifier, next: next.to_owned(), again, at: now };
        Ok((url.into(), errand))
    }

    /// Whom the provider vouches for, to the browser that carries this errand.
    ///
    /// # Errors
    /// When anything does not fit.
    pub async fn take(
        &self,
        errand: &Errand,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Vouched, OrganisationError> {
        if !constant_time_equal(errand.state.as_bytes(), answer.state.as_bytes()) {
            return Err(OrganisationError::Answer("another state"));
        }
        if now - errand.at > AWAY {
            return Err(OrganisationError::Answer("it came too late"));
        }
        if answer.iss.as_ref().is_some_and(|iss| *iss != self.issuer) {
            return Err(OrganisationError::Answer("another issuer"));
        }
        if let Some(error) = &answer.error {
            return Err(OrganisationError::Refused(error.chars().filter(|c| !c.is_control()).take(200).collect()));
        }
        let known = self.known(None).await?;
        let token = self.trade(&known.metadata, errand, &answer.code).await?;
        let known = if is_key_missing(&token, &known.keys) { self.known(Some(KEYS)).await? } else { known };
        let expected = Expected { issuer: &self.issuer, client_id: &self.client_id, nonce: &errand.nonce, now };
        let claims = read(&token, &known.keys, expected)?;
        let proved_at = claims.auth_time.and_then(|at| DateTime::from_timestamp(at, 0));
        Ok(Vouched { subject: self.subject(&claims.sub), proved_at })
    }

    async fn trade(&self, metadata: &Metadata, errand: &Errand, code: &str) -> Result<String, OrganisationError> {
        let url = protected(&metadata.token_endpoint).map_err(OrganisationError::Provider)?;
        let request = self.trade_request(self.http.post(url), metadata, errand, code);
        Ok(ask::<Traded>(request).await?.id_token)
    }

    fn trade_request(&self, mut post: RequestBuilder, to: &Metadata, errand: &Errand, code: &str) -> RequestBuilder {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.back)
            .append_pair("code_verifier", &errand.verifier);
        let methods = &to.token_endpoint_auth_methods_supported;
        let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        match &self.secret {
            Some(secret) if basic => {
                let coded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                post = post.basic_auth(coded(&self.client_id), Some(coded(secret)));
            }
            Some(secret) => {
                form.append_pair("client_id", &self.client_id).append_pair("client_secret", secret);
            }
            None => {
                form.append_pair("client_id", &self.client_id);
            }
        }
        post.header("content-type", "application/x-www-form-urlencoded").body(form.finish())
    }

    /// What the provider says of itself, at most so old.
    async fn known(&self, at_most: Option<Duration>) -> Result<Known, OrganisationError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < at_most.unwrap_or(BELIEVED)) {
            return Ok(known.clone());
        }
        let odd = |what: String| OrganisationError::Provider(what);
        let about = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let metadata: Metadata = ask(self.http.get(about)).await?;
        if metadata.issuer != self.issuer {
            return Err(odd(format!("it calls itself {}", metadata.issuer)));
        }
        let keys = ask(self.http.get(protected(&metadata.jwks_uri).map_err(odd)?)).await?;
        Ok(known.insert(Known { metadata, keys, at: Instant::now() }).clone())
    }
}

/// Asks, and reads a JSON answer that is not endless.
async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, OrganisationError> {
    let failed = |error: reqwest::Error| OrganisationError::Provider(error.to_string());
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > BODY {
            return Err(OrganisationError::Provider("its answer is too long".into()));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        #[derive(Deserialize)]
        struct Why {
            error: String,
        }
        let why = serde_json::from_slice::<Why>(&body).map_err(|_| OrganisationError::Provider(status.to_string()))?;
        return Err(OrganisationError::Refused(why.error.chars().filter(|c| !c.is_control()).take(200).collect()));
    }
    serde_json::from_slice(&body).map_err(|e| OrganisationError::Provider(e.to_string()))
}

/// An address that nobody on the way can read: https, or this machine.
fn protected(address: &str) -> Result<Url, String> {
    let url: Url = address.parse().map_err(|e| format!("{address} is no address: {e}"))?;
    let here = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && here) {
        return Ok(url);
    }
    Err(format!("{address} must begin with https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_on_the_way_reads_what_we_ask_the_provider() {
        assert!(protected("https://id.example.org").is_ok());
        assert!(protected("http://127.0.0.1:3000/").is_ok());
        assert!(protected("http://[::1]:3000").is_ok());
        for bad in
            ["http://id.example.org", "ftp://127.0.0.1", "http://127.0.0.1.evil.example", "http://10.0.0.1", "id"]
        {
            assert!(protected(bad).is_err(), "{bad}");
        }
    }
}
