//! Who asks: a signature over all of the request, by a key that the venue knows, at about the venue's time.
//!
//! Whoever guesses is locked out as at order entry: by address, and by key and address. A request that is signed rightly and
//! comes too late, or with a key that was revoked, is no guess, and neither is one without the headers, which a browser sends.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use engine::{IdempotencyKey, KeyId, Timestamp};
use gateway::lockout::Lockouts;

use super::Desk;
use super::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER, TIME_TOLERANCE_NS};

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// Headers are missing or cannot be read, or the signature or the time does not hold.
    NotAuthenticated,
    /// The key is its holder's, and may not come from there.
    AddressNotAllowed,
    /// From there, or with that key from there, too much was guessed: nothing was looked at.
    TooManyGuesses,
}

/// What a request's headers claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// Who asks.
    pub(crate) key: KeyId,
    /// When.
    pub(crate) time: Timestamp,
    /// The change's name; none for what only reads.
    pub(crate) idempotency_key: IdempotencyKey,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    /// Nothing, unless all is there and written in the one way.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let number = |name| number(headers, name);
        let idempotency_key = match headers.contains_key(REQUEST_HEADER) {
            true => IdempotencyKey(number(REQUEST_HEADER)?),
            false => IdempotencyKey::NONE,
        };
        Some(Self {
            key: KeyId(number(KEY_HEADER)?.try_into().ok()?),
            time: Timestamp(number(TIME_HEADER)?),
            idempotency_key,
            signature: headers.get(SIGNATURE_HEADER)?.to_str().ok()?,
        })
    }

    /// What has to be signed.
    pub(crate) fn signed(&self, method: &'a str, path: &'a str, body: &'a [u8]) -> SignedRequest<'a> {
        let Self { key, time, idempotency_key, .. } = *self;
        SignedRequest { method, path, key, time, idempotency_key, body }
    }
}

/// A header's number as it was signed: one way to write each.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// Who has guessed how often.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    lockouts: Mutex<Lockouts>,
}

impl Guard {
    /// Refuses whoever is locked out, before anything of the request is looked at.
    pub(crate) fn admits(&self, key: KeyId, from: IpAddr, now: Timestamp) -> Result<(), Unproven> {
        match self.lockouts().bars(Some(key), from.into(), now) {
            true => Err(Unproven::TooManyGuesses),
            false => Ok(()),
        }
    }

    /// Whether a request is signed by whom it claims; `request` is the whole of it.
    pub(crate) fn proves(
        &self,
        desk: &Desk,
        claim: &Claim<'_>,
        request: &SignedRequest<'_>,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(), Unproven> {
        let key = desk.look(|view| view.signing_key(claim.key));
        let Some(key) = key.filter(|key| request.is_signed_by(&key.public_key, claim.signature)) else {
            self.lockouts().guessed(Some(claim.key), from.into(), now);
            return Err(Unproven::NotAuthenticated);
        };
        if key.is_revoked || claim.time.0.abs_diff(now.0) > TIME_TOLERANCE_NS {
            return Err(Unproven::NotAuthenticated);
        }
        self.lockouts().opened(claim.key, from.into());
        match desk.look(|view| view.may_come_from(claim.key, from)) {
            true => Ok(()),
            false => Err(Unproven::AddressNotAllowed),
        }
    }

    fn lockouts(&self) -> MutexGuard<'_, Lockouts> {
        self.lockouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time that requests are held against.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
