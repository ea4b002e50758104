//! One document over HTTP, from somebody who may be slow, lying or hostile.
//!
//! The whole answer has a time and a size, compressed and not; redirects are few; no address of a private network is connected to,
//! however it is named, at any step.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use tocsin_channels::public::{AllowList, LEADS_INSIDE, is_public};

use super::problem::{Problem, ProblemCode};

const MAX_REDIRECTS: usize = 5;
const MIB: usize = 1024 * 1024;

/// What one answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// All of it, redirects too.
    pub time: Duration,
    /// Bytes, as sent and as unpacked.
    pub mib: usize,
}

/// What an earlier answer said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) etag: Option<String>,
    pub(super) modified: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(super) enum Fetched {
    /// 304: as before.
    Same,
    /// 200, whole.
    New {
        /// The body, unpacked.
        body: Vec<u8>,
        /// What to say the next time.
        marks: Marks,
        /// Where it came from in the end; links in it are relative to this.
        at: Url,
    },
}

/// A client of one source.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    client: Client,
    private: AllowList,
}

impl Fetcher {
    /// A client; `private` names the private addresses that are open to it.
    pub(super) fn new(private: &[String], ca_file: Option<&Path>) -> Result<Self, Problem> {
        let bad = |why: &dyn std::fmt::Display| Problem::new(ProblemCode::Setup, why);
        let tls = tocsin_channels::tls::client_config(ca_file).map_err(|e| bad(&e))?;
        let client = Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")));
        let private = AllowList::new(private).map_err(|entry| bad(&format!("private: {entry}")))?;
        let client = client.dns_resolver(std::sync::Arc::new(private.clone()));
        Ok(Self { client: client.build().map_err(|e| bad(&e))?, private })
    }

    /// Asks for a document; with marks, only for what is newer.
    pub(super) async fn fetch(
        &self,
        url: &Url,
        marks: Option<&Marks>,
        limits: FetchLimits,
    ) -> Result<Fetched, Problem> {
        let whole = tokio::time::timeout(limits.time, self.follow(url, marks, limits.mib * MIB));
        match whole.await {
            Ok(fetched) => fetched,
            Err(_) => Err(Problem::new(ProblemCode::TooSlow, limits.time.as_secs())),
        }
    }

    async fn follow(&self, url: &Url, marks: Option<&Marks>, limit: usize) -> Result<Fetched, Problem> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.check(&at)?;
            let mut request = self.client.get(at.clone()).header(header::ACCEPT_ENCODING, "gzip");
            request = request.header(
                header::ACCEPT,
                "application/cap+xml, application/atom+xml, application/rss+xml, application/json;q=0.9, */*;q=0.5",
            );
            for (name, value) in marks
                .into_iter()
                .flat_map(|marks| [(header::IF_NONE_MATCH, &marks.etag), (header::IF_MODIFIED_SINCE, &marks.modified)])
            {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED && marks.is_some() {
                return Ok(Fetched::Same);
            }
            if status.is_redirection() {
                at = target(&at, &response)?;
                continue;
            }
            if status != StatusCode::OK {
                let wait = text(&response, &header::RETRY_AFTER);
                let wait = wait.and_then(|text| tocsin_channels::pause_of(&text, std::time::SystemTime::now()));
                let wait = wait.map(|pause| pause.as_secs());
                return Err(Problem { wait, ..Problem::new(ProblemCode::Status, status.as_u16()) });
            }
            return read(response, at, limit).await;
        }
        Err(Problem::new(ProblemCode::Redirects, MAX_REDIRECTS))
    }

    /// Checks a URL before a connection. Names are checked when they are looked up.
    fn check(&self, url: &Url) -> Result<(), Problem> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Problem::new(ProblemCode::Forbidden, format!("{}:", url.scheme())));
        }
        let Some(host) = url.host_str() else { return Err(Problem::new(ProblemCode::BadLink, url)) };
        let port = url.port_or_known_default().unwrap_or(0);
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        match literal {
            Some(ip) if !is_public(ip) && !self.private.names(ip, port) => {
                Err(Problem::new(ProblemCode::Forbidden, host))
            }
            _ => Ok(()),
        }
    }
}

