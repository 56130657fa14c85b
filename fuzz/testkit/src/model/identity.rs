//! Rule 10.5: keys, their roles, and what an author may do.

use std::collections::{BTreeMap, BTreeSet};

use engine::command::{AddKey, Role};
use engine::*;

use super::Model;

/// Keys and what they were granted.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    pub(super) known: BTreeMap<KeyId, AddKey>,
    pub(super) revoked: BTreeSet<KeyId>,
    pub(super) grants: BTreeSet<(KeyId, AccountId, Role)>,
}

impl Keys {
    /// Known and not revoked.
    pub(super) fn acts(&self, key: KeyId) -> bool {
        self.known.contains_key(&key) && !self.revoked.contains(&key)
    }

    fn has(&self, key: KeyId, account: AccountId, role: Role) -> bool {
        self.grants.contains(&(key, account, role)) || self.grants.contains(&(key, AccountId::NONE, role))
    }

    pub(super) fn has_any_role(&self, key: KeyId) -> bool {
        self.grants.iter().any(|grant| grant.0 == key)
    }
}

impl Model {
    /// Whether the author is heard at all: the venue itself, or a key that acts, in a session of its own or in none.
    fn author_acts(&self) -> bool {
        let header = self.turn.header;
        let heard = header.session.is_none() || self.turn.in_session;
        heard && (header.author == KeyId::VENUE || self.keys.acts(header.author))
    }

    /// Whether the author may enter and amend an account's orders.
    pub(super) fn may_trade(&self, account: AccountId) -> bool {
        let author = self.turn.header.author;
        let granted = [Role::Trader, Role::MarketMaker].iter().any(|&role| self.keys.has(author, account, role));
        self.author_acts() && (author == KeyId::VENUE || granted)
    }

    /// Whether the author runs the venue.
    pub(super) fn may_administer(&self) -> bool {
        let author = self.turn.header.author;
        let granted = self.keys.has(author, AccountId::NONE, Role::Administrator);
        self.author_acts() && (author == KeyId::VENUE || granted)
    }

    /// Whether the author may take an account's orders out: who trades for it, and administrators.
    pub(super) fn may_cancel(&self, account: AccountId) -> bool {
        self.may_trade(account) || self.may_administer()
    }
}
