//! Signing in, staying so, and proving to be there before a grave act.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Staff, StaffError, slowly};
use crate::officers::{Login, OfficerId, Totp, TotpError, random_token, token_digest, verify_password};
use crate::store::{
    Credentials, Entry, OfficerRow, StoreError, count_failure, end_old, end_session, end_sessions, fail_session,
    insert_session, prove_session, record, set_failures, use_totp_step,
};

/// A session that nobody uses ends after this.
pub const IDLE: TimeDelta = TimeDelta::minutes(15);
/// However busy, it ends after a watch.
const WATCH: TimeDelta = TimeDelta::hours(12);
/// A proof of presence holds so long.
const PROOF: TimeDelta = TimeDelta::minutes(5);
/// Failures before an account rests.
const FAILURES: i64 = 5;
/// The store is told of use at most this often.
const TOUCH: TimeDelta = TimeDelta::seconds(20);

/// What is asked at sign-in.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The login.
    pub login: String,
    /// The password.
    pub password: String,
    /// The authenticator's code.
    pub code: String,
}

/// Why somebody is not let in. It never says which part was wrong.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Login, password or code.
    #[error(
        "登录名、密码或动态码不正确，或多次失败后须稍候再试 / login, password or code is wrong, or there were too many failures: wait a while"
    )]
    Wrong,
    /// Too many failures.
    #[error("尝试过多，请于 {seconds} 秒后再试 / too many attempts; try again in {seconds} seconds")]
    Rests {
        /// For so long.
        seconds: i64,
    },
    /// Nobody is signed in any more.
    #[error("会话已结束，请重新登录 / the session is over; sign in again")]
    Over,
    /// Something else.
    #[error(transparent)]
    Staff(#[from] StaffError),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Staff(error.into())
    }
}

/// What an officer can prove themselves with here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Factors {
    /// An authenticator's code.
    pub code: bool,
    /// A passkey.
    pub passkey: bool,
}

impl Factors {
    /// Whether there is any.
    pub const fn any(self) -> bool {
        self.code || self.passkey
    }
}

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Password and code.
    Code,
    /// A passkey.
    #[cfg_attr(not(feature = "passkeys"), expect(dead_code, reason = "passkeys are a feature"))]
    Passkey,
    /// The organisation vouches for them.
    Organisation,
}

impl Way {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "password and code",
            Self::Passkey => "passkey",
            Self::Organisation => "organisation",
        }
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub officer: OfficerRow,
    /// What their forms must carry.
    pub csrf: String,
    /// Whether they proved to be there a moment ago.
    pub proved: bool,
    /// What they can prove it with.
    pub factors: Factors,
    /// When the session ends if nothing is done.
    pub until: DateTime<Utc>,
    pub(crate) digest: String,
}

impl Staff {
    /// Signs somebody in; gives the cookie's token.
    ///
    /// # Errors
    /// When anything is wrong, or the account rests.
    pub async fn sign_in(&self, ask: Ask) -> Result<String, SignInError> {
        let _turn = self.turn().await?;
        let now = self.clock.now();
        let officer = match ask.login.parse::<Login>() {
            Ok(login) => self.store.officer_by_login(&login).await?,
            Err(_) => None,
        };
        let credentials = match &officer {
            Some(officer) if officer.active => self.store.credentials(officer.id).await?,
            _ => None,
        };
        // An account that rests is answered as one that does not exist, after the same work.
        let resting = credentials.as_ref().is_some_and(|known| rests(known, now).is_err());
        let hash = credentials.as_ref().and_then(|known| known.password.clone());
        let password = ask.password;
        let right = slowly(move || verify_password(&password, hash.as_deref())).await?;
        let (Some(officer), Some(known)) = (officer, credentials) else {
            return Err(SignInError::Wrong);
        };
        if resting {
            return Err(SignInError::Wrong);
        }
        if !right {
            return Err(self.failed(&officer, "password").await?);
        }
        match self.take_code(&known, &ask.code, now).await {
            Ok(()) => {}
            Err(StaffError::Totp(why)) => {
                let why = if why == TotpError::Used { "code used" } else { "code" };
                return Err(self.failed(&officer, why).await?);
            }
            Err(other) => return Err(other.into()),
        }
        Ok(self.begin_session(&officer, Way::Code).await?)
    }