/// Where a redirect leads. From https to http is no way.
fn target(at: &Url, response: &Response) -> Result<Url, Problem> {
    let bad = || Problem::new(ProblemCode::BadLink, format!("{} Location", response.status().as_u16()));
    let place = text(response, &header::LOCATION).ok_or_else(bad)?;
    let next = at.join(&place).map_err(|_| bad())?;
    if at.scheme() == "https" && next.scheme() == "http" {
        return Err(Problem::new(ProblemCode::Forbidden, "https → http"));
    }
    Ok(next)
}

async fn read(mut response: Response, at: Url, limit: usize) -> Result<Fetched, Problem> {
    let too_large = || Problem::new(ProblemCode::TooLarge, limit / MIB);
    let marks = Marks { etag: text(&response, &header::ETAG), modified: text(&response, &header::LAST_MODIFIED) };
    let coding = text(&response, &header::CONTENT_ENCODING).map(|coding| coding.trim().to_ascii_lowercase());
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Problem::new(ProblemCode::Broken, cause(&e)))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let body = match coding.as_deref() {
        None | Some("" | "identity") => body,
        Some("gzip" | "x-gzip") => unpack(&body, limit)?,
        Some(other) => return Err(Problem::new(ProblemCode::Broken, format!("Content-Encoding: {other}"))),
    };
    Ok(Fetched::New { body, marks, at })
}

/// Unpacks gzip, no further than the limit.
pub(super) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed).take(limit as u64 + 1);
    reader.read_to_end(&mut body).map_err(|e| Problem::new(ProblemCode::Broken, format!("gzip: {e}")))?;
    if body.len() > limit {
        return Err(Problem::new(ProblemCode::TooLarge, limit / MIB));
    }
    Ok(body)
}

fn text(response: &Response, name: &header::HeaderName) -> Option<String> {
    // What we say back must be a header again: short, and of plain characters.
    let text = response.headers().get(name)?.to_str().ok()?;
    (text.len() <= 1_024).then(|| text.to_owned())
}

fn unreachable(error: &reqwest::Error) -> Problem {
    let why = cause(error);
    let code = if why == LEADS_INSIDE { ProblemCode::Forbidden } else { ProblemCode::Unreachable };
    Problem::new(code, why)
}

/// The innermost cause: what a person can do something about.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_closed_however_they_are_written() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (closed, open) =
            (Fetcher::new(&[], None).unwrap(), Fetcher::new(&["0.0.0.0/0".into(), "::/0".into()], None).unwrap());
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://192.168.0.1:8080/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "http://0.0.0.0/",
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(closed.check(&url).unwrap_err().code, ProblemCode::Forbidden, "{url}");
            assert!(open.check(&url).is_ok(), "{url}");
        }
        for url in ["file:///etc/passwd", "ftp://example.org/", "gopher://8.8.8.8/"] {
            assert!(open.check(&url.parse().unwrap()).is_err(), "{url}");
        }
        assert!(closed.check(&"http://93.184.216.34:8080/feed".parse().unwrap()).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let limits = FetchLimits { time: Duration::from_secs(10), mib: 1 };
        let (fetcher, url) = (Fetcher::new(&[], None).unwrap(), "http://localhost:1/".parse().unwrap());
        assert_eq!(fetcher.fetch(&url, None, limits).await.unwrap_err().code, ProblemCode::Forbidden);
    }

    #[test]
    fn compressed_bodies_are_whole_and_bounded_or_refused() {
        use std::io::Write as _;
        let pack = |bytes: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let packed = pack(b"abc");
        assert_eq!(unpack(&packed, MIB).unwrap(), b"abc");
        for at in 0..packed.len() - 1 {
            assert_eq!(unpack(&packed[..at], MIB).unwrap_err().code, ProblemCode::Broken, "cut at {at}");
        }
        let bomb = pack(&vec![b' '; 50 * MIB]);
        assert!(bomb.len() < MIB);
        assert_eq!(unpack(&bomb, MIB).unwrap_err().code, ProblemCode::TooLarge);
    }
}
