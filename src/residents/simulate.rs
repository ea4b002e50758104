//! Made-up people for drills, demos and measurements: the same seed makes the same people.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey};
use ring::rand::SystemRandom;
use tocsin_channels::ChannelKind;

use crate::cap::Point;
use crate::delivery::{Address, push_value};
use crate::messages::Language;
use crate::regions::{RegionKind, RegionMap};
use crate::rules::Audience;
use crate::store::{NewSubscriber, Place, Store, StoreError};

use super::Wishes;

/// Who is made up.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// How many people.
    pub people: u64,
    /// The same seed makes the same people.
    pub seed: u64,
    /// The list that they join; only ever a drill's list, unless somebody asks for more.
    pub audience: Audience,
    /// Where their pushes go: `http://127.0.0.1:9000/push`.
    pub push_service: String,
}

const BATCH: usize = 5_000;
/// Key pairs that made-up browsers share: making a pair costs more than a person.
const KEYS: usize = 16;

/// Adds made-up people, spread over the counties of the map: numbers that no operator gives out (+86199 0…), mail at
/// `example.org` (RFC 2606), browsers at the given push service, now and then a device. Returns how many addresses.
///
/// # Errors
/// When the store refuses.
pub async fn simulate(
    store: &Store,
    map: &RegionMap,
    simulation: &Simulation,
    now: DateTime<Utc>,
    mut progress: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let counties: Vec<_> = map.of_kind(RegionKind::County).map(|region| region.code.clone()).collect();
    let keys = browser_keys();
    let mut dice = Dice(simulation.seed);
    let (mut added, mut batch) = (0, Vec::with_capacity(BATCH));
    for n in 0..simulation.people {
        let Some(region) = counties.get(dice.below(counties.len())) else { break };
        let language = if dice.below(100) < 85 { Language::Chinese } else { Language::English };
        let addresses = addresses(n, simulation, &keys, &mut dice);
        batch.push(NewSubscriber { audience: simulation.audience, region: region.clone(), language, addresses });
        if batch.len() >= BATCH || n + 1 == simulation.people {
            added += store.add_subscribers(&batch, now).await?.addresses;
            batch.clear();
            progress(n + 1);
        }
    }
    Ok(added)
}

/// Adds made-up residents with one to five places each, most with a point, spread over the map: for measurements. They have no
/// addresses. Returns how many places.
///
/// # Errors
/// When the store refuses.
pub async fn simulate_places(store: &Store, map: &RegionMap, people: u64, seed: u64) -> Result<u64, StoreError> {
    let counties: Vec<_> = map.of_kind(RegionKind::County).map(|region| region.code.clone()).collect();
    let mut dice = Dice(seed);
    let (mut added, mut batch) = (0, Vec::with_capacity(BATCH));
    for n in 0..people {
        for _ in 0..=dice.below(5) {
            let micro = |dice: &mut Dice, from: f64, span: usize| {
                from + f64::from(u32::try_from(dice.below(span)).unwrap_or(0)) / 1e6
            };
            let point = Point { lat: micro(&mut dice, 27.0, 8_000_000), lon: micro(&mut dice, 116.0, 7_000_000) };
            let at = map.county_at(point).map(|region| region.code.clone());
            let point = at.is_some().then_some(point);
            let Some(region) = at.or_else(|| counties.get(dice.below(counties.len())).cloned()) else { continue };
            let wishes = Wishes::default();
            batch.push((i64::try_from(n + 1).unwrap_or(0), Place { id: 0, name: "家".into(), region, point, wishes }));
        }
        if batch.len() >= BATCH || n + 1 == people {
            let mut tx = store.begin().await?;
            store.insert_places(&mut tx, &batch).await?;
            tx.commit().await?;
            added += batch.len() as u64;
            batch.clear();
        }
    }
    Ok(added)
}

/// Adds a made-up resident with a place at each of these points, the n-th with the id n + 1; a point in no county has nobody. They have no
/// addresses. Returns how many places.
///
/// # Errors
/// When the store refuses.
pub async fn simulate_places_at(store: &Store, map: &RegionMap, points: &[Point]) -> Result<u64, StoreError> {
    let place = |(owner, point): (i64, &Point)| {
        let region = map.county_at(*point)?.code.clone();
        let (name, wishes) = ("家".to_owned(), Wishes::default());
        Some((owner, Place { id: 0, name, region, point: Some(*point), wishes }))
    };
    let places: Vec<_> = (1..).zip(points).filter_map(place).collect();
    let mut tx = store.begin().await?;
    store.insert_places(&mut tx, &places).await?;
    tx.commit().await?;
    Ok(places.len() as u64)
}

/// One to three ways to reach a person: about 60 in 100 by SMS, 50 by mail, 40 by push; one in 200 is a device.
fn addresses(n: u64, simulation: &Simulation, keys: &[(String, String)], dice: &mut Dice) -> Vec<Address> {
    let tag = simulation.seed % 100;
    let mut addresses = Vec::new();
    let mut add = |channel, value| addresses.push(Address { channel, value });
    let roll = (dice.below(100), dice.below(100), dice.below(100), dice.below(200));
    if roll.0 < 60 {
        add(ChannelKind::Sms, format!("+861990{:07}", n % 10_000_000));
    }
    if roll.1 < 50 || (roll.0 >= 60 && roll.2 >= 40) {
        add(ChannelKind::Email, format!("r{n}-{tag}@example.org"));
    }
    if let Some((p256dh, auth)) = keys.get(dice.below(keys.len().max(1))).filter(|_| roll.2 < 40) {
        add(ChannelKind::Push, push_value(&format!("{}/{n}-{tag}", simulation.push_service), p256dh, auth));
    }
    if roll.3 == 0 {
        add(ChannelKind::Mqtt, format!("device/sim-{n}-{tag}"));
    }
    addresses
}

/// Public keys and secrets of made-up browsers. Nobody can read what is sent to them.
fn browser_keys() -> Vec<(String, String)> {
    let random = SystemRandom::new();
    let key = |n: usize| {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &random).ok()?;
        let public = private.compute_public_key().ok()?;
        let auth = [u8::try_from(n).unwrap_or(0); 16];
        Some((URL_SAFE_NO_PAD.encode(public.as_ref()), URL_SAFE_NO_PAD.encode(auth)))
    };
    (0..KEYS).filter_map(key).collect()
}

/// SplitMix64: small, even, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let scaled = (u128::from(z ^ (z >> 31)) * end as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}
