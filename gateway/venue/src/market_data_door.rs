//! Who is shown which market data: anonymous subscribers and keys by their roles, as the operator has configured it.
//!
//! It follows the released events that change keys and roles, so that a revoked key is cut off at once.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ed25519_dalek::{Signature, VerifyingKey};
use engine::command::{KeyKind, Role};
use engine::{Event, InstrumentId, KeyId, Timestamp};
use gateway::lockout::Lockouts;
use gateway::rights::{Key, Rights};
use gateway::transport::tls::Fingerprint;
use marketdata::{Door, Entitlement, LEVELS, Refusal};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use wire::FeedLevel;

use crate::metrics::Metrics;

/// Who may see what: `ROLE=LEVELS[@INSTRUMENTS]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    who: Who,
    /// In the order of [`LEVELS`].
    levels: Vec<FeedLevel>,
    /// None: all.
    instruments: Option<BTreeSet<InstrumentId>>,
}

/// To whom an allowance applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anonymous,
    AnyKey,
    Role(Role),
}

const WHO: [(&str, Who); 7] = [
    ("anonymous", Who::Anonymous),
    ("any-key", Who::AnyKey),
    ("trader", Who::Role(Role::Trader)),
    ("market-maker", Who::Role(Role::MarketMaker)),
    ("drop-copy", Who::Role(Role::DropCopy)),
    ("administrator", Who::Role(Role::Administrator)),
    ("read-only", Who::Role(Role::ReadOnly)),
];

/// What a level of detail is called.
pub(crate) fn level_name(level: FeedLevel) -> &'static str {
    LEVEL_NAMES.iter().find(|(_, it)| *it == level).map_or("", |(name, _)| name)
}

/// Why a logon may be refused.
pub(crate) const REFUSALS: [Refusal; 3] = [Refusal::NotProven, Refusal::LockedOut, Refusal::NotEntitled];

/// What a refusal is called.
pub(crate) const fn refusal_name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotProven => "NotProven",
        Refusal::LockedOut => "LockedOut",
        Refusal::NotEntitled => "NotEntitled",
    }
}

const LEVEL_NAMES: [(&str, FeedLevel); 7] = [
    ("trades", FeedLevel::Trades),
    ("best", FeedLevel::BestBidOffer),
    ("mbp10", FeedLevel::MarketByPrice10),
    ("mbp50", FeedLevel::MarketByPrice50),
    ("mbp", FeedLevel::MarketByPrice),
    ("mbo", FeedLevel::MarketByOrder),
    ("reference", FeedLevel::Reference),
];

impl Allowance {
    /// What holds if nothing is configured: on loopback addresses everybody sees everything; else, whoever holds a key.
    pub fn defaults(doors: [SocketAddr; 2]) -> Vec<Self> {
        let who = if doors.iter().all(|door| door.ip().is_loopback()) { Who::Anonymous } else { Who::AnyKey };
        vec![Self { who, levels: LEVELS.to_vec(), instruments: None }]
    }

    fn applies(&self, key: Option<&Key>) -> bool {
        match (self.who, key) {
            // What everybody may see, a key's holder may see.
            (Who::Anonymous, _) | (Who::AnyKey, Some(_)) => true,
            (Who::Role(role), Some(key)) => key.acts_as(role),
            (Who::AnyKey | Who::Role(_), None) => false,
        }
    }
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (who, what) = text.split_once('=').ok_or("it is ROLE=LEVELS[@INSTRUMENTS]")?;
        let (levels, instruments) = match what.split_once('@') {
            Some((levels, instruments)) => (levels, Some(instruments)),
            None => (what, None),
        };
        let level = |name: &str| named(&LEVEL_NAMES, "level", name);
        let levels: BTreeSet<usize> = match levels {
            "all" => (0..LEVELS.len()).collect(),
            "none" => BTreeSet::new(),
            names => names.split('+').map(|name| Ok(position(level(name)?))).collect::<Result<_, String>>()?,
        };
        let number = |text: &str| {
            let number = text.parse().map_err(|_| format!("the instrument {text:?} is no number"));
            number.map(InstrumentId)
        };
        let instruments = instruments.map(|list| list.split('+').map(number).collect()).transpose()?;
        let levels = levels.into_iter().map(|index| LEVELS[index]).collect();
        Ok(Self { who: named(&WHO, "role", who)?, levels, instruments })
    }
}

impl Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = WHO.iter().find(|(_, who)| *who == self.who).map_or("", |(name, _)| name);
        let levels = match self.levels.len() {
            0 => "none".to_owned(),
            count if count == LEVELS.len() => "all".to_owned(),
            _ => self.levels.iter().copied().map(level_name).collect::<Vec<_>>().join("+"),
        };
        write!(f, "{who}={levels}")?;
        match &self.instruments {
            None => Ok(()),
            Some(instruments) => {
                let numbers: Vec<_> = instruments.iter().map(|instrument| instrument.0.to_string()).collect();
                write!(f, "@{}", numbers.join("+"))
            }
        }
    }
}

