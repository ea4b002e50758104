//! From releases to publications, each frozen; one that cannot be made holds up no other, is told, and is tried again.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::errands::again;
use super::press::Press;
use crate::approval::{Amendment, DeskError};
use crate::cap::Code;
use crate::publish::{Publication, PublishError, Source, make, make_numbered, make_own, standings};
use crate::regions::RegionCode;
use crate::store::{Printed, Released, StoreError, Unpublished, WholeAlert};
use crate::world::Live;

/// Releases that are looked at, and kept as publications, together.
const SHEET: i64 = 100;

/// What is to be kept together: releases, and what became of each.
type Sheet = Vec<(Released, Option<Printed>)>;

/// Why a release cannot be published.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Fault {
    /// The store itself does not answer, or takes nothing: then nothing else can be published either, and everything waits.
    fn of_the_store(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) | Self::Desk(DeskError::Store(error))
                if !matches!(error, StoreError::Corrupt { .. }) =>
            {
                Ok(error)
            }
            other => Err(other),
        }
    }
}

impl Press {
    /// Makes a publication of each release that nobody has looked at; whether there were any.
    pub(super) async fn print_new(&self) -> Result<bool, StoreError> {
        let first = self.store.outlet_seen("press").await?.unwrap_or(0);
        let mut seen = first;
        loop {
            let released = self.store.released_after(seen, SHEET).await?;
            let full = i64::try_from(released.len()) == Ok(SHEET);
            seen = released.last().map_or(seen, |(last, _)| *last);
            let mut sheet = Sheet::new();
            for (id, release) in released {
                match release {
                    Ok(release) => self.lay(release, &mut sheet).await?,
                    Err(error) => self.leave((id, None), error.into(), &mut sheet).await?,
                }
            }
            self.put_down(sheet).await?;
            if !full {
                return Ok(seen != first);
            }
        }
    }

    /// Lays to a sheet what a release becomes.
    async fn lay(&self, release: Released, sheet: &mut Sheet) -> Result<(), StoreError> {
        // What is made of an alert depends on what of its event is out already.
        if sheet.iter().any(|(earlier, _)| earlier.chain == release.chain) {
            self.put_down(std::mem::take(sheet)).await?;
        }
        let mut made = self.publication(&release).await;
        // The store was asked whether its name is free, and does not know what is on the sheet.
        if matches!(&made, Ok(Some(made)) if is_on(sheet, made)) {
            self.put_down(std::mem::take(sheet)).await?;
            made = self.publication(&release).await;
        }
        match made {
            Ok(printed) => sheet.push((release, printed)),
            Err(fault) => self.leave((release.id, Some(release.expires)), fault, sheet).await?,
        }
        Ok(())
    }

    /// Notes down what cannot be published, after what comes before it.
    async fn leave(
        &self,
        release: (i64, Option<DateTime<Utc>>),
        fault: Fault,
        sheet: &mut Sheet,
    ) -> Result<(), StoreError> {
        self.put_down(std::mem::take(sheet)).await?;
        self.settle(release, Err(fault), 1).await
    }

    /// Keeps publications, all at once; where that fails, each by itself.
    async fn put_down(&self, sheet: Sheet) -> Result<(), StoreError> {
        let rows: Vec<_> = sheet.iter().map(|(release, printed)| (release.id, printed.as_ref())).collect();
        match self.store.print(&rows).await {
            Ok(()) => {
                sheet.iter().for_each(|(release, printed)| told(release, printed.as_ref()));
                return Ok(());
            }
            Err(error) => tracing::warn!(%error, "publications cannot be kept together; each is kept by itself"),
        }
        for (release, printed) in &sheet {
            let made = self.put_down_one(release, printed.as_ref()).await;
            self.settle((release.id, Some(release.expires)), made, 1).await?;
        }
        Ok(())
    }

    async fn put_down_one(&self, release: &Released, printed: Option<&Printed>) -> Result<(), Fault> {
        self.store.print(&[(release.id, printed)]).await?;
        told(release, printed);
        Ok(())
    }

    /// Tries these again; whether there were any.
    pub(super) async fn print_again(&self, late: &[Unpublished]) -> Result<bool, StoreError> {
        for one in late {
            let made = match self.store.released(one.release).await? {
                Ok(release) => self.print_late(&release).await,
                Err(error) => Err(error.into()),
            };
            self.settle((one.release, Some(one.expires)), made, one.tries + 1).await?;
        }
        Ok(!late.is_empty())
    }

    /// Notes down what cannot be published, for another try: soon, or in a day where it is over by itself.
    async fn settle(
        &self,
        (release, ends): (i64, Option<DateTime<Utc>>),
        made: Result<(), Fault>,
        tries: i64,
    ) -> Result<(), StoreError> {
        let Err(fault) = made else { return Ok(()) };
        let fault = match fault.of_the_store() {
            Ok(error) => return Err(error),
            Err(fault) => fault,
        };
        let now = self.clock.now();
        let over = ends.is_some_and(|ends| ends <= now);
        let next = if over { now + TimeDelta::days(1) } else { again(tries, None, now) };
        tracing::error!(error = %fault, release, tries, next = %next, "released, and cannot be published; it is tried again");
        self.store.put_off(release, &fault.to_string(), (now, next)).await
    }

    async fn print(&self, release: &Released) -> Result<(), Fault> {
        let printed = self.publication(release).await?;
        self.put_down_one(release, printed.as_ref()).await
    }

    /// Publishes what could not be published before; where something that takes its place was published meanwhile, that speaks now.
    async fn print_late(&self, release: &Released) -> Result<(), Fault> {
        match self.left_of(release).await? {
            Some(left) => self.print(&left).await,
            None => {
                tracing::warn!(release = release.id, "not published any more: another has taken its place");
                Ok(self.store.print(&[(release.id, None)]).await?)
            }
        }
    }

