//! E-mail through SMTP relays, by `lettre` over connections of our own with TCP_NODELAY.
//!
//! A window goes over one connection; the engine runs several windows at once. What is shared by a window is built once, and
//! only the personal headers are put before it.

mod answer;
mod config;
mod connection;
mod mime;
mod relay;
mod tls;

pub use answer::AnswerRule;
pub use config::{EmailConfig, EmailError, RelayConfig, Tls};
use lettre::Address;

use self::connection::{Connection, Sent};
use self::mime::{Mime, Shared};
use self::relay::Relays;
use crate::{Answer, Channel, ChannelKind, Class, Content, Message, Window};

/// The e-mail channel.
pub struct Email {
    relays: Relays,
    mime: Mime,
    from: Address,
}

impl Email {
    /// An adapter for these relays. Connects when there is something to send.
    ///
    /// # Errors
    /// When the configuration names what cannot be read or is no address.
    pub fn new(config: &EmailConfig) -> Result<Self, EmailError> {
        let from: lettre::message::Mailbox =
            config.from.parse().map_err(|e| EmailError::address("from", &config.from, e))?;
        Ok(Self { relays: Relays::new(config)?, mime: Mime::new(config, &from)?, from: from.email })
    }

    /// Sends one message, on the connection at hand or on a new one; the connection is left for the next if it is still good.
    async fn send_one(&self, line: &mut Option<Connection>, shared: &Shared, message: &Message) -> Answer {
        let Ok(to) = message.to.parse::<Address>() else {
            return Answer::new(Class::BadAddress, "not an e-mail address");
        };
        if !message.to.is_ascii() {
            return Answer::new(Class::BadAddress, "addresses beyond ASCII are not sent to");
        }
        let mail = self.mime.personal(shared, message);
        // A connection that idled may have been closed by the relay: nothing left us then, and one more try on a fresh one is right.
        for _ in 0..2 {
            let mut connection = match line.take() {
                Some(connection) => connection,
                None => match self.relays.connection().await {
                    Ok(connection) => connection,
                    Err(answer) => return answer,
                },
            };
            let stale = connection.is_reused();
            match connection.send(&self.from, &to, &mail).await {
                Sent::Answered { class, detail, usable } => {
                    if usable {
                        *line = Some(connection);
                    }
                    return match class {
                        Class::Accepted => Answer::ACCEPTED,
                        class => Answer::new(class, detail),
                    };
                }
                Sent::LostBefore(_) if stale => {}
                Sent::LostBefore(what) => return Answer::new(Class::Transient, what),
                Sent::LostAfter(what) => return Answer::new(Class::Ambiguous, what),
            }
        }
        Answer::new(Class::Transient, "the relay closes every connection")
    }
}

#[async_trait::async_trait]
impl Channel for Email {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let everyone = |answer: Answer| vec![answer; window.messages.len()];
        let Content::Email(content) = window.content else {
            return everyone(Answer::new(Class::Content, "not a mail"));
        };
        let shared = match self.mime.shared(content, window.language) {
            Ok(shared) => shared,
            Err(error) => return everyone(Answer::new(Class::Content, error.to_string())),
        };
        let mut line = self.relays.idle();
        let mut answers = Vec::with_capacity(window.messages.len());
        for message in window.messages {
            let answer = self.send_one(&mut line, &shared, message).await;
            let down = line.is_none() && answer.class == Class::Transient;
            answers.push(answer);
            if down {
                // No relay to be had: the rest need not try one after the other.
                let left = window.messages.len() - answers.len();
                answers.extend(std::iter::repeat_n(Answer::new(Class::Transient, "no relay can be reached"), left));
                break;
            }
        }
        if let Some(connection) = line {
            self.relays.put_back(connection);
        }
        answers
    }

    async fn close(&self) {
        self.relays.close().await;
    }
}
