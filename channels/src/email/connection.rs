//! One SMTP connection: command by command, so that it is known how far a mail got.

use std::error::Error as _;
use std::sync::Arc;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::Tls;
use super::relay::Relay;
use crate::{Answer, Class};

/// A connection to a relay.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    relay: Arc<Relay>,
    reused: bool,
}

/// How a mail ended.
pub(super) enum Sent {
    /// The relay answered.
    Answered { class: Class, detail: String, usable: bool },
    /// The connection broke before the mail's end was sent: nothing was taken.
    LostBefore(String),
    /// It broke after: nobody knows.
    LostAfter(String),
}

/// What the relay said to one command.
enum Reply {
    Good,
    Bad { code: u16, text: String },
    Lost(String),
}

impl Connection {
    /// Connects, protects the connection and signs in.
    pub(super) async fn open(relay: &Arc<Relay>) -> Result<Self, Answer> {
        match timeout(relay.connect_timeout, Self::dial(relay)).await {
            Ok(result) => result,
            Err(_) => Err(Answer::new(Class::Transient, "the relay does not answer in time")),
        }
    }

    async fn dial(relay: &Arc<Relay>) -> Result<Self, Answer> {
        let down = |e: &dyn std::fmt::Display| Answer::new(Class::Transient, e.to_string());
        let socket = TcpStream::connect((relay.host.as_str(), relay.port)).await.map_err(|e| down(&e))?;
        // Without it each command waits 40 ms for an acknowledgement.
        socket.set_nodelay(true).map_err(|e| down(&e))?;
        let refused = |e: Error| relay.refusal(&e);
        let stream: Box<dyn AsyncTokioStream> = match &relay.implicit {
            Some(tls) => super::tls::wrap(socket, &relay.host, tls).await.map_err(|e| down(&e))?,
            None => Box::new(socket),
        };
        let mut smtp = AsyncSmtpConnection::connect_with_transport(stream, &relay.hello).await.map_err(refused)?;
        if let Some(parameters) = &relay.parameters {
            if smtp.can_starttls() {
                smtp.starttls(parameters.clone(), &relay.hello).await.map_err(refused)?;
            } else if relay.tls == Tls::Required {
                return Err(Answer::new(Class::Policy, "the relay offers no STARTTLS, and config requires it"));
            }
        }
        if let Some(credentials) = &relay.credentials {
            smtp.auth(DEFAULT_MECHANISMS, credentials).await.map_err(refused)?;
        }
        Ok(Self { smtp, relay: Arc::clone(relay), reused: false })
    }

    pub(super) fn reused(mut self) -> Self {
        self.reused = true;
        self
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Hands one mail to the relay.
    pub(super) async fn send(&mut self, from: &Address, to: &Address, mail: &[u8]) -> Sent {
        let limit = self.relay.send_timeout;
        let mut handed_over = false;
        let sent = match timeout(limit, self.exchange(from, to, mail, &mut handed_over)).await {
            Ok(sent) => sent,
            Err(_) if handed_over => Sent::LostAfter("the relay took the mail and did not answer in time".into()),
            Err(_) => Sent::LostBefore("the relay did not answer in time".into()),
        };
        self.reused = false;
        sent
    }

    async fn exchange(&mut self, from: &Address, to: &Address, mail: &[u8], handed_over: &mut bool) -> Sent {
        match self.command(Mail::new(Some(from.clone()), Vec::new())).await {
            Reply::Good => {}
            other => return self.ended(other).await,
        }
        match self.command(Rcpt::new(to.clone(), Vec::new())).await {
            Reply::Good => {}
            other => return self.ended(other).await,
        }
        match self.command(Data).await {
            Reply::Good => {}
            other => return self.ended(other).await,
        }
        *handed_over = true;
        match self.smtp.message(mail).await {
            Ok(_) => Sent::Answered { class: Class::Accepted, detail: String::new(), usable: true },
            Err(error) => match reply(&error) {
                Reply::Lost(what) => Sent::LostAfter(what),
                other => self.ended(other).await,
            },
        }
    }

    async fn command<C: std::fmt::Display>(&mut self, command: C) -> Reply {
        self.smtp.command(command).await.map_or_else(|error| reply(&error), |_| Reply::Good)
    }

    /// Reads a refusal, and takes the mail back so that the connection can be used for the next.
    async fn ended(&mut self, bad: Reply) -> Sent {
        match bad {
            Reply::Lost(what) => Sent::LostBefore(what),
            Reply::Good => Sent::Answered { class: Class::Accepted, detail: String::new(), usable: true },
            Reply::Bad { code, text } => {
                let class = self.relay.answers.class(code, &text);
                // 421: the relay closes the connection (RFC 5321 section 3.8).
                let usable = code != 421 && matches!(self.command(Rset).await, Reply::Good);
                Sent::Answered { class, detail: format!("{code} {text}"), usable }
            }
        }
    }

    pub(super) async fn quit(mut self) {
        // The relay may be gone already; we are leaving either way.
        let _ = timeout(self.relay.connect_timeout, self.smtp.quit()).await;
    }
}

impl Relay {
    /// What a refusal while connecting means for everyone who waits for it.
    fn refusal(&self, error: &Error) -> Answer {
        match reply(error) {
            Reply::Bad { code, text } => {
                let class = match self.answers.class(code, &text) {
                    // Nobody's address was named yet.
                    Class::BadAddress | Class::Content | Class::Accepted => Class::Policy,
                    class => class,
                };
                Answer::new(class, format!("{code} {text}"))
            }
            Reply::Lost(what) if error.is_client() => Answer::new(Class::Policy, what),
            Reply::Lost(what) => Answer::new(Class::Transient, what),
            Reply::Good => Answer::new(Class::Transient, "no answer"),
        }
    }
}

fn reply(error: &Error) -> Reply {
    let text = error.source().map(ToString::to_string).unwrap_or_else(|| error.to_string());
    match error.status() {
        Some(code) => Reply::Bad { code: code.into(), text },
        None => Reply::Lost(text),
    }
}