    /// A release without the counties where something younger has taken its place; None where nothing is left of it. Counties whose
    /// officers have not let the younger one go out have nothing else than this.
    async fn left_of(&self, release: &Released) -> Result<Option<Released>, Fault> {
        let Some(row) = self.store.alert(&release.alert).await? else { return Ok(Some(release.clone())) };
        let mut taken = BTreeSet::new();
        for younger in self.store.printed_in_chain(&row.chain).await? {
            if younger.release > release.id
                && self.store.replaced_by(younger.alert.as_str()).await?.contains(&release.alert)
            {
                let Some(within) = younger.within else { return Ok(None) };
                taken.extend(within);
            }
        }
        if taken.is_empty() {
            return Ok(Some(release.clone()));
        }
        let stands: BTreeSet<_> = self
            .older(release, self.store.replaced_by(&release.alert).await?)
            .await?
            .into_iter()
            .flat_map(|(_, left)| left)
            .collect();
        let within: BTreeSet<RegionCode> = match &release.within {
            Some(within) => within.iter().cloned().collect(),
            None => {
                let decided = self.desk.material(&release.alert).await?.decision.regions;
                decided.into_iter().chain(release.regions.iter().cloned()).chain(stands.iter().cloned()).collect()
            }
        };
        let within: Vec<_> = within.into_iter().filter(|code| !taken.contains(code)).collect();
        let mut left = release.clone();
        left.regions.retain(|code| !taken.contains(code));
        // It warns nobody else, and ends nothing that still stands there.
        if left.regions.is_empty() && !within.iter().any(|code| stands.contains(code)) {
            return Ok(None);
        }
        left.within = Some(within);
        Ok(Some(left))
    }

    /// What a release becomes; None for one that is not everybody's.
    async fn publication(&self, release: &Released) -> Result<Option<Printed>, Fault> {
        if !release.public {
            return Ok(None);
        }
        let id = &release.alert;
        let Some(WholeAlert { row, located, raw, format }) = self.store.whole_alert(id).await? else { return Ok(None) };
        let replaced = self.store.replaced_by(id).await?;
        let (bureau, verified) = (row.bureau.clone(), was_verified(&row.findings));
        let material = self.desk.material_of(row, (&raw, &format), &replaced).await?;
        let amendment = match release.escalation {
            Some(escalation) => self.store.escalation::<Live>(escalation).await?.map(|row| row.escalation.amendment),
            None => None,
        };
        let older = self.older(release, replaced).await?;
        let policy = self.policy.load_full();
        let source = Source {
            release: release.id,
            at: release.at,
            expires: release.expires,
            regions: &release.regions,
            within: release.within.as_deref(),
            alert: &material.alert,
            raw: (&raw, format == "xml"),
            chain: &material.chain,
            bureau: &bureau,
            verified,
            decided: &material.decision.regions,
            located: &located,
            amendment: &amendment.unwrap_or_else(Amendment::default),
            older: &older,
            sender: &self.sender,
            issuer: self.issuer(),
            map: &policy.map,
            signing: policy.signing.as_ref(),
        };
        let mut made = make(&source)?;
        // The event's head speaks once more, to those who joined later: what that replaces must not get lost.
        for under_another_name in [make_own, make_numbered] {
            let Some((publication, _)) = &made else { break };
            if self.store.printed(publication.id.as_str()).await?.is_none() {
                break;
            }
            made = under_another_name(&source)?;
        }
        Ok(made.map(|(publication, cap)| Printed { publication, cap }))
    }

    /// Publications whose place a release takes, with the counties where each still stands.
    async fn older(
        &self,
        release: &Released,
        replaced: Vec<String>,
    ) -> Result<Vec<(Publication, Vec<RegionCode>)>, StoreError> {
        if replaced.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = self.store.printed_of(&replaced).await?;
        // One whose row is damaged meanwhile is still shown, and must not stay so.
        let shown = self.shown();
        let of_these = shown.publications.iter().filter(|one| replaced.iter().any(|id| id == one.alert.as_str()));
        all.extend(of_these.map(|one| Publication::clone(one)));
        let chains: BTreeSet<String> = all.iter().map(|publication| publication.chain.clone()).collect();
        for chain in chains {
            all.extend(self.store.printed_in_chain(&chain).await?);
        }
        all.sort_by_key(|publication| publication.release);
        all.dedup_by_key(|publication| publication.release);
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        let entries = standings(&all, &BTreeSet::new(), release.at).into_iter();
        let stands = entries.filter(|entry| {
            let publication = &entry.publication;
            publication.warns()
                && replaced.iter().any(|id| id == publication.alert.as_str())
                && entry.standing.by().is_none()
        });
        Ok(stands.map(|entry| (Publication::clone(&entry.publication), entry.left)).collect())
    }
}

/// Whether something of the same name is on a sheet.
fn is_on(sheet: &[(Released, Option<Printed>)], made: &Printed) -> bool {
    let mut printed = sheet.iter().filter_map(|(_, printed)| printed.as_ref());
    printed.any(|earlier| earlier.publication.id == made.publication.id)
}

fn told(release: &Released, printed: Option<&Printed>) {
    if let Some(Printed { publication, .. }) = printed {
        let unsigned = publication.unsigned;
        tracing::info!(publication = %publication.id, alert.id = %release.alert, own = publication.own, unsigned, "published");
    }
}

/// Whether a signature was found to hold when the alert came.
fn was_verified(findings: &serde_json::Value) -> bool {
    let good = format!("T{}", Code::SignatureGood.number());
    findings.as_array().is_some_and(|all| all.iter().any(|finding| finding["code"] == good.as_str()))
}
