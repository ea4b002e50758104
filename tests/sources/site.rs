//! A web server that does exactly what a test tells it to, however wrong.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is behind a path.
#[derive(Clone)]
pub enum Page {
    /// A whole answer; with an ETag, 304 to whoever names it.
    Ok { body: Vec<u8>, etag: Option<String> },
    /// A whole answer with the time of its last change and no ETag; 304 to whoever names that time.
    Dated { body: Vec<u8>, modified: &'static str },
    /// So many answers, and another page from then on.
    Times(usize, Vec<u8>, Box<Page>),
    /// These bytes, and the connection ends.
    Raw(Vec<u8>),
    /// An answer that never ends, as fast as it is read.
    Endless,
    /// An answer that never ends, a byte now and then.
    Drip,
    /// A connection that is never answered.
    Silent,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub head: String,
    pub status: u16,
}

/// The server. It ends with its test.
#[derive(Clone)]
pub struct Site {
    pub addr: SocketAddr,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Site {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self { addr: listener.local_addr().unwrap(), pages: Arc::default(), log: Arc::default() };
        let own = site.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                // Whoever hangs up first is as good.
                tokio::spawn(async move { drop(own.answer(stream).await) });
            }
        });
        site
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// A page with an ETag made of its content.
    pub fn show(&self, path: &str, body: impl Into<Vec<u8>>) {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let body = body.into();
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        self.put(path, Page::Ok { body, etag: Some(format!("\"{:x}\"", hasher.finish())) });
    }

    pub fn redirect(&self, path: &str, to: &str) {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        self.put(path, Page::Raw(head.into_bytes()));
    }

    pub fn fail(&self, path: &str, status: u16) {
        self.put(path, failing(status));
    }

    /// So many answers, and none from then on.
    pub fn show_times(&self, path: &str, times: usize, body: String) {
        self.put(path, Page::Times(times, body.into_bytes(), Box::new(failing(500))));
    }

    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.log.lock().unwrap().iter().filter(|request| request.path == path).cloned().collect()
    }

    /// Waits for so many more requests for a path.
    pub async fn asked(&self, path: &str, more: usize) {
        let before = self.requests(path).len();
        for _ in 0..1_200 {
            if self.requests(path).len() >= before + more {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} was not asked for {more} more times");
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let whole = |body| Page::Ok { body, etag: None };
        let page = match self.pages.lock().unwrap().get_mut(&path) {
            Some(page) => match page.clone() {
                Page::Times(left, body, then) => {
                    *page = if left > 1 { Page::Times(left - 1, body.clone(), then) } else { *then };
                    Some(whole(body))
                }
                other => Some(other),
            },
            None => None,
        };
        let status = match &page {
            Some(Page::Ok { etag: Some(etag), .. }) if head.contains(&format!("if-none-match: {etag}\r\n")) => 304,
            Some(Page::Dated { modified, .. }) if head.contains(&format!("if-modified-since: {modified}\r\n")) => 304,
            Some(Page::Raw(bytes)) => {
                String::from_utf8_lossy(bytes.get(9..12).unwrap_or_default()).parse().unwrap_or(0)
            }
            Some(_) => 200,
            None => 404,
        };
        self.log.lock().unwrap().push(Request { path, head, status });
        let length = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ";
        match page {
            _ if status == 304 => stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n").await?,
            Some(Page::Ok { body, etag }) => {
                let etag = etag.map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
                stream.write_all(format!("{length}{}\r\n{etag}\r\n", body.len()).as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Some(Page::Dated { body, modified }) => {
                let head = format!("{length}{}\r\nLast-Modified: {modified}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Some(Page::Raw(bytes)) => stream.write_all(&bytes).await?,
            Some(Page::Times(..)) => {}
            Some(Page::Endless) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<feed>").await?;
                loop {
                    stream.write_all(&[b' '; 65_536]).await?;
                }
            }
            Some(Page::Drip) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<feed>").await?;
                loop {
                    stream.write_all(b" ").await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Some(Page::Silent) => std::future::pending().await,
            None => {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?
            }
        }
        stream.shutdown().await
    }
}

fn failing(status: u16) -> Page {
    Page::Raw(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes())
}

/// A feed source of this site, asked every second.
pub fn source(site: &Site, name: &str, more: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nkind = \"feed\"\nbureau = \"shanghai\"\nurl = \"{}\"\nevery_seconds = 1\nprivate = [\"{}\"]\n{more}\n",
        site.url(&format!("/{name}")),
        site.addr
    )
}

/// An Atom feed of entries: key, time, and what else is in each.
pub fn atom(entries: &[(&str, &str, String)]) -> String {
    let entry = |(key, updated, inside): &(&str, &str, String)| {
        format!("<entry><id>{key}</id><title>{key}</title><updated>{updated}</updated>{inside}</entry>\n")
    };
    let entries: String = entries.iter().map(entry).collect();
    format!(
        "<?xml version=\"1.0\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>f</id><title>f</title>\n{entries}</feed>\n"
    )
}

/// A link to an alert.
pub fn link(path: &str) -> String {
    format!("<link href=\"{path}\" type=\"application/cap+xml\"/>")
}

/// An alert in the entry itself.
pub fn inline(xml: &str) -> String {
    let body = xml.split_once("?>").map_or(xml, |(_, body)| body);
    format!("<content type=\"text/xml\">{body}</content>")
}

/// A moment for feeds.
pub const DAY: &str = "2026-01-01T00:00:00Z";