fn position(level: FeedLevel) -> usize {
    LEVELS.iter().position(|&it| it == level).expect("every level has a name and a place")
}

fn named<T: Copy>(names: &[(&str, T)], what: &str, name: &str) -> Result<T, String> {
    let found = names.iter().find(|(known, _)| *known == name).map(|&(_, value)| value);
    found.ok_or_else(|| {
        let known: Vec<_> = names.iter().map(|&(name, _)| name).collect();
        format!("there is no {what} {name:?}; there are {}", known.join(", "))
    })
}

/// The venue's own door to its market data.
pub(crate) struct MarketDataDoor {
    allowances: Vec<Allowance>,
    known: Mutex<Known>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    metrics: Arc<Metrics>,
}

struct Known {
    rights: Rights,
    lockouts: Lockouts,
}

impl MarketDataDoor {
    /// Follows on `rights`.
    pub(crate) fn new(
        allowances: Vec<Allowance>,
        rights: Rights,
        clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let known = Mutex::new(Known { rights, lockouts: Lockouts::default() });
        Self { allowances, known, clock, metrics }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all allowances together show; nothing: not a level.
    fn shown(&self, key: Option<&Key>) -> Option<Entitlement> {
        let allowed: Vec<_> = self.allowances.iter().filter(|allowance| allowance.applies(key)).collect();
        let rights = allowed.iter().filter(|allowance| !allowance.levels.is_empty());
        let rules = rights.map(|allowance| (allowance.levels.clone(), allowance.instruments.clone()));
        let entitlement = Entitlement { rules: rules.collect() };
        (!entitlement.rules.is_empty()).then_some(entitlement)
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.metrics.count_market_data_refusal(refusal_name(refusal));
        refusal
    }

    fn guessed(&self, known: &mut Known, key: KeyId, from: IpAddr) -> Refusal {
        known.lockouts.guessed(Some(key), from.into(), (self.clock)());
        self.refuse(Refusal::NotProven)
    }
}

impl Door for MarketDataDoor {
    fn event(&self, event: &Event) -> bool {
        let concerns_keys = matches!(
            event,
            Event::KeyAdded(_)
                | Event::KeyRevoked(_)
                | Event::RoleGranted(_)
                | Event::RoleRevoked(_)
                | Event::AddressAllowed(_)
        );
        if concerns_keys {
            self.known().rights.apply(event);
        }
        concerns_keys
    }

    fn anonymous(&self, _: IpAddr) -> Option<Entitlement> {
        self.shown(None)
    }

    fn certificate(&self, certificate: &[u8], from: IpAddr) -> Result<(KeyId, Entitlement), Refusal> {
        let Fingerprint(fingerprint) = Fingerprint::of(&CertificateDer::from(certificate));
        let known = self.known();
        let found = known
            .rights
            .keys()
            .find(|(_, key)| key.kind == KeyKind::Certificate && key.public_key == fingerprint)
            .filter(|(_, key)| key.may_come_from(from))
            .map(|(id, key)| (id, self.shown(Some(key))));
        match found {
            Some((id, Some(entitlement))) => Ok((id, entitlement)),
            Some((_, None)) => Err(self.refuse(Refusal::NotEntitled)),
            None => Err(Refusal::NotProven),
        }
    }

    fn challenge(&self) -> [u64; 2] {
        let mut bytes = [0; 16];
        let filled = default_provider().secure_random.fill(&mut bytes);
        filled.expect("the system has randomness: TLS needs it as well");
        let number = u128::from_le_bytes(bytes);
        [(number >> 64) as u64, number as u64]
    }

    fn knock(&self, key: KeyId, from: IpAddr) -> Result<(), Refusal> {
        match self.known().lockouts.bars(Some(key), from.into(), (self.clock)()) {
            true => Err(self.refuse(Refusal::LockedOut)),
            false => Ok(()),
        }
    }

    fn logon(&self, key: KeyId, text: &[u8], signature: &[u8; 64], from: IpAddr) -> Result<Entitlement, Refusal> {
        let mut known = self.known();
        let found = known.rights.key(key).filter(|it| it.kind == KeyKind::Ed25519 && it.may_come_from(from));
        let signed = |key: &&Key| {
            VerifyingKey::from_bytes(&key.public_key)
                .and_then(|public| public.verify_strict(text, &Signature::from_bytes(signature)))
                .is_ok()
        };
        match found.filter(signed).map(|key| self.shown(Some(key))) {
            Some(shown) => {
                known.lockouts.opened(key, from.into());
                shown.ok_or_else(|| self.refuse(Refusal::NotEntitled))
            }
            None => Err(self.guessed(&mut known, key, from)),
        }
    }

