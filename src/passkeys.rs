//! Passkeys: what a browser is asked, and whether its answer holds. Questions are kept here, each for one answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use webauthn_rs::prelude::{
    AuthenticationResult, CreationChallengeResponse, DiscoverableAuthentication, Passkey, PasskeyAuthentication,
    PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse, Uuid, Webauthn,
    WebauthnBuilder, WebauthnError,
};

use crate::officers::{OfficerId, SecretError, random_token};
use crate::store::OfficerRow;

/// A question waits so long for its answer.
const WAITS: TimeDelta = TimeDelta::minutes(5);
/// So many questions wait at most; the oldest are forgotten first.
const QUESTIONS: usize = 1_000;

/// Why a passkey is not taken. People are told one thing only; the log says which.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The question was answered, is too old, or was another's.
    #[error("there is no such question")]
    Question,
    /// No such passkey, or it is another's.
    #[error("there is no such passkey")]
    Unknown,
    /// The answer.
    #[error("{0}")]
    Answer(#[from] WebauthnError),
    /// No randomness.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

enum Question {
    Register(OfficerId, PasskeyRegistration),
    Prove(OfficerId, PasskeyAuthentication),
    SignIn(DiscoverableAuthentication),
}

/// Asks browsers for passkeys.
pub struct Passkeys {
    webauthn: Webauthn,
    questions: Mutex<HashMap<String, (DateTime<Utc>, Question)>>,
}

impl Passkeys {
    /// For the site that people reach at this address; None where it has no name, because passkeys are bound to one.
    pub fn new(public_url: Option<&str>) -> Option<Self> {
        let origin: Url = public_url?.parse().ok()?;
        let webauthn = WebauthnBuilder::new(origin.domain()?, &origin).ok()?.rp_name("Tocsin").build().ok()?;
        Some(Self { webauthn, questions: Mutex::default() })
    }

    /// Asks for a new passkey.
    pub(crate) fn register(
        &self,
        officer: &OfficerRow,
        own: &[Passkey],
        now: DateTime<Utc>,
    ) -> Result<(String, CreationChallengeResponse), PasskeyError> {
        let known = own.iter().map(|key| key.cred_id().clone()).collect();
        let (login, name) = (officer.login.as_str(), officer.name.as_str());
        let (options, state) = self.webauthn.start_passkey_registration(handle(officer), login, name, Some(known))?;
        Ok((self.keep(Question::Register(officer.id, state), now)?, options))
    }

    /// The new passkey.
    pub(crate) fn registered(
        &self,
        ticket: &str,
        officer: &OfficerRow,
        answer: &RegisterPublicKeyCredential,
        now: DateTime<Utc>,
    ) -> Result<Passkey, PasskeyError> {
        match self.take(ticket, now)? {
            Question::Register(of, state) if of == officer.id => {
                Ok(self.webauthn.finish_passkey_registration(answer, &state)?)
            }
            _ => Err(PasskeyError::Question),
        }
    }

    /// Asks an officer to prove to be there.
    pub(crate) fn prove(
        &self,
        officer: &OfficerRow,
        own: &[Passkey],
        now: DateTime<Utc>,
    ) -> Result<(String, RequestChallengeResponse), PasskeyError> {
        let (options, state) = self.webauthn.start_passkey_authentication(own)?;
        Ok((self.keep(Question::Prove(officer.id, state), now)?, options))
    }

    /// Whether they did. The passkeys are those of now: one that was removed since proves nothing.
    pub(crate) fn proved(
        &self,
        ticket: &str,
        officer: &OfficerRow,
        answer: &PublicKeyCredential,
        now: DateTime<Utc>,
    ) -> Result<AuthenticationResult, PasskeyError> {
        match self.take(ticket, now)? {
            Question::Prove(of, state) if of == officer.id => {
                Ok(self.webauthn.finish_passkey_authentication(answer, &state)?)
            }
            _ => Err(PasskeyError::Question),
        }
    }

    /// Asks whoever is there who they are: nobody learns which officers there are.
    pub(crate) fn sign_in(&self, now: DateTime<Utc>) -> Result<(String, RequestChallengeResponse), PasskeyError> {
        let (options, state) = self.webauthn.start_discoverable_authentication()?;
        Ok((self.keep(Question::SignIn(state), now)?, options))
    }

    /// Whether the officer signed in with this passkey of theirs.
    pub(crate) fn signed_in(
        &self,
        ticket: &str,
        (officer, passkey): (&OfficerRow, &Passkey),
        answer: &PublicKeyCredential,
        now: DateTime<Utc>,
    ) -> Result<AuthenticationResult, PasskeyError> {
        let Question::SignIn(state) = self.take(ticket, now)? else { return Err(PasskeyError::Question) };
        let (who, _) = self.webauthn.identify_discoverable_authentication(answer)?;
        if who != handle(officer) {
            return Err(PasskeyError::Unknown);
        }
        Ok(self.webauthn.finish_discoverable_authentication_v2(answer, state, passkey)?)
    }

    fn keep(&self, question: Question, now: DateTime<Utc>) -> Result<String, PasskeyError> {
        let ticket = random_token()?;
        let mut open = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (at, _)| now - *at <= WAITS);
        while open.len() >= QUESTIONS {
            let Some(oldest) = open.iter().min_by_key(|(_, (at, _))| *at).map(|(ticket, _)| ticket.clone()) else {
                break;
            };
            open.remove(&oldest);
        }
        open.insert(ticket.clone(), (now, question));
        Ok(ticket)
    }

    fn take(&self, ticket: &str, now: DateTime<Utc>) -> Result<Question, PasskeyError> {
        let taken = self.questions.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket);
        taken.filter(|(at, _)| now - *at <= WAITS).map(|(_, question)| question).ok_or(PasskeyError::Question)
    }
}

/// A credential's id as it is kept.
pub(crate) fn credential_id(id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// What an authenticator knows an officer by: it tells nothing about them.
fn handle(officer: &OfficerRow) -> Uuid {
    let text = format!("officer {} {}", officer.id, officer.created_at.timestamp_millis());
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    Uuid::from_slice(digest.as_ref().get(..16).unwrap_or_default()).unwrap_or_default()
}