    /// Begins a session of somebody who has proved who they are, in this way. A provider may vouch for somebody who signed in there
    /// this morning: that is no proof of presence.
    pub(crate) async fn begin_session(&self, officer: &OfficerRow, way: Way) -> Result<String, StaffError> {
        let now = self.clock.now();
        let (token, csrf) = (random_token()?, random_token()?);
        let mut tx = self.store.begin().await?;
        end_old(&mut tx, now - WATCH, now).await?;
        set_failures(&mut tx, officer.id, 0, DateTime::UNIX_EPOCH).await?;
        let proved_at = if way == Way::Organisation { DateTime::UNIX_EPOCH } else { now };
        insert_session(&mut tx, &token_digest(&token), (officer.id, &csrf), now, proved_at).await?;
        let detail = json!({"how": way.as_str()});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "sign-in", &officer.login, detail));
        tx.commit().await?;
        Ok(token)
    }

    /// The session of a cookie, while it holds. `active`: the person did something, so the session lives on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn session(&self, token: &str, active: bool) -> Result<Option<Session>, StaffError> {
        let digest = token_digest(token);
        let now = self.clock.now();
        let Some(row) = self.store.session(&digest).await? else { return Ok(None) };
        if now - row.seen_at > IDLE || now - row.created_at > WATCH {
            return Ok(None);
        }
        let Some(officer) = self.store.officer(row.officer).await?.filter(|officer| officer.active) else {
            return Ok(None);
        };
        let mut seen = row.seen_at;
        if active && now - row.seen_at > TOUCH {
            self.store.touch_session(&digest, now).await?;
            seen = now;
        }
        let (code, passkey) = self.store.factors(officer.id).await?;
        let factors = Factors { code, passkey: passkey && cfg!(feature = "passkeys") };
        let until = (seen + IDLE).min(row.created_at + WATCH);
        Ok(Some(Session { officer, csrf: row.csrf, proved: now - row.proved_at <= PROOF, factors, until, digest }))
    }

    /// Signs out.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sign_out(&self, session: &Session) -> Result<(), StaffError> {
        let now = self.clock.now();
        let login = session.officer.login.as_str();
        let mut tx = self.store.begin().await?;
        end_session(&mut tx, &session.digest).await?;
        record(&mut tx, now, Entry::new(login, "sign-out", login, json!({})));
        Ok(tx.commit().await?)
    }

    /// Signs out wherever the officer of a session is signed in.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sign_out_everywhere(&self, session: &Session) -> Result<(), StaffError> {
        let now = self.clock.now();
        let login = session.officer.login.as_str();
        let mut tx = self.store.begin().await?;
        end_sessions(&mut tx, session.officer.id).await?;
        record(&mut tx, now, Entry::new(login, "sign-out", login, json!({"everywhere": true})));
        Ok(tx.commit().await?)
    }

    /// The organisation has just asked anew who this is. It counts for officers who have no factor of their own here: whoever has one
    /// uses it, so that a provider alone can sign nothing of theirs.
    pub(crate) async fn prove_by_organisation(&self, session: &Session) -> Result<(), StaffError> {
        if session.factors.any() {
            return Err(StaffError::OwnFactor);
        }
        Ok(self.proved(session, "organisation").await?)
    }

    /// Remembers that the officer of a session has proved to be there.
    pub(crate) async fn proved(&self, session: &Session, how: &'static str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let login = session.officer.login.as_str();
        let mut tx = self.store.begin().await?;
        prove_session(&mut tx, &session.digest, now).await?;
        record(&mut tx, now, Entry::new(login, "proof", login, json!({"how": how})));
        tx.commit().await
    }

    /// Proves that the officer of a session is there now, before a grave act: a recent proof, or a code.
    ///
    /// # Errors
    /// When neither is there.
    pub async fn prove(&self, session: &Session, code: &str) -> Result<(), SignInError> {
        if session.proved && code.trim().is_empty() {
            return Ok(());
        }
        if code.trim().is_empty() {
            return Err(SignInError::Wrong);
        }
        // Strangers who guess at the door make the account rest; that must not keep a signer who is inside from signing. Guesses
        // in here are counted by themselves, and end the session.
        let now = self.clock.now();
        let known = self.store.credentials(session.officer.id).await?.ok_or(SignInError::Wrong)?;
        match self.take_code(&known, code, now).await {
            Ok(()) => Ok(self.proved(session, "code").await?),
            Err(StaffError::Totp(TotpError::Wrong)) => Err(self.guessed(session).await?),
            Err(other) => Err(other.into()),
        }
    }

    /// Counts a wrong code in a session; the fifth ends it.
    async fn guessed(&self, session: &Session) -> Result<SignInError, StaffError> {
        let (now, login) = (self.clock.now(), session.officer.login.as_str());
        let mut tx = self.store.begin().await?;
        let failures = fail_session(&mut tx, &session.digest).await?;
        // A guess beside this one may have ended it already.
        let over = !(1..FAILURES).contains(&failures);
        if over {
            end_session(&mut tx, &session.digest).await?;
        }
        let detail = json!({"what": "code", "failures": failures});
        record(&mut tx, now, Entry::new(login, "proof.failed", login, detail));
        tx.commit().await?;
        Ok(if over { SignInError::Over } else { SignInError::Wrong })
    }

    /// Proves that an officer is there by a code alone, for programs.
    ///
    /// # Errors
    /// When the code is wrong or was used, or the account rests.
    pub async fn prove_officer(&self, officer: &OfficerRow, code: &str) -> Result<(), SignInError> {
        let _turn = self.turn().await?;
        let now = self.clock.now();
        let known = self.store.credentials(officer.id).await?.ok_or(SignInError::Wrong)?;
        rests(&known, now)?;
        match self.take_code(&known, code, now).await {
            Ok(()) => Ok(()),
            Err(StaffError::Totp(TotpError::Wrong)) => Err(self.failed(officer, "code").await?),
            Err(other) => Err(other.into()),
        }
    }

    /// The officer of a token for programs, if it may do this.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn officer_of_token(&self, token: &str, scope: &str) -> Result<Option<OfficerRow>, StaffError> {
        let Some(row) = self.store.api_token(&token_digest(token), self.clock.now()).await? else { return Ok(None) };
        if !row.scopes.split(' ').any(|own| own == scope) {
            return Ok(None);
        }
        Ok(self.store.officer(row.officer).await?.filter(|officer| officer.active))
    }

    async fn take_code(&self, known: &Credentials, code: &str, now: DateTime<Utc>) -> Result<(), StaffError> {
        let sealed = known.totp.as_ref().ok_or(TotpError::Wrong)?;
        let secret = self.key.open(sealed, &known.id.to_string())?;
        let totp = Totp::new(secret.try_into().map_err(|_| StaffError::Unknown)?);
        let step = totp.take(code, now, known.totp_step)?;
        let mut tx = self.store.begin().await?;
        // Two requests with one code: the first one has it.
        if !use_totp_step(&mut tx, known.id, step).await? {
            return Err(TotpError::Used.into());
        }
        Ok(tx.commit().await?)
    }

    /// Counts a failure; from the fifth on the account rests, twice as long each time, up to a quarter of an hour.
    async fn failed(&self, officer: &OfficerRow, what: &'static str) -> Result<SignInError, StaffError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let failures = count_failure(&mut tx, officer.id).await?;
        let rest = match failures - FAILURES {
            early if early < 0 => TimeDelta::zero(),
            late => TimeDelta::seconds(30 << late.min(5)).min(TimeDelta::minutes(15)),
        };
        set_failures(&mut tx, officer.id, failures, now + rest).await?;
        let detail = json!({"what": what, "failures": failures, "rests_seconds": rest.num_seconds()});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "sign-in.failed", &officer.login, detail));
        tx.commit().await?;
        Ok(SignInError::Wrong)
    }

    /// The officer whom the organisation's own sign-in names.
    pub(crate) async fn officer_of_subject(&self, subject: &str) -> Result<Option<OfficerRow>, StaffError> {
        Ok(self.store.officer_by_subject(subject).await?.filter(|officer| officer.active))
    }

    /// An officer by id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn officer(&self, id: OfficerId) -> Result<Option<OfficerRow>, StaffError> {
        Ok(self.store.officer(id).await?)
    }
}

fn rests(known: &Credentials, now: DateTime<Utc>) -> Result<(), SignInError> {
    if known.locked_until > now {
        return Err(SignInError::Rests { seconds: (known.locked_until - now).num_seconds() + 1 });
    }
    Ok(())
}
