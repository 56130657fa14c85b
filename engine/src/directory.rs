//! Who may do what: keys, their roles and the networks they may come from.

use alloc::vec::Vec;

use crate::Capacity;
use crate::canonical::code_enum;
use crate::command::{CommandBody, KeyKind, Role};
use crate::identity::{AccountId, IdempotencyKey, KeyId};
use crate::limits::IDEMPOTENCY_KEYS;
use crate::table::Table;

/// A public key that the venue knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) kind: KeyKind,
    pub(crate) public_key: [u8; 32],
    pub(crate) state: KeyState,
    /// An account that a grant lets it trade on; none if none does, or that is to be looked up.
    pub(crate) trades_on: AccountId,
}

impl Key {
    /// A key without grants.
    pub(crate) fn new(kind: KeyKind, public_key: [u8; 32], state: KeyState) -> Self {
        Self { kind, public_key, state, trades_on: AccountId::NONE }
    }
}

code_enum! {
    /// Whether a key still counts.
    pub(crate) enum KeyState: u8 {
        /// It does.
        Valid = 1,
        /// It does not, for ever.
        Revoked = 2,
    }
}

/// A key may act in a role, for an account or, with none, for the whole venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) key: KeyId,
    pub(crate) account: AccountId,
    pub(crate) role: Role,
}

/// A network that a key may log in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    pub(crate) key: KeyId,
    pub(crate) address: [u8; 16],
    pub(crate) prefix_bits: u8,
}

/// What an author asks to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right<'a> {
    /// Enter and amend the account's orders.
    Trade(AccountId),
    /// Cancel the account's orders.
    Cancel(AccountId),
    /// Take risk out of the whole venue.
    Contain,
    /// Give a command by which the venue is run.
    Run(&'a CommandBody),
}

/// A capacity is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Keys, grants, networks, and the administrators' recent requests.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) keys: Table<Key>,
    grants: Vec<Grant>,
    networks: Vec<Network>,
    /// Author and key of recent requests, the oldest overwritten first.
    requests: Vec<(KeyId, IdempotencyKey)>,
    oldest_request: usize,
    capacity: usize,
}

impl Directory {
    pub(crate) fn new(capacity: &Capacity) -> Self {
        Self {
            keys: Table::new(capacity.keys),
            grants: Vec::with_capacity(capacity.grants as usize),
            networks: Vec::with_capacity(capacity.grants as usize),
            requests: Vec::with_capacity(IDEMPOTENCY_KEYS as usize),
            oldest_request: 0,
            capacity: capacity.grants as usize,
        }
    }

    /// Whether the author may do it. The venue itself may do everything.
    #[inline]
    pub(crate) fn allows(&self, author: KeyId, right: Right<'_>) -> bool {
        author == KeyId::VENUE || self.is_trader(author, right) || self.allows_key(author, right)
    }

    /// Whether it is for a trade on the account that the key may trade on, if there is just one.
    #[inline]
    fn is_trader(&self, author: KeyId, right: Right<'_>) -> bool {
        let (Right::Trade(account) | Right::Cancel(account)) = right else { return false };
        let is_for = |key: &Key| key.state == KeyState::Valid && key.trades_on == account;
        !account.is_none() && self.keys.get(author.0).is_some_and(is_for)
    }

    fn allows_key(&self, author: KeyId, right: Right<'_>) -> bool {
        if !self.is_valid(author) {
            return false;
        }
        let has = |account, role| self.grants.binary_search(&Grant { key: author, account, role }).is_ok();
        let may_trade =
            |account| [account, AccountId::NONE].iter().any(|&on| has(on, Role::Trader) || has(on, Role::MarketMaker));
        let may_contain = || [Role::RiskOperator, Role::Administrator].iter().any(|&role| has(AccountId::NONE, role));
        match right {
            Right::Trade(account) => may_trade(account),
            Right::Cancel(account) => may_trade(account) || may_contain(),
            Right::Contain => may_contain(),
            Right::Run(command) => self.may_run(author, command),
        }
    }