    fn entitlement(&self, key: KeyId) -> Option<Entitlement> {
        self.shown(Some(self.known().rights.key(key)?))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use engine::AccountId;
    use engine::command::{AddKey, AdminNote, GrantRole, RevokeKey};
    use engine::event::{KeyAdded, KeyRevoked, RoleGranted};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const NOTE: AdminNote = AdminNote::NONE;

    fn door(allowances: &[&str]) -> MarketDataDoor {
        let allowances = allowances.iter().map(|text| text.parse().unwrap()).collect();
        let clock = Box::new(|| Timestamp(1_790_000_000_000_000_000));
        MarketDataDoor::new(allowances, Rights::default(), clock, Arc::default())
    }

    fn signing_key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn add_key(door: &MarketDataDoor, key: KeyId) {
        let public_key = signing_key().verifying_key().to_bytes();
        let command = AddKey { key, kind: KeyKind::Ed25519, public_key, note: NOTE };
        assert!(door.event(&KeyAdded { author: KeyId::VENUE, command }.into()));
    }

    fn grant(door: &MarketDataDoor, key: KeyId, role: Role) {
        let command = GrantRole { key, role, account: AccountId(2), note: NOTE };
        assert!(door.event(&RoleGranted { author: KeyId::VENUE, command }.into()));
    }

    fn logon(door: &MarketDataDoor, key: KeyId) -> Result<Entitlement, Refusal> {
        door.logon(key, b"text", &signing_key().sign(b"text").to_bytes(), HERE)
    }

    #[test]
    fn an_allowance_reads_and_writes_the_same_and_says_what_is_wrong() {
        for text in ["anonymous=all", "any-key=none", "trader=trades+best+mbo@1+7", "read-only=mbp10"] {
            assert_eq!(text.parse::<Allowance>().unwrap().to_string(), text);
        }
        for (text, reason) in [
            ("anonymous", "it is ROLE=LEVELS[@INSTRUMENTS]"),
            (
                "nobody=all",
                "there is no role \"nobody\"; there are anonymous, any-key, trader, market-maker, drop-copy, \
                 administrator, read-only",
            ),
            (
                "anonymous=best+deep",
                "there is no level \"deep\"; there are trades, best, mbp10, mbp50, mbp, mbo, reference",
            ),
            ("anonymous=best@1+x", "the instrument \"x\" is no number"),
        ] {
            assert_eq!(text.parse::<Allowance>().unwrap_err(), reason);
        }
    }

    #[test]
    fn a_role_adds_to_what_everybody_sees() {
        let door = door(&["anonymous=trades", "any-key=best@1", "market-maker=mbo@2"]);
        let sees = |entitlement: &Entitlement| {
            let books = [1, 2].map(InstrumentId);
            let levels = [FeedLevel::Trades, FeedLevel::BestBidOffer, FeedLevel::MarketByOrder];
            books.map(|book| levels.map(|level| entitlement.sees(book, level)))
        };
        assert_eq!(sees(&door.anonymous(HERE).unwrap()), [[true, false, false]; 2]);
        add_key(&door, KeyId(5));
        assert_eq!(sees(&logon(&door, KeyId(5)).unwrap()), [[true, true, false], [true, false, false]]);
        grant(&door, KeyId(5), Role::Trader);
        grant(&door, KeyId(5), Role::MarketMaker);
        assert_eq!(sees(&door.entitlement(KeyId(5)).unwrap()), [[true, true, false], [true, false, true]]);
        let command = RevokeKey { key: KeyId(5), note: NOTE };
        assert!(door.event(&KeyRevoked { author: KeyId::VENUE, command }.into()));
        assert_eq!(door.entitlement(KeyId(5)), None);
        assert_eq!(logon(&door, KeyId(5)), Err(Refusal::NotProven));
    }

    #[test]
    fn whoever_guesses_is_locked_out_and_whoever_may_see_nothing_stays_outside() {
        let door = door(&["administrator=all"]);
        assert_eq!(door.anonymous(HERE), None);
        add_key(&door, KeyId(5));
        assert_eq!(logon(&door, KeyId(5)), Err(Refusal::NotEntitled));
        grant(&door, KeyId(5), Role::Administrator);
        assert_eq!(logon(&door, KeyId(5)), Ok(Entitlement::everything()));
        for _ in 0..6 {
            assert_eq!(door.knock(KeyId(5), HERE), Ok(()));
            assert_eq!(door.logon(KeyId(5), b"text", &[1; 64], HERE), Err(Refusal::NotProven));
        }
        assert_eq!(door.knock(KeyId(5), HERE), Err(Refusal::LockedOut));
        assert_eq!(door.knock(KeyId(5), IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), Ok(()));
    }

    #[test]
    fn a_challenge_is_never_the_same() {
        let door = door(&[]);
        let challenges: BTreeSet<_> = (0..100).map(|_| door.challenge()).collect();
        assert_eq!(challenges.len(), 100);
    }
}
