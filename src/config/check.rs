//! What cannot be in a configuration, although each key and value of it is known.

use std::collections::BTreeSet;

use super::{BureauConfig, Config};
use crate::cap::SignaturePolicy;
use crate::sources::{SourceConfig, SourceTerms};

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_bureaus()?;
        self.check_outlets()?;
        if let Some(url) = self.server.public_url.as_ref().filter(|url| !is_web_address(url)) {
            return Err(format!(
                "server: `public_url` is `{url}`: it goes into links in messages, and begins with https://"
            ));
        }
        for (name, is_there) in [("devices", self.devices.is_some()), ("broker", self.broker.is_some())] {
            if is_there && self.channels.mqtt.is_none() {
                return Err(format!("{name}: needs [channels.mqtt]: that is the broker"));
            }
        }
        self.check_sources()?;
        let code = |code: &&String| !(1..=4).contains(&code.len()) || !code.bytes().all(|b| b.is_ascii_digit());
        if let Some(wrong) = self.residents.limits.countries.iter().find(code) {
            return Err(format!(
                "residents.limits: `countries` has `{wrong}`: a calling code is one to four digits, without +"
            ));
        }
        let schedule = self.housekeeping.schedule.parse::<cron::Schedule>();
        schedule.map(drop).map_err(|e| format!("housekeeping: `schedule` has six fields, seconds first: {e}"))
    }

    fn check_bureaus(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for bureau in &self.bureaus {
            if !names.insert(&bureau.name) {
                return Err(format!("two bureaus are named `{}`", bureau.name));
            }
            let asked = |terms: SourceTerms| {
                terms.bureau == bureau.name && terms.signature.is_some_and(|policy| policy != SignaturePolicy::Ignored)
            };
            bureau.check(self.sources.iter().filter_map(SourceConfig::terms).any(asked))?;
        }
        Ok(())
    }

    fn check_sources(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for source in &self.sources {
            source.check()?;
            if !names.insert(source.name()) {
                return Err(format!("two sources are named `{}`", source.name()));
            }
            let Some(bureau) = self.bureaus.iter().find(|bureau| bureau.name == source.bureau()) else {
                return Err(format!("source `{}`: there is no bureau `{}`", source.name(), source.bureau()));
            };
            let asks = source.terms().is_some_and(|terms| terms.of(bureau).signature != SignaturePolicy::Ignored);
            if asks && bureau.keys.is_empty() {
                return Err(format!(
                    "source `{}`: `signature` \"required\" or \"checked\" needs `keys` of the bureau `{}`",
                    source.name(),
                    bureau.name
                ));
            }
        }
        Ok(())
    }

    fn check_outlets(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for hook in &self.webhooks {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if hook.name.is_empty() || !hook.name.chars().all(plain) || !names.insert(&hook.name) {
                return Err(format!("webhook `{}`: names are letters, digits, - and _, and not used twice", hook.name));
            }
        }
        let sender = &self.publish.sender;
        if sender.is_empty() || sender.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '<' | '&')) {
            return Err(format!("publish: `sender` is `{sender}`: CAP allows no spaces, commas, < or & in it"));
        }
        if let Some(issuer) = &self.publish.issuer
            && (issuer.len() != 8 || !issuer.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(format!(
                "publish: `issuer` is `{issuer}`: class of agency, unit and extension are eight digits"
            ));
        }
        let Some(wis2) = &self.publish.wis2 else { return Ok(()) };
        if self.server.public_url.is_none() {
            return Err("publish.wis2: needs [server] public_url: notifications link to the messages".into());
        }
        if wis2.centre_id.is_empty()
            || !wis2.centre_id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(format!("publish.wis2: `centre_id` is `{}`: lower-case letters, digits and -", wis2.centre_id));
        }
        let same = self.channels.mqtt.as_ref().is_some_and(|mqtt| {
            (&mqtt.via.host, mqtt.via.port, &mqtt.via.client_id) == (&wis2.via.host, wis2.via.port, &wis2.via.client_id)
        });
        if same {
            return Err(
                "publish.wis2: `client_id` is the MQTT channel's at the same broker: each would throw the other out"
                    .into(),
            );
        }
        Ok(())
    }
}

impl BureauConfig {
    /// What cannot be, in words; with `asked` a source of its own asks for signatures.
    fn check(&self, asked: bool) -> Result<(), String> {
        let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let name = &self.name;
        if self.certificate_sha256.as_ref().is_some_and(|digest| !hex(digest)) {
            return Err(format!(
                "bureau `{name}`: `certificate_sha256` is not 64 hex digits; `openssl x509 -in FILE -outform DER | sha256sum` gives them"
            ));
        }
        let looked_at = self.signature != SignaturePolicy::Ignored;
        let alone = if self.keys.is_empty() { looked_at } else { !looked_at && !asked };
        if alone {
            return Err(format!(
                "bureau `{name}`: `signature` \"required\" or \"checked\" and `keys` belong together: one stands without the other"
            ));
        }
        let token = !self.token_sha256.is_empty() || self.certificate_sha256.is_none();
        if token && !hex(&self.token_sha256) {
            return Err(format!("bureau `{name}`: `token_sha256` is not 64 hex digits; `tocsin token` makes one"));
        }
        if self.regions.is_empty() {
            return Err(format!("bureau `{name}`: `regions` is empty: it could speak for nobody"));
        }
        Ok(())
    }
}

fn is_web_address(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty())
}