    fn may_run(&self, author: KeyId, command: &CommandBody) -> bool {
        let is_guarded = match command {
            CommandBody::RevokeKey(command) => self.runs_the_venue(command.key),
            CommandBody::AllowAddress(command) => self.runs_the_venue(command.key),
            _ => false,
        };
        self.grants_of(author).any(|&Grant { account, role, .. }| {
            account.is_none() && role.may_give(command) && (role == Role::Administrator || !is_guarded)
        })
    }

    /// Whether the key runs the venue or a part of it, or is the venue itself.
    pub(crate) fn runs_the_venue(&self, key: KeyId) -> bool {
        key == KeyId::VENUE || self.is_valid(key) && self.grants_of(key).any(|grant| grant.role.runs_the_venue())
    }

    fn grants_of(&self, key: KeyId) -> impl Iterator<Item = &Grant> {
        let first = self.grants.partition_point(|grant| grant.key < key);
        self.grants[first..].iter().take_while(move |grant| grant.key == key)
    }

    /// Whether the key is known and not revoked.
    pub(crate) fn is_valid(&self, key: KeyId) -> bool {
        self.keys.get(key.0).is_some_and(|key| key.state == KeyState::Valid)
    }

    /// Whether the key may act in any role at all.
    pub(crate) fn has_role(&self, key: KeyId) -> bool {
        self.grants_of(key).next().is_some()
    }

    /// Adds a grant; one that exists stays.
    pub(crate) fn grant(&mut self, grant: Grant) -> Result<(), Full> {
        let granted = insert_sorted(&mut self.grants, grant, self.capacity);
        self.note_trading(grant.key);
        granted
    }

    /// Notes the first account that the key may trade on.
    fn note_trading(&mut self, key: KeyId) {
        let trades = |grant: &&Grant| matches!(grant.role, Role::Trader | Role::MarketMaker);
        let on = self.grants_of(key).find(trades).map_or(AccountId::NONE, |grant| grant.account);
        if let Some(entry) = self.keys.get_mut(key.0) {
            entry.trades_on = on;
        }
    }

    /// Takes a grant away; whether it existed.
    pub(crate) fn revoke(&mut self, grant: Grant) -> bool {
        let found = self.grants.binary_search(&grant);
        if let Ok(index) = found {
            self.grants.remove(index);
            self.note_trading(grant.key);
        }
        found.is_ok()
    }

    /// Adds a network; one that exists stays.
    pub(crate) fn allow(&mut self, network: Network) -> Result<(), Full> {
        insert_sorted(&mut self.networks, network, self.capacity)
    }

    pub(crate) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    pub(crate) fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// Whether the author used this key for a recent request.
    pub(crate) fn is_repeated(&self, author: KeyId, request: IdempotencyKey) -> bool {
        !request.is_none() && self.requests.contains(&(author, request))
    }

    /// Remembers a request and forgets the oldest.
    pub(crate) fn remember(&mut self, author: KeyId, request: IdempotencyKey) {
        if request.is_none() {
            return;
        }
        if self.requests.len() < IDEMPOTENCY_KEYS as usize {
            self.requests.push((author, request));
        } else {
            self.requests[self.oldest_request] = (author, request);
            self.oldest_request = (self.oldest_request + 1) % self.requests.len();
        }
    }

    /// Recent requests, oldest first.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (KeyId, IdempotencyKey)> + '_ {
        let (newer, older) = self.requests.split_at(self.oldest_request);
        older.iter().chain(newer).copied()
    }
}

fn insert_sorted<T: Ord>(entries: &mut Vec<T>, entry: T, capacity: usize) -> Result<(), Full> {
    match entries.binary_search(&entry) {
        Ok(_) => Ok(()),
        Err(_) if entries.len() >= capacity => Err(Full),
        Err(index) => {
            entries.insert(index, entry);
            Ok(())
        }
    }
}
